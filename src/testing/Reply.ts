/** Sends an answer, with the delays and faults that were asked for. */
import { once } from "node:events"
import type { ServerResponse } from "node:http"
import { setTimeout as sleep } from "node:timers/promises"
import { Refusal } from "./ChatRequest.js"
import type { Answer, ServedAnswer, SimulatedRequest } from "./Routes.js"

/** Ways to misbehave; what is not named happens as usual. */
export interface Fault {
  /** Answers with this status; without a `body`, with an error body that says it is simulated. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Breaks the connection once this many bytes of the body are sent. */
  readonly cutAfterBytes?: number
  /** Falls silent for so long once half of the body's pieces are sent. */
  readonly stallMs?: number
  readonly delayFirstByteMs?: number
}

/** What becomes of a request; undefined answers it as usual. */
export type Faults = (request: SimulatedRequest) => Fault | undefined

export interface Plan {
  readonly latencyMs: number
  readonly chunkDelayMs: number
  readonly fault: Fault
}

interface Body {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly pieces: ReadonlyArray<string | Uint8Array>
  readonly served: ServedAnswer | null
}

const json = { "content-type": "application/json" }

const simulatedError = (status: number) =>
  JSON.stringify({
    error: { message: "simulated failure", type: "simulated_error", param: null, code: `simulated_${status}` }
  })

const bodyOf = (answer: Answer, { body, headers, status }: Fault): Body => {
  if (status !== undefined || body !== undefined) {
    const code = status ?? 200
    return { status: code, headers: { ...json, ...headers }, pieces: [body ?? simulatedError(code)], served: null }
  }
  if (answer instanceof Refusal) {
    const own = { ...json, ...answer.headers, ...headers }
    return { status: answer.status, headers: own, pieces: [JSON.stringify(answer.body)], served: null }
  }
  if ("bytes" in answer) {
    const own = { "content-type": answer.contentType, ...headers }
    return { status: 200, headers: own, pieces: [answer.bytes], served: null }
  }
  if ("events" in answer) {
    const pieces = answer.events
    const own = { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", ...headers }
    return { status: 200, headers: own, pieces, served: answer.served }
  }
  const id: Record<string, string> = answer.served === null
    ? {}
    : { "x-request-id": `req_${answer.served.response_id}` }
  return {
    status: 200,
    headers: { ...json, ...id, ...headers },
    pieces: [JSON.stringify(answer.json)],
    served: answer.served
  }
}

/** One answer on its way. A client that leaves ends it: the waits reject, and the answer is not logged. */
export class Reply {
  private readonly left = new AbortController()

  constructor(
    private readonly response: ServerResponse,
    private readonly plan: Plan,
    private readonly log: (served: ServedAnswer) => void
  ) {
    response.once("close", () => this.left.abort())
  }

  async send(answer: Answer): Promise<void> {
    const { chunkDelayMs, fault, latencyMs } = this.plan
    const { headers, pieces, served, status } = bodyOf(answer, fault)
    await this.wait(latencyMs + (fault.delayFirstByteMs ?? 0))
    this.response.writeHead(status, headers)
    this.response.flushHeaders()
    let left = fault.cutAfterBytes ?? Infinity
    for (const [n, piece] of pieces.entries()) {
      if (n > 0) await this.wait(chunkDelayMs)
      if (n === Math.floor(pieces.length / 2)) await this.wait(fault.stallMs ?? 0)
      const bytes = typeof piece === "string" ? Buffer.from(piece) : piece
      if (bytes.length >= left) return this.cut(bytes.subarray(0, left))
      left -= bytes.length
      const isLast = n === pieces.length - 1
      if (isLast && served !== null) this.log(served)
      if (isLast) this.response.end(bytes)
      else if (!this.response.write(bytes)) await once(this.response, "drain", { signal: this.left.signal })
    }
  }

  /** Sends the rest and breaks the connection, once the rest is handed to the system. */
  private cut(bytes: Uint8Array): void {
    this.response.write(bytes, () => this.response.destroy())
  }

  private async wait(ms: number): Promise<void> {
    if (ms > 0) await sleep(ms, undefined, { signal: this.left.signal })
    this.left.signal.throwIfAborted()
  }
}
