/** So many pieces are kept as they came; of later ones the small are copied together. */
const looseMax = 8
const smallMax = 512
const blockBytes = 8 * 1024

/** The pieces of a body, in order. One of a few bytes costs far more as an object of its own: a peer must not choose how much. */
export class Pieces {
  private readonly pieces: Array<Uint8Array> = []
  private block: Buffer | null = null
  private blockFrom = 0
  private blockTo = 0

  add(piece: Uint8Array): void {
    if (this.pieces.length < looseMax || piece.length > smallMax) {
      this.closeBlock()
      this.pieces.push(piece)
      return
    }
    if (this.block === null || this.block.length - this.blockTo < piece.length) {
      this.closeBlock()
      this.block = Buffer.allocUnsafeSlow(blockBytes)
      this.blockFrom = this.blockTo = 0
    }
    this.block.set(piece, this.blockTo)
    this.blockTo += piece.length
  }

  get content(): Uint8Array {
    this.closeBlock()
    return this.pieces.length === 1 ? this.pieces[0]! : Buffer.concat(this.pieces)
  }

  private closeBlock() {
    if (this.block === null || this.blockTo === this.blockFrom) return
    this.pieces.push(this.block.subarray(this.blockFrom, this.blockTo))
    this.blockFrom = this.blockTo
  }
}
