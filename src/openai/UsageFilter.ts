/**
 * Takes out of a stream what is in it only because its usage was asked for: the extra chunk that has the usage and no
 * choice, and the `"usage":null` of every other one. A client that did not ask reads `choices[0]` of each chunk, and would
 * trip over the extra one.
 *
 * Works line by line over chunks that are cut anywhere. A line is held until its end, before which no client can act on it;
 * the lines of an event that stand before its data are held until the data decides.
 */
import { Finder } from "./Finder.js"
import { isObject, parseJson } from "./Json.js"
import { colon, comma, objectOpens } from "./jsonBytes.js"
import { membersOf, rootOf } from "./JsonTokens.js"

/** More than this is not held: the rest of such an event passes as it is. */
const heldBytesMax = 1024 * 1024

const lineFeed = 10
const carriageReturn = 13
const space = 32
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf])
const dataField = Buffer.from("data:")
const usageKey = Buffer.from("\"usage\"")
const nothing = Buffer.alloc(0)

export class UsageFilter {
  /** What becomes of the event that is being read. */
  private fate: "open" | "passes" | "goes" = "open"
  /** The pieces of the current line, while the event is open. */
  private line: Array<Buffer> = []
  /** Bytes of the current line so far. */
  private lineBytes = 0
  /** Lines of the open event, each with its end. */
  private held: Array<Buffer> = []
  private heldBytes = 0
  /** Data lines of the open event that are no JSON by themselves, but may be together. */
  private data: Array<string> = []
  /** Where the last line went, and with it the line feed that may follow its return. */
  private last: "out" | "held" | "gone" = "out"
  private afterReturn = false
  private isFirstLine = true
  private out: Array<Buffer> = []

  /** What of the stream may go on, now that this chunk has come. */
  filter(chunk: Buffer): Buffer {
    let at = 0
    if (this.afterReturn && chunk.length > 0) {
      this.afterReturn = false
      if (chunk[0] === lineFeed) this.put(this.last, chunk.subarray(0, at = 1))
    }
    const feeds = new Finder<number>(chunk, lineFeed)
    const returns = new Finder<number>(chunk, carriageReturn)
    while (at < chunk.length) {
      const feedAt = feeds.from(at)
      const returnAt = returns.from(at)
      const end = feedAt === -1 || returnAt === -1 ? Math.max(feedAt, returnAt) : Math.min(feedAt, returnAt)
      this.read(end === -1 ? chunk.subarray(at) : chunk.subarray(at, end))
      if (end === -1) break
      at = end + 1
      if (end === returnAt) {
        if (chunk[at] === lineFeed) at += 1
        else this.afterReturn = at === chunk.length
      }
      this.endLine(chunk.subarray(end, at))
    }
    return this.taken()
  }

  /** The rest, once the stream has ended: its last line may lack an end, its last event a blank line. */
  end(): Buffer {
    if (this.lineBytes > 0) this.endLine(nothing)
    this.endEvent()
    return this.taken()
  }

  private read(piece: Buffer): void {
    this.lineBytes += piece.length
    if (this.fate === "passes") this.out.push(piece)
    if (this.fate !== "open") return
    this.line.push(piece)
    if (this.heldBytes + this.lineBytes <= heldBytesMax) return
    this.pass(this.line)
    this.line = []
  }

  private endLine(terminator: Buffer): void {
    const isBlank = this.lineBytes === 0
    this.lineBytes = 0
    if (isBlank) this.endEvent()
    if (this.fate === "open" && !isBlank) this.decide(Buffer.concat(this.line), terminator)
    else this.put(this.fate === "goes" ? "gone" : "out", terminator)
    this.line = []
    this.isFirstLine = false
    if (isBlank) this.fate = "open"
  }

  /** An event that no single line of data has decided over. */
  private endEvent(): void {
    if (this.fate !== "open") return
    if (this.data.length > 0 && isUsageChunk(parseJson(this.data.join("\n")))) this.drop()
    else this.pass()
  }

  private decide(line: Buffer, terminator: Buffer): void {
    const start = this.isFirstLine && line.subarray(0, 3).equals(byteOrderMark) ? 3 : 0
    if (!line.subarray(start, start + dataField.length).equals(dataField)) {
      // A comment belongs to no event.
      const place = line[start] === colon && this.held.length === 0 ? "out" : "held"
      this.put(place, Buffer.concat([line, terminator]))
      return
    }
    const valueAt = start + dataField.length + (line[start + dataField.length] === space ? 1 : 0)
    const value = line.subarray(valueAt)
    const mayBeMore = this.data.length > 0 ||
      (value[0] === objectOpens && !endsObject.test(value.subarray(-8).toString("latin1")))
    if (!mayBeMore && !value.includes(usageKey)) {
      this.pass([line, terminator])
      return
    }
    const text = value.toString("utf8")
    const chunk = this.data.length > 0 ? undefined : parseJson(text)
    if (isUsageChunk(chunk)) {
      this.drop()
      return
    }
    if (chunk !== undefined || !mayBeMore) {
      this.pass([line.subarray(0, valueAt), withoutNull(value, chunk), terminator])
      return
    }
    this.data.push(text)
    this.put("held", Buffer.concat([line, terminator]))
  }

  /** Piece by piece: there may be more of them than a function takes arguments. */
  private pass(more: ReadonlyArray<Buffer> = []): void {
    for (const piece of this.held) this.out.push(piece)
    for (const piece of more) this.out.push(piece)
    this.last = "out"
    this.close("passes")
  }

  private drop(): void {
    this.last = "gone"
    this.close("goes")
  }

  private close(fate: "passes" | "goes"): void {
    this.fate = fate
    this.held = []
    this.heldBytes = 0
    this.data = []
  }

  private put(place: "out" | "held" | "gone", bytes: Buffer): void {
    this.last = place
    if (place === "out") this.out.push(bytes)
    if (place !== "held") return
    this.held.push(bytes)
    this.heldBytes += bytes.length
  }

  private taken(): Buffer {
    const { out } = this
    this.out = []
    return out.length === 1 ? out[0]! : Buffer.concat(out)
  }
}

/** What a JSON object in one line ends with. */
const endsObject = /\}\s*$/

const isUsageChunk = (chunk: unknown): boolean =>
  isObject(chunk) && Array.isArray(chunk["choices"]) && chunk["choices"].length === 0 && isObject(chunk["usage"])

/** The same JSON without its `"usage":null`; as it is where that would change what else it says. */
const withoutNull = (json: Buffer, chunk: unknown): Buffer => {
  const root = rootOf(json)
  if (!isObject(chunk) || chunk["usage"] !== null || root === null) return json
  const value = membersOf(json, root)?.get("usage")
  if (value === undefined) return json
  const keyStart = solidBefore(json, solidBefore(json, value.start - 1) - 1) - usageKey.length + 1
  if (!json.subarray(keyStart, keyStart + usageKey.length).equals(usageKey)) return json
  const before = solidBefore(json, keyStart - 1)
  const after = solidFrom(json, value.end)
  const result = json[before] === comma
    ? cut(json, before, value.end)
    : cut(json, keyStart, json[after] === comma ? solidFrom(json, after + 1) : value.end)
  const { usage: _, ...rest } = chunk
  return JSON.stringify(parseJson(result.toString("utf8"))) === JSON.stringify(rest) ? result : json
}

const cut = (bytes: Buffer, from: number, to: number) => Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)])

const solidBefore = (bytes: Buffer, from: number): number => {
  let at = from
  while (at >= 0 && bytes[at]! <= space) at--
  return at
}

const solidFrom = (bytes: Buffer, from: number): number => {
  let at = from
  while (at < bytes.length && bytes[at]! <= space) at++
  return at
}
