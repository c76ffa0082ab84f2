/** A bounded copy of a body as it passes: the chunks up to a limit, and the count of all. */
export class Recording {
  private readonly chunks: Array<Uint8Array> = []
  private kept = 0
  bytes = 0

  constructor(private readonly bytesMax: number) {}

  add(chunk: Uint8Array): void {
    this.bytes += chunk.length
    const room = this.bytesMax - this.kept
    if (room <= 0) return
    const part = chunk.length <= room ? chunk : chunk.subarray(0, room)
    this.chunks.push(part)
    this.kept += part.length
  }

  get isTruncated(): boolean {
    return this.bytes > this.kept
  }

  get content(): Uint8Array {
    return this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks)
  }
}
