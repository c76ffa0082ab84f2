/** An answer that is read on for the record alone, since its client has left: only so long and so far. */
export class ReadOn {
  private readonly timer: NodeJS.Timeout

  /** `from` bytes of it had come when the client left, and nothing more for `silentMs`. */
  constructor(
    private readonly limits: { readonly ms: number; readonly bytesMax: number },
    private readonly from: number,
    readonly silentMs: number,
    timedOut: () => void
  ) {
    this.timer = setTimeout(timedOut, limits.ms)
  }

  /** Whether more of it has come since. */
  hasRead(bytes: number): boolean {
    return bytes > this.from
  }

  /** Whether that is more than is read. */
  isTooFar(bytes: number): boolean {
    return bytes - this.from > this.limits.bytesMax
  }

  end(): void {
    clearTimeout(this.timer)
  }
}
