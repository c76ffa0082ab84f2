/** What can be in a list of members. */
export interface Member {
  /** Where it stands in its list, which keeps it up to date; -1 in none. */
  place: number
}

/**
 * The calls or connections there are, for adding and removing many of them each second. No `Set`: a table that it has outgrown leads to
 * the one after it, so that a table which was once moved to the old generation keeps all that came later from the young collector.
 */
export class Members<T extends Member> implements Iterable<T> {
  private readonly list: Array<T> = []

  get size(): number {
    return this.list.length
  }

  /** One that is in no list yet. */
  add(member: T): void {
    member.place = this.list.length
    this.list.push(member)
  }

  /** False when it was not in this list. */
  delete(member: T): boolean {
    const { place } = member
    if (this.list[place] !== member) return false
    const last = this.list.pop()!
    if (last !== member) {
      this.list[place] = last
      last.place = place
    }
    member.place = -1
    return true
  }

  /** Those of now, whatever is removed meanwhile. */
  [Symbol.iterator](): Iterator<T> {
    return [...this.list][Symbol.iterator]()
  }
}
