/**
 * Decodes Zstandard (RFC 8878), which some agents send and ask for and which Node 20 does not know. Dictionaries are not known
 * here either. Checksums are not compared: what is decoded is a copy for the record.
 */
import {
  BackwardBits,
  corrupt,
  type FseTable,
  fseTable,
  type HuffmanTable,
  onlySymbol,
  readFseTable,
  readHuffmanTable
} from "./ZstdTables.js"

/** The content would be longer than it may be; the code is that of Node's own decoders. */
export class ZstdTooLarge extends Error {
  readonly code = "ERR_BUFFER_TOO_LARGE"
}

const magic = 0xFD2FB528
const blockBytesMax = 128 * 1024
/** A block of a few bytes may describe tables that take far longer to build than it takes to send them. */
const blocksMax = 64 * 1024

/**
 * The content of all frames that the bytes begin with, whatever is behind the last one; as far as it came when that one is cut. Throws
 * `ZstdError` and `ZstdTooLarge`.
 */
export const decodeZstd = (bytes: Uint8Array, bytesMax: number): Uint8Array => {
  const output = new Output(bytesMax)
  for (let at = 0; at < bytes.length && (at === 0 || isFrame(bytes, at));) at = readFrame(bytes, at, output)
  return output.content
}

/** What has been decoded so far, in room that grows with it. */
class Output {
  private bytes = new Uint8Array(64 * 1024)
  private length = 0
  /** Where the frame begins: nothing before it is copied. */
  private frameStart = 0
  private blocks = 0

  constructor(private readonly bytesMax: number) {}

  get content(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }

  beginFrame(): void {
    this.frameStart = this.length
  }

  beginBlock(): void {
    this.blocks += 1
    if (this.blocks > blocksMax) corrupt("too many blocks")
  }

  append(part: Uint8Array, from = 0, to = part.length): void {
    const count = to - from
    this.makeRoom(count)
    const { bytes, length } = this
    // Most parts are a few bytes, for which a view costs more than they do.
    if (count > 64) bytes.set(part.subarray(from, to), length)
    else for (let index = 0; index < count; index += 1) bytes[length + index] = part[from + index]!
    this.length += count
  }

  repeat(byte: number, count: number): void {
    this.makeRoom(count)
    this.bytes.fill(byte, this.length, this.length += count)
  }

  /** Copies from so far back; what is copied may be part of what is copied on. */
  copy(back: number, count: number): void {
    const from = this.length - back
    if (back <= 0 || from < this.frameStart) corrupt("a copy from before the frame")
    this.makeRoom(count)
    const { bytes, length } = this
    if (back >= count && count > 64) bytes.copyWithin(length, from, from + count)
    else for (let index = 0; index < count; index += 1) bytes[length + index] = bytes[from + index]!
    this.length += count
  }

  private makeRoom(count: number) {
    const wanted = this.length + count
    if (wanted > this.bytesMax) throw new ZstdTooLarge("longer than it may be")
    if (wanted <= this.bytes.length) return
    const grown = new Uint8Array(Math.min(this.bytesMax, Math.max(wanted, this.bytes.length * 2)))
    grown.set(this.content)
    this.bytes = grown
  }
}

const little = (bytes: Uint8Array, at: number, count: number): number => {
  let value = 0
  for (let index = count - 1; index >= 0; index -= 1) value = value * 256 + (bytes[at + index] ?? 0)
  return value
}

/** A frame whose content is for others than decoders. */
const isSkipped = (bytes: Uint8Array, at: number): boolean => Math.floor(little(bytes, at, 4) / 16) === 0x184D2A5

const isFrame = (bytes: Uint8Array, at: number): boolean => little(bytes, at, 4) === magic || isSkipped(bytes, at)

/** Reads one frame, and gives where the next one begins. */
const readFrame = (bytes: Uint8Array, start: number, output: Output): number => {
  if (isSkipped(bytes, start)) return start + 8 + little(bytes, start + 4, 4)
  if (!isFrame(bytes, start)) corrupt("no frame")
  const descriptor = bytes[start + 4] ?? 0
  const hasWindow = (descriptor & 32) === 0
  const sizeBytes = [hasWindow ? 0 : 1, 2, 4, 8][descriptor >> 6]!
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!
  let at = start + 5 + (hasWindow ? 1 : 0)
  if ((descriptor & 8) !== 0) corrupt("a frame of another version")
  if (little(bytes, at, dictionaryBytes) !== 0) corrupt("a frame that needs a dictionary")
  at += dictionaryBytes + sizeBytes
  output.beginFrame()
  const state = new FrameState()
  for (let isLast = false; !isLast;) {
    const header = little(bytes, at, 3)
    const type = header >> 1 & 3
    const size = header >> 3
    at += 3
    isLast = (header & 1) === 1
    const end = at + (type === 1 ? 1 : size)
    // Cut off: what came before it is all there is.
    if (end > bytes.length) return bytes.length
    if (size > blockBytesMax || type === 3) corrupt("a block that cannot be")
    output.beginBlock()
    if (type === 0) output.append(bytes.subarray(at, end))
    else if (type === 1) output.repeat(bytes[at]!, size)
    else state.readBlock(bytes, at, end, output)
    at = end
  }
  return at + ((descriptor & 4) === 0 ? 0 : 4)
}

const literalLengths = {
  accuracyLogMax: 9,
  symbolsMax: 36,
  usual: fseTable(
    [
      [4, 3, ...Array<number>(11).fill(2), 1, 1, 1, ...Array<number>(9).fill(2)],
      [3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1]
    ].flat(),
    6
  ),
  bases: [...Array.from({ length: 16 }, (_, code) => code), 16, 18, 20, 22, 24, 28, 32, 40, 48, 64]
    .concat([128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]),
  bits: [...Array<number>(16).fill(0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
}

const matchLengths = {
  accuracyLogMax: 9,
  symbolsMax: 53,
  usual: fseTable(
    [1, 4, 3, 2, 2, 2, 2, 2, 2, ...Array<number>(37).fill(1), ...Array<number>(7).fill(-1)],
    6
  ),
  bases: [...Array.from({ length: 32 }, (_, code) => code + 3), 35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99]
    .concat([131, 259, 515, 1027, 2051, 4099, 8195, 16387, 32771, 65539]),
  bits: [...Array<number>(32).fill(0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
}

const offsets = {
  accuracyLogMax: 8,
  symbolsMax: 32,
  usual: fseTable([1, 1, 1, 1, 1, 1, 2, 2, 2, ...Array<number>(15).fill(1), -1, -1, -1, -1, -1], 5)
}

type Coded = Pick<typeof literalLengths, "accuracyLogMax" | "symbolsMax" | "usual">

/** What later blocks of a frame may use again. */
class FrameState {
  private huffman: HuffmanTable | null = null
  private readonly tables = new Map<Coded, FseTable>()
  private readonly recent: [number, number, number] = [1, 4, 8]

  readBlock(bytes: Uint8Array, start: number, end: number, output: Output): void {
    const section = this.readLiterals(bytes, start, end)
    this.readSequences(bytes, section.end, end, section.literals, output)
  }

  private readLiterals(bytes: Uint8Array, start: number, end: number) {
    const type = bytes[start]! & 3
    const format = bytes[start]! >> 2 & 3
    if (type < 2) {
      const headerBytes = format % 2 === 0 ? 1 : format === 1 ? 2 : 3
      const size = Math.floor(little(bytes, start, headerBytes) / (headerBytes === 1 ? 8 : 16))
      const at = start + headerBytes
      const to = at + (type === 0 ? size : 1)
      if (to > end || size > blockBytesMax) corrupt("literals that do not fit")
      const literals = type === 0 ? bytes.subarray(at, to) : new Uint8Array(size).fill(bytes[at]!)
      return { literals, end: to }
    }
    const headerBytes = format < 2 ? 3 : format + 2
    const width = [10, 10, 14, 18][format]!
    const sizes = Math.floor(little(bytes, start, headerBytes) / 16)
    const size = sizes % 2 ** width
    const at = start + headerBytes
    const to = at + Math.floor(sizes / 2 ** width)
    if (to > end || size > blockBytesMax) corrupt("literals that do not fit")
    let from = at
    if (type === 2) {
      const read = readHuffmanTable(bytes, at, to)
      this.huffman = read.table
      from = read.end
    }
    const table = this.huffman ?? corrupt("no tree to use again")
    const literals = new Uint8Array(size)
    if (format === 0) {
      readHuffman(table, bytes, from, to, literals)
      return { literals, end: to }
    }
    const part = size + 3 >> 2
    let next = from + 6
    for (let index = 0; index < 4; index += 1) {
      const last = index === 3 ? to : next + little(bytes, from + 2 * index, 2)
      if (last > to || part * 3 > size) corrupt("literals that do not fit")
      readHuffman(table, bytes, next, last, literals.subarray(part * index, index === 3 ? size : part * (index + 1)))
      next = last
    }
    return { literals, end: to }
  }

  private readSequences(bytes: Uint8Array, start: number, end: number, literals: Uint8Array, output: Output) {
    const first = start < end ? bytes[start]! : corrupt("a block without its sequences")
    const headerBytes = first < 128 ? 1 : first < 255 ? 2 : 3
    const count = first < 128
      ? first
      : first < 255
      ? (first - 128) * 256 + (bytes[start + 1] ?? 0)
      : little(bytes, start + 1, 2) + 0x7F00
    if (count === 0) {
      output.append(literals)
      return
    }
    const modes = bytes[start + headerBytes] ?? 0
    let at = start + headerBytes + 1
    const table = (coded: Coded, mode: number): FseTable => {
      const read = this.readTable(coded, mode, bytes, at, end)
      at = read.end
      this.tables.set(coded, read.table)
      return read.table
    }
    const literalTable = table(literalLengths, modes >> 6)
    const offsetTable = table(offsets, modes >> 4 & 3)
    const matchTable = table(matchLengths, modes >> 2 & 3)
    const bits = new BackwardBits(bytes, at, end)
    let literalState = bits.take(literalTable.accuracyLog)
    let offsetState = bits.take(offsetTable.accuracyLog)
    let matchState = bits.take(matchTable.accuracyLog)
    let used = 0
    for (let left = count; left > 0; left -= 1) {
      const offsetCode = offsetTable.symbols[offsetState]!
      const matchCode = matchTable.symbols[matchState]!
      const literalCode = literalTable.symbols[literalState]!
      // In two steps: there may be more bits than are taken at once.
      const high = bits.take(Math.max(0, offsetCode - 16))
      const offsetValue = 2 ** offsetCode + high * 2 ** 16 + bits.take(Math.min(16, offsetCode))
      const matchLength = matchLengths.bases[matchCode]! + bits.take(matchLengths.bits[matchCode]!)
      const literalLength = literalLengths.bases[literalCode]! + bits.take(literalLengths.bits[literalCode]!)
      if (left > 1) {
        literalState = literalTable.bases[literalState]! + bits.take(literalTable.bits[literalState]!)
        matchState = matchTable.bases[matchState]! + bits.take(matchTable.bits[matchState]!)
        offsetState = offsetTable.bases[offsetState]! + bits.take(offsetTable.bits[offsetState]!)
      }
      if (bits.left < 0 || used + literalLength > literals.length) corrupt("sequences that do not fit")
      output.append(literals, used, used + literalLength)
      used += literalLength
      output.copy(this.offset(offsetValue, literalLength), matchLength)
    }
    if (bits.left !== 0) corrupt("bits that nobody reads")
    output.append(literals, used)
  }

  private readTable(coded: Coded, mode: number, bytes: Uint8Array, start: number, end: number) {
    switch (mode) {
      case 0:
        return { table: coded.usual, end: start }
      case 1: {
        const symbol = start < end ? bytes[start]! : corrupt("a table that is cut off")
        if (symbol >= coded.symbolsMax) corrupt("a code that nobody knows")
        return { table: onlySymbol(symbol), end: start + 1 }
      }
      case 2:
        return readFseTable(bytes, start, end, coded)
      default:
        return { table: this.tables.get(coded) ?? corrupt("no table to use again"), end: start }
    }
  }

  /** How far back a copy begins (section 3.1.1.5): the least values stand for the offsets used last. */
  private offset(value: number, literalLength: number): number {
    const { recent } = this
    if (value > 3) {
      recent.unshift(value - 3)
      recent.pop()
      return value - 3
    }
    const index = value - 1 + (literalLength === 0 ? 1 : 0)
    if (index === 0) return recent[0]
    const offset = index === 3 ? recent[0] - 1 : recent[index]!
    if (index > 1) recent[2] = recent[1]
    recent[1] = recent[0]
    recent[0] = offset
    return offset
  }
}

const readHuffman = (table: HuffmanTable, bytes: Uint8Array, start: number, end: number, into: Uint8Array) => {
  const bits = new BackwardBits(bytes, start, end)
  const { bits: bitsOf, bitsMax, symbols } = table
  for (let index = 0; index < into.length; index += 1) {
    const run = bits.peek(bitsMax)
    into[index] = symbols[run]!
    bits.left -= bitsOf[run]!
  }
  if (bits.left !== 0) corrupt("literals that do not end where they should")
}
