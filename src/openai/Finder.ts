/**
 * Finds the next of a character or byte again and again, from places that only grow: what it is in is searched once, and not from
 * each of these places to an end where there may be none.
 */
export class Finder<What> {
  private found = -2

  constructor(
    private readonly within: { indexOf: (what: What, from: number) => number },
    private readonly what: What
  ) {}

  /** The first at or behind a place, -1 when there is none. */
  from(place: number): number {
    if (this.found !== -1 && this.found < place) this.found = this.within.indexOf(this.what, place)
    return this.found
  }
}
