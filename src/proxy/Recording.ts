import { Pieces } from "./Pieces.js"
import type { RecordingBudget } from "./RecordingBudget.js"

/** A bounded copy of a body as it passes: the chunks up to a limit, and the count of all. */
export class Recording {
  private pieces = new Pieces()
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
    this.pieces.add(part)
  }

  get isTruncated(): boolean {
    return this.bytes > this.kept
  }

  get content(): Uint8Array {
    return this.pieces.content
  }

  /** How much of it is kept. */
  get size(): number {
    return this.kept
  }

  /** Gives its content away, which counts as held for it all the same. */
  take(): Uint8Array {
    const { content } = this.pieces
    this.pieces = new Pieces()
    return content
  }

  /** The call is over: its bytes are no longer held for it. */
  release(): void {
    if (this.isReleased) return
    this.isReleased = true
    this.budget.used -= this.kept
  }
}
