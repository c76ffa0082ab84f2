import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import type { IncomingMessage } from "node:http"
import { PassThrough, Readable } from "node:stream"
import type { Call } from "../../src/proxy/Call.js"
import { defaultLimits } from "../../src/proxy/ProxyOptions.js"
import { sendUpstream } from "../../src/proxy/RequestBody.js"

const long = Buffer.alloc(1_500_000)

/** A request of unknown size that is to be known whole, and what happened to it. */
const sending = (hasRoom = true) => {
  const log: Array<string> = []
  const passed: Array<Readable> = []
  const request = Object.assign(new PassThrough(), { headers: { "transfer-encoding": "chunked" }, complete: false })
  const call = {
    isOver: false,
    heardAt: null,
    fail: (kind: string) => void log.push(`fail ${kind}`),
    record: {
      request: { add: () => {}, bytes: 0 },
      holds: (bytes: number) => (log.push(`hold ${bytes}`), hasRoom),
      letGo: () => void log.push("let go")
    }
  }
  sendUpstream(
    request as unknown as IncomingMessage,
    call as unknown as Call,
    defaultLimits,
    (body) => {
      log.push("pass")
      if (body instanceof Readable) passed.push(body)
    },
    4_000_000,
    ({ length }) => void log.push(`take ${length}`)
  )
  const write = (bytes: Buffer) => new Promise((resolve) => request.write(bytes, resolve))
  return { call, log, passed, request, write }
}

describe("A request's body that must be known whole", () => {
  it("is held no longer once it is, before it goes on", async () => {
    const { log, request, write } = sending()
    await write(long)
    request.end()
    await once(request, "end")
    assert.deepStrictEqual(log, ["hold 1500000", "let go", "take 1500000"])
  })

  it("is neither held nor sent on when its call is over", async () => {
    const { call, log, request, write } = sending()
    await write(Buffer.alloc(10))
    call.isOver = true
    await write(long)
    request.end()
    await once(request, "end")
    assert.deepStrictEqual(log, [])
  })

  it("passes as it comes where there is no memory to hold it, and breaks where its client leaves", async () => {
    const { log, passed, request, write } = sending(false)
    await write(long)
    assert.deepStrictEqual(log, ["hold 1500000", "let go", "pass"])
    const [body = assert.fail("nothing passed")] = passed
    const closed = once(body, "close")
    request.destroy()
    await closed
    assert.isFalse(body.readableEnded)
  })
})
