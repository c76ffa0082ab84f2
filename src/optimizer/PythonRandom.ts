/**
 * Random numbers as CPython draws them, and its order of small numbers in a set: with them a recorded run of the reference
 * implementation can be followed decision by decision.
 */
import type { Stream } from "./ParetoFront.js"

const size = 624
const period = 397

/** `random.Random(seed)` for a whole seed, 0 or more: the Mersenne twister (Matsumoto, Nishimura 1998, ACM TOMACS 8). */
export class PythonRandom implements Stream {
  private readonly state = new Uint32Array(size)
  private at = size

  constructor(seed: number) {
    const state = this.state
    // In pieces of 32 bits, the lowest first.
    const key = seed < 2 ** 32 ? [seed] : [seed % 2 ** 32, Math.floor(seed / 2 ** 32)]
    state[0] = 19_650_218
    for (let i = 1; i < size; i += 1) state[i] = Math.imul(1_812_433_253, state[i - 1]! ^ state[i - 1]! >>> 30) + i
    let i = 1
    for (let k = 0; k < size; k += 1) {
      const j = k % key.length
      state[i] = (state[i]! ^ Math.imul(state[i - 1]! ^ state[i - 1]! >>> 30, 1_664_525)) + key[j]! + j
      i = this.after(i)
    }
    for (let k = 1; k < size; k += 1) {
      state[i] = (state[i]! ^ Math.imul(state[i - 1]! ^ state[i - 1]! >>> 30, 1_566_083_941)) - i
      i = this.after(i)
    }
    state[0] = 0x80000000
  }

  /** `random()`: 53 bits. */
  uniform(): number {
    const high = this.bits() >>> 5
    const low = this.bits() >>> 6
    return (high * 2 ** 26 + low) / 2 ** 53
  }

  /** `_randbelow(n)`: as many bits as n has, until they are below it. */
  below(n: number): number {
    const shift = Math.clz32(n)
    while (true) {
      const drawn = this.bits() >>> shift
      if (drawn < n) return drawn
    }
  }

  private after(i: number): number {
    if (i + 1 < size) return i + 1
    this.state[0] = this.state[size - 1]!
    return 1
  }

  private bits(): number {
    if (this.at >= size) this.refill()
    let y = this.state[this.at]!
    this.at += 1
    y ^= y >>> 11
    y ^= y << 7 & 0x9d2c5680
    y ^= y << 15 & 0xefc60000
    return (y ^ y >>> 18) >>> 0
  }

  private refill(): void {
    const state = this.state
    for (let i = 0; i < size; i += 1) {
      const y = state[i]! & 0x80000000 | state[(i + 1) % size]! & 0x7fffffff
      state[i] = state[(i + period) % size]! ^ y >>> 1 ^ (y & 1 ? 0x9908b0df : 0)
    }
    this.at = 0
  }
}

const probesMax = 9

/** The order in which CPython walks a set that these numbers were added to: that of its hash table. */
export const pythonSetOrder = (numbers: ReadonlyArray<number>): ReadonlyArray<number> => {
  let table: Array<number | undefined> = Array.from({ length: 8 })
  let used = 0
  for (const number of numbers) {
    insert(table, number)
    used += 1
    if (used * 5 < (table.length - 1) * 3) continue
    let length = 8
    while (length <= used * 4) length *= 2
    const grown: Array<number | undefined> = Array.from({ length })
    for (const old of table) if (old !== undefined) insert(grown, old)
    table = grown
  }
  return table.filter((number) => number !== undefined)
}

const insert = (table: Array<number | undefined>, number: number): void => {
  const mask = table.length - 1
  let perturb = number
  for (let at = number & mask;; at = at * 5 + 1 + perturb & mask) {
    const probes = at + probesMax <= mask ? probesMax : 0
    for (let slot = at; slot <= at + probes; slot += 1) {
      if (table[slot] === undefined) {
        table[slot] = number
        return
      }
    }
    perturb >>>= 5
  }
}
