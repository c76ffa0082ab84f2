/** Names of headers. Their length and first letter tell of most others that they are none of them, without hashing them. */
export class HeaderNames {
  private readonly names: ReadonlySet<string>
  private readonly hints = new Uint8Array(64 * 32)

  /** `names` are lower-case. */
  constructor(names: ReadonlyArray<string>) {
    this.names = new Set(names)
    for (const name of names) this.hints[hintOf(name)] = 1
  }

  /** Whether a name, in whatever case, is one of them. */
  has(name: string): boolean {
    return this.hints[hintOf(name)] === 1 && this.names.has(name.toLowerCase())
  }
}

/** The same for a letter in both cases. */
const hintOf = (name: string): number => (name.length & 63) * 32 + (name.charCodeAt(0) & 31)
