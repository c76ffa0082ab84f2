import { JsonEnd } from "../openai/JsonEnd.js"
import { TerminalScanner } from "../openai/TerminalEvent.js"

/**
 * What of an answer a client acts on as its end, and must not leave before the commit: the terminal event of a stream, the last
 * bytes of a sized body, the last bracket of JSON.
 */
export class AnswerEnd {
  private scanner: TerminalScanner | null = null
  private json: JsonEnd | null = null
  /** Its `content-length`; null when it has none. */
  sizedTo: number | null = null

  get isStream(): boolean {
    return this.scanner !== null
  }

  /** The terminal event of a stream has come: nothing more of the answer does. */
  get isWhole(): boolean {
    return this.scanner?.isWhole === true
  }

  /** And its blank line with it. */
  get isClosed(): boolean {
    return this.scanner?.isClosed === true
  }

  scanEvents(): void {
    this.scanner = new TerminalScanner()
    this.json = null
  }

  scanJson(): void {
    this.json = new JsonEnd()
  }

  /** First byte of the chunk that must wait, or its length when all may pass; `bytes` have come with it. */
  holdFrom(chunk: Uint8Array, bytes: number): number {
    const offset = this.scanner?.scan(chunk) ?? this.json?.scan(chunk) ?? -1
    if (offset !== -1) return offset
    return this.sizedTo !== null && bytes >= this.sizedTo ? 0 : chunk.length
  }

  /** Reads what came behind that; true when it shows that the end was none: one JSON text came after another. */
  goesOn(chunk: Uint8Array): boolean {
    this.scanner?.scan(chunk)
    this.json?.scan(chunk)
    return this.json?.isUnknown === true
  }
}
