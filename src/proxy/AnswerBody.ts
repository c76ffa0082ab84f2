import type { ServerResponse } from "node:http"

/** Longer pieces are left to Node: copying them would cost more than the writes it saves. */
const smallMax = 4_096
/** So much is gathered of one turn. */
const gatheredMax = 16_384
const none: Uint8Array = new Uint8Array(0)
const carriageReturn = 13
const lineFeed = 10
const digits = Buffer.from("0123456789abcdef")

/**
 * The body of an answer on its way to the client. Node writes each chunk in four pieces; here the small chunks of one turn leave
 * as one piece, each still a chunk of its own.
 */
export class AnswerBody {
  private gathered: Array<Uint8Array> = []
  private gatheredBytes = 0
  private isPaused = false

  /** When the client takes bytes more slowly than they come, `pause` is called, and `resume` once it has taken them. */
  constructor(
    private readonly outgoing: ServerResponse,
    private readonly pause: () => void,
    private readonly resume: () => void
  ) {}

  /** Bytes that have left on the client's connection while more must wait for it; null while nothing waits. */
  get sentWhilePaused(): number | null {
    return this.isPaused ? this.outgoing.socket?.bytesWritten ?? null : null
  }

  /** The client has left: nothing waits for it any more. */
  giveUp(): void {
    this.isPaused = false
  }

  /** Its head was handed to Node before. Small pieces leave at the end of the turn. */
  write(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    if (!this.outgoing.chunkedEncoding || bytes.length > smallMax) {
      this.flush()
      if (!this.outgoing.write(bytes)) this.wait()
      return
    }
    if (this.gathered.length === 0) process.nextTick(flush, this)
    this.gathered.push(bytes)
    this.gatheredBytes += bytes.length
    if (this.gatheredBytes > gatheredMax) this.flush()
  }

  /** What was written before, these last bytes, and the end. */
  end(bytes = none, trailers: ReadonlyArray<[string, string]> | null = null): void {
    const { outgoing } = this
    if (!outgoing.chunkedEncoding) {
      outgoing.end(bytes.length > 0 ? bytes : undefined)
      return
    }
    // Until Node's own end, which lets it all go: in one write with the last chunk.
    outgoing.socket?.cork()
    this.write(bytes)
    this.flush()
    if (trailers !== null) outgoing.addTrailers(trailers)
    outgoing.end()
  }

  /** What was gathered leaves now, in chunks of our own making: Node is to pass them on as they are. */
  flush(): void {
    const { gathered, outgoing } = this
    if (gathered.length === 0) return
    const chunks = chunksOf(gathered, this.gatheredBytes)
    this.gathered = []
    this.gatheredBytes = 0
    if (outgoing.destroyed) return
    // Else Node holds it back until the end of the turn.
    outgoing.socket?.cork()
    outgoing.chunkedEncoding = false
    if (!outgoing.write(chunks)) this.wait()
    outgoing.chunkedEncoding = true
    outgoing.socket?.uncork()
  }

  private wait() {
    this.pause()
    if (this.isPaused) return
    this.isPaused = true
    this.outgoing.once("drain", this.drained)
  }

  private readonly drained = () => {
    this.isPaused = false
    this.resume()
  }
}

const flush = (body: AnswerBody) => body.flush()

/** Pieces of up to `smallMax` bytes, so many together, as chunks (RFC 9112, 7.1). */
const chunksOf = (pieces: ReadonlyArray<Uint8Array>, bytes: number): Uint8Array => {
  // Up to four digits of a length, and the ends of two lines.
  const chunks = Buffer.allocUnsafe(bytes + 8 * pieces.length)
  let at = 0
  for (const piece of pieces) {
    const { length } = piece
    if (length > 0xfff) chunks[at++] = digits[length >> 12]!
    if (length > 0xff) chunks[at++] = digits[length >> 8 & 15]!
    if (length > 0xf) chunks[at++] = digits[length >> 4 & 15]!
    chunks[at++] = digits[length & 15]!
    chunks[at++] = carriageReturn
    chunks[at++] = lineFeed
    chunks.set(piece, at)
    at += length
    chunks[at++] = carriageReturn
    chunks[at++] = lineFeed
  }
  return chunks.subarray(0, at)
}
