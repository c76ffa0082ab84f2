import type { ServerResponse } from "node:http"
import * as Headers from "./Headers.js"
import { isPlain } from "./RequestBody.js"

/** The head of an upstream's answer on its way to the client, and what it says of the body. */
export class AnswerHead {
  readonly contentType: string | null
  /** Those of all its headers, as one list. */
  readonly contentEncoding: string | null
  /** Its `content-length`; null when it has none. */
  readonly length: number | null
  /** Its body comes in a transfer coding that is undone nowhere, and that no header here may name: only `chunked` is. */
  readonly isCoded: boolean
  private readonly message: string
  private headers: Array<string>
  private isSent = false

  /** `isShared` when the proxy itself says which web pages may read the answer. */
  constructor(
    readonly status: number,
    raw: ReadonlyArray<string>,
    message: string | undefined,
    private readonly isShared: boolean
  ) {
    this.message = Headers.phraseOf(message)
    this.headers = Headers.lengthLast(Headers.toClient(raw, isShared))
    this.contentType = Headers.valueOf(raw, "content-type")
    this.contentEncoding = Headers.listOf(raw, "content-encoding")
    const length = Headers.valueOf(raw, "content-length")
    this.length = length !== null && /^\d+$/.test(length) ? Number(length) : null
    const coding = Headers.listOf(raw, "transfer-encoding")
    this.isCoded = coding !== null && coding !== "chunked" && !undone.test(coding)
  }

  /** The body can be read as it passes. */
  get isPlain(): boolean {
    return isPlain(this.contentEncoding)
  }

  isOf(type: string): boolean {
    return this.contentType?.split(";", 1)[0]!.trim().toLowerCase() === type
  }

  /** Something may be taken out of the body. */
  unsize(): void {
    if (!this.isSent) this.headers = Headers.unsized(this.headers)
  }

  /** Once: later calls change nothing. */
  send(outgoing: ServerResponse): void {
    if (this.isSent) return
    this.isSent = true
    const { headers, isShared, message, status } = this
    if (!isShared) {
      outgoing.writeHead(status, message, headers)
      return
    }
    // Beside headers that were set before, Node would keep the last of each name, and none of those.
    for (let index = 0; index < headers.length; index += 2) outgoing.appendHeader(headers[index]!, headers[index + 1]!)
    outgoing.writeHead(status, message)
  }
}

/** Transfer codings of which nothing is left once a body has been read. */
const undone = /^(?:[\s,]|chunked\b|identity\b)*$/i
