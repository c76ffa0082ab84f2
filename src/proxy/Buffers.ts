/** Smaller ones come out of Node's own pool. */
const smallMax = 4_096
const bufferBytes = 24 * 1_024
/** So many are kept for reuse: 1.5 MB. */
const keptMax = 64

/**
 * Buffers for pieces on their way out, used again once they have left. V8 counts what lies outside its heap: with new ones for every
 * few kB it would mark its whole heap several times a second while streams come in quickly.
 */
export class Buffers {
  private readonly free: Array<Buffer> = []

  /** At least so many bytes, of any content. */
  take(bytes: number): Buffer {
    if (bytes <= smallMax || bytes > bufferBytes) return Buffer.allocUnsafe(bytes)
    return this.free.pop() ?? Buffer.allocUnsafeSlow(bufferBytes)
  }

  /** Nobody reads it any more. Others than its own it leaves alone. */
  giveBack(buffer: Buffer): void {
    if (buffer.length === bufferBytes && this.free.length < keptMax) this.free.push(buffer)
  }
}
