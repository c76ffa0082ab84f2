/**
 * The places for notes in a file, used again in turns: those of calls that begin together lie side by side, where one write
 * reaches them all.
 */
export class NotePlaces {
  /** By place. An `old` one still holds the note of a call that has ended. */
  private readonly states: Array<"free" | "taken" | "old"> = []
  private next = 0
  private held = 0

  /** So many are taken. */
  get taken(): number {
    return this.held
  }

  take(): number {
    this.held += 1
    // Half of them free at least: the search is short.
    if (this.held * 2 > this.states.length + 2) this.next = this.states.length
    else while (this.states[this.next] === "taken") this.next = (this.next + 1) % this.states.length
    const place = this.next
    this.states[place] = "taken"
    this.next = place + 1
    if (this.next >= this.states.length) this.next = 0
    return place
  }

  /** A taken place has no note any more that says anything new. */
  leave(place: number): void {
    this.states[place] = "old"
    this.held -= 1
  }

  /** The places whose notes say nothing new; they are free from here on. */
  clear(): ReadonlyArray<number> {
    const old: Array<number> = []
    for (const [place, state] of this.states.entries()) if (state === "old") old.push(place)
    for (const place of old) this.states[place] = "free"
    return old
  }
}
