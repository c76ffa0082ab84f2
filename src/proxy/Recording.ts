import type { RecordingBudget } from "./RecordingBudget.js"

/** So many chunks are kept as they came; of later ones the small are copied together. */
const looseMax = 8
const smallMax = 512
const blockBytes = 8 * 1024

/** A bounded copy of a body as it passes: the chunks up to a limit, and the count of all. */
export class Recording {
  private readonly chunks: Array<Uint8Array> = []
  private block: Buffer | null = null
  private blockFrom = 0
  private blockTo = 0
  private kept = 0
  private isReleased = false
  bytes = 0

  constructor(private readonly bytesMax: number, private readonly budget: RecordingBudget) {}

  /** `length` is more than the chunk's where that is the beginning of what passed. */
  add(chunk: Uint8Array, length = chunk.length): void {
    // Once cut, nothing follows: a record with a hole in it would read as something that was never said.
    const isWhole = this.bytes === this.kept
    this.bytes += length
    if (!isWhole || this.isReleased) return
    const room = Math.min(this.bytesMax - this.kept, this.budget.roomFor(this.kept))
    if (room < chunk.length) this.budget.cuts += 1
    if (room <= 0) return
    const part = chunk.length <= room ? chunk : chunk.subarray(0, room)
    this.kept += part.length
    this.budget.used += part.length
    this.keep(part)
  }

  /** A chunk of a few bytes costs far more as an object of its own: a peer must not choose how much. */
  private keep(part: Uint8Array) {
    if (this.chunks.length < looseMax || part.length > smallMax) {
      this.closeBlock()
      this.chunks.push(part)
      return
    }
    if (this.block === null || this.block.length - this.blockTo < part.length) {
      this.closeBlock()
      this.block = Buffer.allocUnsafeSlow(blockBytes)
      this.blockFrom = this.blockTo = 0
    }
    this.block.set(part, this.blockTo)
    this.blockTo += part.length
  }

  private closeBlock() {
    if (this.block === null || this.blockTo === this.blockFrom) return
    this.chunks.push(this.block.subarray(this.blockFrom, this.blockTo))
    this.blockFrom = this.blockTo
  }

  get isTruncated(): boolean {
    return this.bytes > this.kept
  }

  get content(): Uint8Array {
    this.closeBlock()
    return this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks)
  }

  /** The call is over: its bytes are no longer held for it. */
  release(): void {
    if (this.isReleased) return
    this.isReleased = true
    this.budget.used -= this.kept
  }
}
