import type { ServerResponse } from "node:http"
import { Buffers } from "./Buffers.js"

/** Longer pieces are left to Node: copying them would cost more than the writes it saves. */
const smallMax = 4_096
/** So much is gathered of one turn. */
const gatheredMax = 16_384
const none: Uint8Array = new Uint8Array(0)
const carriageReturn = 13
const lineFeed = 10
const digits = Buffer.from("0123456789abcdef")
const buffers = new Buffers()

/**
 * The body of an answer on its way to the client. Node writes each chunk in four pieces; here the small chunks of one turn leave
 * as one piece, each still a chunk of its own.
 */
export class AnswerBody {
  private gathered: Array<Uint8Array> = []
  private gatheredBytes = 0
  /** Bytes that must not leave before the commit; null while everything may pass. */
  private held: Array<Uint8Array> | null = null
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

  /** The client takes its bytes more slowly than they come. */
  get isHeldUp(): boolean {
    return this.isPaused
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
      this.letPass()
      return
    }
    if (this.gathered.length === 0) process.nextTick(flush, this)
    this.gathered.push(bytes)
    this.gatheredBytes += bytes.length
    if (this.gatheredBytes > gatheredMax) this.flush()
  }

  get isHolding(): boolean {
    return this.held !== null
  }

  /** Keeps bytes back. What comes behind them is to be held as well, until they may go. */
  hold(bytes: Uint8Array): void {
    if (this.held === null) this.held = [bytes]
    else this.held.push(bytes)
  }

  /** What was held leaves as if it were written now. */
  letGo(): void {
    const { held } = this
    if (held === null) return
    this.held = null
    for (const bytes of held) this.write(bytes)
  }

  /** What was written before, what was held, and the end. */
  end(trailers: ReadonlyArray<[string, string]> | null = null): void {
    const { outgoing } = this
    // Most often it is all that was held: it goes in one write with the end.
    const last = this.held?.pop() ?? none
    this.letGo()
    if (!outgoing.chunkedEncoding) {
      outgoing.end(last.length > 0 ? last : undefined)
      return
    }
    // Until Node's own end, which lets it all go: in one write with the last chunk.
    outgoing.socket?.cork()
    this.write(last)
    this.flush()
    if (trailers !== null) outgoing.addTrailers(trailers)
    outgoing.end()
  }

  /** What was gathered leaves now, in chunks of our own making: Node is to pass them on as they are. */
  flush(): void {
    const { gathered, outgoing } = this
    if (gathered.length === 0) return
    const bytes = this.gatheredBytes
    this.gathered = []
    this.gatheredBytes = 0
    if (outgoing.destroyed) return
    // Up to four digits of each length, and the ends of two lines.
    const buffer = buffers.take(bytes + 8 * gathered.length)
    const chunks = buffer.subarray(0, writeChunks(gathered, buffer))
    // Else Node holds it back until the end of the turn.
    outgoing.socket?.cork()
    outgoing.chunkedEncoding = false
    if (!outgoing.write(chunks, () => buffers.giveBack(buffer))) this.wait()
    outgoing.chunkedEncoding = true
    outgoing.socket?.uncork()
  }

  /** Node 26 keeps chunks of its own back until the end of the turn, where those made here would overtake them, and makes one of several. */
  private letPass() {
    const { outgoing } = this
    if (outgoing.chunkedEncoding && outgoing.writableCorked > 0) outgoing.uncork()
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

/** Writes pieces of up to `smallMax` bytes down as chunks (RFC 9112, 7.1). The number of bytes that they are. */
const writeChunks = (pieces: ReadonlyArray<Uint8Array>, buffer: Uint8Array): number => {
  let at = 0
  for (const piece of pieces) {
    const { length } = piece
    if (length > 0xfff) buffer[at++] = digits[length >> 12]!
    if (length > 0xff) buffer[at++] = digits[length >> 8 & 15]!
    if (length > 0xf) buffer[at++] = digits[length >> 4 & 15]!
    buffer[at++] = digits[length & 15]!
    buffer[at++] = carriageReturn
    buffer[at++] = lineFeed
    buffer.set(piece, at)
    at += length
    buffer[at++] = carriageReturn
    buffer[at++] = lineFeed
  }
  return at
}
