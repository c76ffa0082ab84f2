/** The entropy coding of Zstandard (RFC 8878, section 4): bits read from the end, FSE tables and Huffman trees. Loads nothing. */

/** The bytes are not what the format allows. */
export class ZstdError extends Error {}

/** Throws `ZstdError`. */
export const corrupt = (what: string): never => {
  throw new ZstdError(what)
}

/** Reads bits from the last to the first; what lies before the first counts as zeros. */
export class BackwardBits {
  /** Bits that are left; below zero when more was read than there is. */
  left: number

  constructor(private readonly bytes: Uint8Array, private readonly start: number, end: number) {
    const last = end > start ? bytes[end - 1]! : 0
    if (last === 0) corrupt("a bit stream without its end mark")
    this.left = (end - start) * 8 - Math.clz32(last) + 23
  }

  /** The next bits without taking them, at most 24. */
  peek(count: number): number {
    const from = this.left - count
    if (from < 0) return this.left <= 0 ? 0 : this.at(0, this.left) << -from
    return this.at(from, count)
  }

  /** Takes so many bits, at most 24. */
  take(count: number): number {
    const bits = this.peek(count)
    this.left -= count
    return bits
  }

  private at(from: number, count: number): number {
    const first = this.start + (from >>> 3)
    const { bytes } = this
    const word = bytes[first]! | (bytes[first + 1] ?? 0) << 8 | (bytes[first + 2] ?? 0) << 16 |
      (bytes[first + 3] ?? 0) << 24
    return word >>> (from & 7) & (1 << count) - 1
  }
}

/** A table of finite state entropy: what each state stands for, and how the next one is found. */
export interface FseTable {
  readonly accuracyLog: number
  readonly symbols: Uint8Array
  readonly bits: Uint8Array
  readonly bases: Uint16Array
}

/** The state in which every symbol is the same. */
export const onlySymbol = (symbol: number): FseTable => ({
  accuracyLog: 0,
  symbols: Uint8Array.of(symbol),
  bits: Uint8Array.of(0),
  bases: Uint16Array.of(0)
})

/** Counts of -1 are of symbols that are less likely than one state. */
export const fseTable = (counts: ReadonlyArray<number>, accuracyLog: number): FseTable => {
  const size = 1 << accuracyLog
  const symbols = new Uint8Array(size)
  const next = Uint16Array.from(counts, (count) => count === -1 ? 1 : count)
  let rareFrom = size
  counts.forEach((count, symbol) => {
    if (count === -1) symbols[rareFrom -= 1] = symbol
  })
  const step = (size >> 1) + (size >> 3) + 3
  let place = 0
  counts.forEach((count, symbol) => {
    for (let left = count; left > 0; left -= 1) {
      symbols[place] = symbol
      do place = place + step & size - 1
      while (place >= rareFrom)
    }
  })
  if (place !== 0) corrupt("counts that do not fill their table")
  const bits = new Uint8Array(size)
  const bases = new Uint16Array(size)
  for (let state = 0; state < size; state += 1) {
    const symbol = symbols[state]!
    const following = next[symbol]!
    next[symbol] = following + 1
    bits[state] = accuracyLog - (31 - Math.clz32(following))
    bases[state] = (following << bits[state]!) - size
  }
  return { accuracyLog, symbols, bits, bases }
}

/** A table as it is written down, and where its description ends (section 4.1.1). */
export const readFseTable = (
  bytes: Uint8Array,
  start: number,
  end: number,
  { accuracyLogMax, symbolsMax }: { readonly accuracyLogMax: number; readonly symbolsMax: number }
): { readonly table: FseTable; readonly end: number } => {
  let bit = start * 8
  const take = (count: number): number => {
    let value = 0
    for (let index = 0; index < count; index += 1, bit += 1) {
      if (bit >= end * 8) corrupt("a table that is cut off")
      value |= (bytes[bit >>> 3]! >> (bit & 7) & 1) << index
    }
    return value
  }
  const accuracyLog = take(4) + 5
  if (accuracyLog > accuracyLogMax) corrupt("a table that is too exact")
  let left = 1 << accuracyLog
  const counts: Array<number> = []
  while (left > 0) {
    const width = 32 - Math.clz32(left + 1)
    const short = (1 << width) - 1 - (left + 1)
    const low = take(width - 1)
    // The least of the values are written with one bit less.
    const isShort = low < short
    const high = isShort ? 0 : take(1)
    const value = isShort ? low : low + (high << width - 1) - (high === 1 ? short : 0)
    const count = value - 1
    left -= Math.abs(count)
    counts.push(count)
    if (count === 0) {
      for (let more = 3; more === 3;) {
        more = take(2)
        for (let index = 0; index < more; index += 1) counts.push(0)
      }
    }
    if (counts.length > symbolsMax) corrupt("a table of too many symbols")
  }
  if (left < 0) corrupt("counts that do not fill their table")
  return { table: fseTable(counts, accuracyLog), end: bit + 7 >>> 3 }
}

/** A Huffman tree as a table: what each run of `bitsMax` bits begins with. */
export interface HuffmanTable {
  readonly bitsMax: number
  readonly symbols: Uint8Array
  readonly bits: Uint8Array
}

/** A tree as it is written down, and where its description ends (section 4.2.1). */
export const readHuffmanTable = (
  bytes: Uint8Array,
  start: number,
  end: number
): { readonly table: HuffmanTable; readonly end: number } => {
  const header = start < end ? bytes[start]! : corrupt("a tree that is cut off")
  const isDirect = header >= 128
  const weightsEnd = start + 1 + (isDirect ? header - 126 >> 1 : header)
  if (weightsEnd > end) corrupt("a tree that is cut off")
  const weights = isDirect
    ? Array.from({ length: header - 127 }, (_, index) => {
      const pair = bytes[start + 1 + (index >> 1)]!
      return index % 2 === 0 ? pair >> 4 : pair & 15
    })
    : compressedWeights(bytes, start + 1, weightsEnd)
  return { table: huffmanTable(weights), end: weightsEnd }
}

const compressedWeights = (bytes: Uint8Array, start: number, end: number): Array<number> => {
  const read = readFseTable(bytes, start, end, { accuracyLogMax: 6, symbolsMax: 256 })
  const { accuracyLog, bases, bits: bitsOf, symbols } = read.table
  const bits = new BackwardBits(bytes, read.end, end)
  // Two states take turns until the bits are used up; the other one then has the last weight.
  let state = bits.take(accuracyLog)
  let other = bits.take(accuracyLog)
  const weights: Array<number> = []
  for (;;) {
    if (weights.length > 254) corrupt("a tree of too many weights")
    weights.push(symbols[state]!)
    const next = bases[state]! + bits.take(bitsOf[state]!)
    if (bits.left < 0) return [...weights, symbols[other]!]
    state = other
    other = next
  }
}

/** The last weight is not written: it is what is missing to a power of two. */
const huffmanTable = (weights: Array<number>): HuffmanTable => {
  const sum = weights.reduce((total, weight) => total + (weight === 0 ? 0 : 2 ** (weight - 1)), 0)
  const bitsMax = sum === 0 ? 0 : 32 - Math.clz32(sum)
  const missing = 2 ** bitsMax - sum
  if (bitsMax === 0 || bitsMax > 11 || (missing & missing - 1) !== 0) corrupt("weights of no tree")
  weights.push(32 - Math.clz32(missing))
  const symbols = new Uint8Array(1 << bitsMax)
  const bits = new Uint8Array(1 << bitsMax)
  let place = 0
  for (let weight = 1; weight <= bitsMax; weight += 1) {
    weights.forEach((own, symbol) => {
      if (own !== weight) return
      const to = place + (1 << weight - 1)
      symbols.fill(symbol, place, to)
      bits.fill(bitsMax + 1 - weight, place, to)
      place = to
    })
  }
  return { bitsMax, symbols, bits }
}
