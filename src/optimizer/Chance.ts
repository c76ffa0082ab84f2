import { Draws, shuffled } from "../statistics/Draws.js"

/**
 * Random numbers by where they are needed: the same seed and path give the same numbers, whatever was drawn before. There is
 * no state that a crash could lose, and branches that run beside each other cannot disturb one another.
 */
export class Chance {
  constructor(private readonly seed: number) {}

  /** The stream of a place such as `iter/17/parent`. */
  at(path: string): Draws {
    return new Draws(hash53(`${this.seed}/${path}`))
  }

  /** In [0, 1). */
  uniform(path: string): number {
    return this.at(path).uniform()
  }

  /** A whole number in [0, n). */
  below(path: string, n: number): number {
    return this.at(path).below(n)
  }

  /** One of the items. */
  pick<A>(path: string, items: ReadonlyArray<A>): A {
    return items[this.below(path, items.length)]!
  }

  /** The items in random order. */
  shuffled<A>(path: string, items: ReadonlyArray<A>): ReadonlyArray<A> {
    return shuffled(this.at(path), items)
  }
}

/** 53 bits of a text: two FNV-1a runs of different offset, each mixed as MurmurHash3 ends. */
const hash53 = (text: string): number => {
  let low = 0x811c9dc5
  let high = 0x41c6ce57
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    low = Math.imul(low ^ code, 0x01000193)
    high = Math.imul(high ^ code, 0x5bd1e995)
  }
  return (mixed(high) & 0x1fffff) * 2 ** 32 + mixed(low)
}

const mixed = (hash: number): number => {
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b)
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2ae35)
  return (hash ^ hash >>> 16) >>> 0
}
