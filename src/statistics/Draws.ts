/** Pseudo-random numbers from a seed: the same on every machine, so that a report can be made again. */

/** Blackman and Vigna's xoshiro128**, seeded through splitmix32. */
export class Draws {
  private a: number
  private b: number
  private c: number
  private d: number

  constructor(seed: number) {
    let state = (seed ^ Math.floor(seed / 2 ** 32)) >>> 0
    const next = () => {
      state = state + 0x9e3779b9 >>> 0
      let mixed = Math.imul(state ^ state >>> 16, 0x21f0aaad)
      mixed = Math.imul(mixed ^ mixed >>> 15, 0x735a2d97)
      return (mixed ^ mixed >>> 15) >>> 0
    }
    this.a = next()
    this.b = next()
    this.c = next()
    this.d = next()
  }

  /** A whole number in [0, 2^32). */
  bits(): number {
    const product = Math.imul(this.b, 5)
    const result = Math.imul(product << 7 | product >>> 25, 9) >>> 0
    const shifted = this.b << 9
    this.c ^= this.a
    this.d ^= this.b
    this.b ^= this.c
    this.a ^= this.d
    this.c ^= shifted
    this.d = this.d << 11 | this.d >>> 21
    return result
  }

  /** In [0, 1), in steps of 2^-32. */
  uniform(): number {
    return this.bits() / 2 ** 32
  }

  /** A whole number in [0, n), for n far below 2^32. */
  below(n: number): number {
    return Math.floor(this.uniform() * n)
  }
}

/** The items in random order: Fisher and Yates's shuffle, from the end, as Python's `random.shuffle` does it. */
export const shuffled = <A>(
  draws: { readonly below: (n: number) => number },
  items: ReadonlyArray<A>
): ReadonlyArray<A> => {
  const order = [...items]
  for (let last = order.length - 1; last > 0; last -= 1) {
    const other = draws.below(last + 1)
    const kept = order[last]!
    order[last] = order[other]!
    order[other] = kept
  }
  return order
}
