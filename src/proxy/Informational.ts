/** What all status lines begin with, up to the version's last digit; the status follows it, behind a blank. */
const lineBegin = Buffer.from("HTTP/1.")
const carriageReturn = 13
const lineFeed = 10
const zero = 48
const one = 49
const two = 50

/**
 * The informational answers (1xx) before an answer, as the bytes of a connection bring them. Any of them may come unasked, and is to be
 * passed over (RFC 9110, 15.2): some servers send `100 Continue` before every answer to an upload. undici takes that one alone for a
 * connection gone wrong, and gives the call up. It is made a `102` here, byte for byte as long, which undici passes over.
 */
export class Informational {
  /** So much of the status line has come; null behind the heads of informational answers, and within one. */
  private lineAt: number | null = 0
  /** So much of the blank line that ends an informational head has come; null outside of one. */
  private endAt: number | null = null
  private tens = 0
  /** The connection is another protocol's from here on. */
  private isSwitched = false

  /** A request goes out: what comes next is the head of an answer. */
  expect(): void {
    if (this.isSwitched) return
    this.lineAt = 0
    this.endAt = null
  }

  /** Looks at bytes as they come, in whatever pieces, and changes them where they are. */
  read(bytes: Uint8Array): void {
    for (let index = 0; index < bytes.length && (this.lineAt !== null || this.endAt !== null); index++) {
      if (this.endAt === null) this.readLine(bytes, index)
      else this.readHead(bytes[index]!)
    }
  }

  private readLine(bytes: Uint8Array, index: number) {
    const byte = bytes[index]!
    const at = this.lineAt!
    if (at === 0 && (byte === carriageReturn || byte === lineFeed)) return
    this.lineAt = at + 1
    const status = at - lineBegin.length - 2
    if (status < 0) {
      if (at < lineBegin.length && byte !== lineBegin[at]) this.lineAt = null
    } else if (status === 0) {
      if (byte !== one) this.lineAt = null
    } else if (status === 1) this.tens = byte
    else {
      this.lineAt = null
      this.isSwitched = this.tens === zero && byte === one
      if (this.isSwitched) return
      if (this.tens === zero && byte === zero) bytes[index] = two
      this.endAt = 0
    }
  }

  private readHead(byte: number) {
    const wanted = this.endAt! % 2 === 0 ? carriageReturn : lineFeed
    this.endAt = byte === wanted ? this.endAt! + 1 : byte === carriageReturn ? 1 : 0
    if (this.endAt === 4) this.expect()
  }
}
