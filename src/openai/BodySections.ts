/**
 * Where the JSON body of a model call can be cut, so that what it has in common with an earlier one is kept once: an agent
 * sends its whole history again at every step.
 *
 * One linear pass over the bytes, without a parser and without a stack. It knows strings and depths, no more; a body that is
 * not JSON can only be cut in worse places, for whatever the cuts are, the parts put together are the body.
 */
import { backslash, colon, comma, listCloses, listOpens, objectCloses, objectOpens, quote } from "./jsonBytes.js"

/** Pieces side by side: the first begins at `start`, each ends at one of `ends`, where the next one begins. */
export interface Section {
  readonly start: number
  readonly ends: ReadonlyArray<number>
}

/** What is shorter is not worth a piece of its own: short elements are gathered until they are as long as this. */
export const pieceBytesMin = 512

const space = 0x20

/**
 * The long members of the object that the body is: of a list the runs of its elements, anything else as one piece. None for
 * bytes that are not one object. Elements appended to a list change no cut before them.
 */
export const sectionsOf = (body: Uint8Array): ReadonlyArray<Section> => {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length)
  const sections: Array<Section> = []
  let elements: Elements | null = null
  let depth = 0
  let afterColon = false
  let valueStart = -1
  /** Where the last byte that is not white space ended. */
  let solidEnd = 0

  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!
    if (byte <= space) continue
    if (depth === 0 && (byte !== objectOpens || solidEnd > 0)) return []
    if (afterColon) {
      afterColon = false
      valueStart = at
      if (byte === listOpens) elements = new Elements(at + 1)
    }
    if (byte === quote) {
      at = closingQuote(bytes, at)
      if (at < 0) return []
    } else if (byte === objectOpens || byte === listOpens) depth++
    else if (byte === colon) afterColon = depth === 1
    else if (byte === objectCloses || byte === listCloses || byte === comma) {
      if (depth === 2 && elements !== null) elements.end(solidEnd)
      if (depth === 1) {
        if (elements !== null) sections.push(...elements.section())
        else if (valueStart >= 0 && solidEnd - valueStart >= pieceBytesMin) {
          sections.push({ start: valueStart, ends: [solidEnd] })
        }
        elements = null
        valueStart = -1
      }
      if (byte !== comma) depth--
    }
    solidEnd = at + 1
  }
  return depth === 0 ? sections : []
}

/** Gathers the elements of one list into pieces. */
class Elements {
  private readonly ends: Array<number> = []
  private pieceStart: number
  private elementStart: number

  constructor(private readonly start: number) {
    this.pieceStart = start
    this.elementStart = start
  }

  /** A long element is a piece by itself, so that it is the same piece wherever it stands. */
  end(at: number): void {
    const isLong = at - this.elementStart >= pieceBytesMin
    if (isLong && this.elementStart > this.pieceStart) this.cut(this.elementStart)
    if (at - this.pieceStart >= pieceBytesMin) this.cut(at)
    this.elementStart = at
  }

  /** The short rest is part of no piece: the next body may go on from it. */
  section(): ReadonlyArray<Section> {
    return this.ends.length === 0 ? [] : [{ start: this.start, ends: this.ends }]
  }

  private cut(at: number): void {
    this.ends.push(at)
    this.pieceStart = at
  }
}

/** So many bytes are looked at one by one before a native search, which costs as much to begin. */
const nearBytes = 64

/** The quote that ends the string which begins at `open`, or -1. Looks at no byte more than twice, whatever is escaped. */
export const closingQuote = (bytes: Buffer, open: number): number => {
  let at = open + 1
  for (;;) {
    for (const nearEnd = Math.min(at + nearBytes, bytes.length); at < nearEnd; at++) {
      if (bytes[at] === quote) return at
      if (bytes[at] === backslash) at++
    }
    const found = bytes.indexOf(quote, at)
    if (found < 0) return -1
    let escapes = found
    while (escapes > at && bytes[escapes - 1] === backslash) escapes--
    if ((found - escapes) % 2 === 0) return found
    at = found + 1
  }
}
