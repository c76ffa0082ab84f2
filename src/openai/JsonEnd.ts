/** Finds, while a JSON document passes by in pieces, the bracket that closes it. */
import { backslash, isSpace, listCloses, listOpens, objectCloses, objectOpens, quote } from "./jsonBytes.js"

export class JsonEnd {
  private depth = 0
  private inText = false
  private isEscaped = false
  private hasEnded = false
  /** What passes is no object and no list, or more than one: where it ends cannot be told. */
  isUnknown = false

  /** The offset in this chunk of the bracket after which nothing but space comes, or -1. */
  scan(chunk: Uint8Array): number {
    let end = -1
    for (let at = 0; at < chunk.length && !this.isUnknown; at++) {
      const byte = chunk[at]!
      if (this.inText) this.readText(byte)
      else if (byte === objectOpens || byte === listOpens) this.open()
      else if (byte === objectCloses || byte === listCloses) {
        this.depth -= 1
        this.hasEnded = this.depth === 0
        if (this.hasEnded) end = at
        else this.isUnknown = this.depth < 0
      } else if (this.depth === 0) this.isUnknown = !isSpace(byte)
      else this.inText = byte === quote
    }
    return this.isUnknown ? -1 : end
  }

  private open() {
    this.isUnknown = this.hasEnded
    this.depth += 1
  }

  private readText(byte: number) {
    if (this.isEscaped) this.isEscaped = false
    else if (byte === backslash) this.isEscaped = true
    else this.inText = byte !== quote
  }
}
