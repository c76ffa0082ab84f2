/** How long calls took, in the memory of some thousand numbers however many there are: to three digits. */
export class Durations {
  private readonly counts = new Map<number, number>()
  private n = 0

  add(ms: number): void {
    const kept = Number(Math.max(0, ms).toPrecision(3))
    this.counts.set(kept, (this.counts.get(kept) ?? 0) + 1)
    this.n += 1
  }

  /** The least that so large a part of them took no longer than; null where there are none. */
  quantile(part: number): number | null {
    let left = Math.ceil(part * this.n)
    for (const ms of [...this.counts.keys()].toSorted((a, b) => a - b)) {
      left -= this.counts.get(ms)!
      if (left <= 0) return ms
    }
    return null
  }
}
