/** Reads the `type` of a JSON object while its bytes pass, wherever in the object it stands: the last, as every parser in use does. */
import { backslash, colon, comma, listCloses, listOpens, objectCloses, objectOpens, quote } from "./jsonBytes.js"

/** Longer keys and types are none that anybody knows. */
const textBytesMax = 100

export class TypeScan {
  type: string | null = null
  private depth = 0
  private inText = false
  private isEscaped = false
  /** What the value that comes next at the object's own level is called; null where a key comes. */
  private key: string | null = null
  private isKeyNext = true
  /** Bytes of the text being read at that level, while it may matter. */
  private text: Array<number> | null = null

  read(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (this.inText) this.readText(byte)
      else if (byte === quote) {
        this.inText = true
        this.text = this.depth === 1 && (this.isKeyNext || this.key === "type") ? [] : null
      } else if (byte === objectOpens || byte === listOpens) this.depth++
      else if (byte === objectCloses || byte === listCloses) this.depth--
      else if (this.depth === 1 && byte === colon) this.isKeyNext = false
      else if (this.depth === 1 && byte === comma) this.isKeyNext = true
    }
  }

  private readText(byte: number) {
    if (byte === quote && !this.isEscaped) {
      this.inText = false
      this.take()
      return
    }
    this.isEscaped = byte === backslash && !this.isEscaped
    if (this.text !== null && this.text.push(byte) > textBytesMax) this.text = null
  }

  private take() {
    if (this.depth !== 1) return
    const said = this.text === null ? null : textOf(this.text)
    if (this.isKeyNext) this.key = said
    else if (this.key === "type") this.type = said
  }
}

const textOf = (bytes: ReadonlyArray<number>): string | null => {
  try {
    return JSON.parse(`"${Buffer.from(bytes).toString("utf8")}"`) as string
  } catch {
    return null
  }
}
