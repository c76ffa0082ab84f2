const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

/** The end of the text, at most `bytesMax` bytes of UTF-8, never half a character. */
const lastBytes = (text: string, bytesMax: number): string => {
  const bytes = Buffer.from(text)
  let from = Math.max(0, bytes.length - bytesMax)
  // Bytes 10xxxxxx continue a character that was cut.
  while (from > 0 && from < bytes.length && ((bytes[from] ?? 0) & 0xc0) === 0x80) from += 1
  return bytes.toString("utf8", from)
}

/** Keeps the last bytes of a stream of any length in bounded memory. */
export class ByteTail {
  private chunks: Array<Uint8Array> = []
  private kept = 0

  constructor(private readonly bytesMax: number) {}

  push(chunk: Uint8Array): void {
    this.chunks.push(chunk)
    this.kept += chunk.length
    if (this.kept > 2 * this.bytesMax + 65_536) this.compact()
  }

  /** Valid UTF-8 of at most `bytesMax` bytes; bytes that are none, and NUL, become U+FFFD. */
  text(): string {
    this.compact()
    const bytes = this.chunks[0] ?? new Uint8Array()
    let from = 0
    while (from < 3 && ((bytes[from] ?? 0) & 0xc0) === 0x80) from += 1
    return lastBytes(decoder.decode(bytes.subarray(from)).replaceAll("\0", "\uFFFD"), this.bytesMax)
  }

  private compact(): void {
    // A copy, so that a small tail does not hold a large chunk.
    const tail = Uint8Array.from(Buffer.concat(this.chunks).subarray(-this.bytesMax))
    this.chunks = [tail]
    this.kept = tail.length
  }
}
