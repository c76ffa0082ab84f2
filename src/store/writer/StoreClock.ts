/**
 * The store's time: the wall clock as long as it runs forwards. A clock that was set back is not followed, and time does not
 * stand still either until it has caught up: meanwhile it goes on by the monotonic clock, so that leases end and pauses
 * pass however the system's clock was moved.
 */
export class StoreClock {
  private timeMs = 0
  private readAtMs: number

  /** `monotonicMs` reads a clock that nobody can set. */
  constructor(private readonly monotonicMs: () => number) {
    this.readAtMs = monotonicMs()
  }

  /** The time, Unix milliseconds, given what the wall clock said when it was asked for. */
  at(wallMs: number): number {
    const readAtMs = this.monotonicMs()
    const isForwards = Number.isFinite(wallMs) && wallMs >= Math.floor(this.timeMs)
    this.timeMs = isForwards ? wallMs : this.timeMs + Math.max(0, readAtMs - this.readAtMs)
    this.readAtMs = readAtMs
    return Math.floor(this.timeMs)
  }
}
