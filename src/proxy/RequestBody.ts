import type { IncomingMessage } from "node:http"
import { PassThrough, type Readable } from "node:stream"
import type { Call } from "./Call.js"
import { Pieces } from "./Pieces.js"
import type { ProxyLimits } from "./ProxyOptions.js"

/** Up to this size a body is collected and sent in one write; larger ones and those of unknown size pass as they come. */
const collectedBytesMax = 1024 * 1024

/**
 * Sends the request's body on, and keeps a copy on the call. `dispatch` is called once the upstream request may begin. For
 * a call that must be known whole before, `wholeBytesMax` says up to which size its body is collected, whatever its framing.
 * `take` gets a body that was collected so instead: it is to put the body that is sent on the call, and to send it.
 */
export const sendUpstream = (
  request: IncomingMessage,
  call: Call,
  { requestBytesMax }: ProxyLimits,
  dispatch: (body: Buffer | Readable | null) => void,
  wholeBytesMax: number,
  take?: (body: Buffer) => void
): void => {
  const length = request.headers["content-length"]
  const isChunked = request.headers["transfer-encoding"] !== undefined
  if (!isChunked && (length === undefined || length === "0")) {
    request.resume()
    dispatch(null)
    return
  }
  call.heardAt = performance.now()
  const isSmall = !isChunked && Number(length) <= Math.max(collectedBytesMax, wholeBytesMax)
  if (take !== undefined && (isSmall || isChunked)) {
    collectUpTo(Math.max(collectedBytesMax, wholeBytesMax), request, call, requestBytesMax, dispatch, take)
  } else if (isSmall) {
    collect(request, call, dispatch)
  } else if (isChunked && wholeBytesMax > 0) {
    collectUpTo(wholeBytesMax, request, call, requestBytesMax, dispatch)
  } else {
    pass(request, call, requestBytesMax, dispatch)
  }
}

/** Whether a body with this `content-encoding` can be read as it is. */
export const isPlain = (encoding: string | null | undefined): boolean =>
  encoding == null || encoding.trim().toLowerCase() === "identity"

const collect = (request: IncomingMessage, call: Call, dispatch: (body: Buffer) => void) => {
  const chunks: Array<Buffer> = []
  request.on("data", (chunk: Buffer) => {
    call.heardAt = performance.now()
    call.record.request.add(chunk)
    chunks.push(chunk)
  })
  request.on("end", () => {
    call.heardAt = null
    const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
    // The request is there as long as its call.
    chunks.length = 0
    dispatch(body)
  })
}

/** A body of unknown size: it passes as it comes once it has grown too long to be collected, or longer than there is memory for. */
const collectUpTo = (
  wholeBytesMax: number,
  request: IncomingMessage,
  call: Call,
  bytesMax: number,
  dispatch: (body: Buffer | Readable) => void,
  take?: (body: Buffer) => void
) => {
  let pieces = new Pieces()
  let bytes = 0
  const more = (chunk: Buffer) => {
    call.heardAt = performance.now()
    // Its client was answered already, and may send more of it: nobody would give back what that holds.
    if (call.isOver) return
    pieces.add(chunk)
    bytes += chunk.length
    if (bytes <= wholeBytesMax && (bytes <= collectedBytesMax || call.record.holds(bytes))) return
    call.record.letGo()
    request.off("data", more)
    request.off("end", whole)
    request.pause()
    request.unshift(pieces.content)
    pass(request, call, bytesMax, dispatch)
  }
  const whole = () => {
    call.heardAt = null
    if (call.isOver) return
    const { buffer, byteLength, byteOffset } = pieces.content
    const body = Buffer.from(buffer, byteOffset, byteLength)
    pieces = new Pieces()
    call.record.letGo()
    if (take !== undefined) {
      take(body)
      return
    }
    call.record.request.add(body)
    dispatch(body)
  }
  request.on("data", more)
  request.on("end", whole)
}

const pass = (request: IncomingMessage, call: Call, bytesMax: number, dispatch: (body: Readable) => void) => {
  const body = new PassThrough()
  const readOn = () => {
    request.unpipe(body)
    request.resume()
  }
  body.on("error", () => {})
  // Nobody takes more of it when an answer came before its end: many clients read that only once they have sent the rest.
  body.on("close", readOn)
  request.on("data", (chunk: Buffer) => {
    call.heardAt = performance.now()
    call.record.request.add(chunk)
    if (call.record.request.bytes > bytesMax) {
      call.fail("tooLarge", `the request is larger than ${bytesMax} bytes`)
      body.destroy()
      readOn()
    }
  })
  request.on("end", () => {
    call.heardAt = null
    call.requestEnded()
  })
  // A client that leaves while it uploads must not look like the end of its body.
  request.on("close", () => {
    if (!request.complete) body.destroy()
  })
  request.pipe(body)
  dispatch(body)
}
