/**
 * Finds, while a stream passes by, the event after which a client considers the answer whole.
 *
 * The proxy must not let that event out before the span is committed, and must hold nothing back before it. The scanner is
 * a small automaton over the first bytes of each line: a byte that fits no terminal line sends it to the end of the line
 * by `indexOf`, so that long lines cost next to nothing and chunk boundaries do not matter.
 */

import { Finder } from "./Finder.js"

const dead = 0
const terminal = 1
const lineStart = 2
const streamStart = 3
const lineFeed = 10
const carriageReturn = 13

const names = ["response.completed", "response.failed", "response.incomplete", "message_stop"]

/** `~` stands for any number of spaces, a closing line feed for the end of the line (of any kind). */
const terminalLines = [
  "data:~[DONE]",
  ...names.map((name) => `event:~${name}\n`),
  ...names.map((name) => `data:~{~"type"~:~"${name}"`)
]

/** The table of moves, `state << 8 | byte`. States are numbered as the patterns need them; fewer than 256 exist. */
const moves = (() => {
  const trie: Array<Uint8Array> = [0, 1, 2, 3].map(() => new Uint8Array(256))
  const step = (from: number, byte: number): number => {
    const known = trie[from]![byte]!
    if (known !== dead) return known
    trie.push(new Uint8Array(256))
    return trie[from]![byte] = trie.length - 1
  }
  const add = (from: number, pattern: string): void => {
    const [head, rest] = [pattern[0]!, pattern.slice(1)]
    if (head === "~") {
      trie[from]![32] = from
      add(from, rest)
    } else if (rest === "") {
      for (const byte of head === "\n" ? [lineFeed, carriageReturn] : [head.charCodeAt(0)]) trie[from]![byte] = terminal
    } else {
      add(step(from, head.charCodeAt(0)), rest)
    }
  }
  for (const line of terminalLines) add(lineStart, line)
  trie[streamStart]!.set(trie[lineStart]!)
  const afterMark = step(step(streamStart, 0xef), 0xbb)
  trie[afterMark]![0xbf] = lineStart
  for (const row of trie) {
    for (const byte of [lineFeed, carriageReturn]) if (row[byte] === dead) row[byte] = lineStart
  }
  const table = new Uint8Array(trie.length << 8)
  trie.forEach((row, state) => table.set(row, state << 8))
  return table
})()

export class TerminalScanner {
  private state = streamStart
  /** An event that began with its name is over at the blank line; one whose data says it all, at the end of its line. */
  private needsBlankLine = false
  private atLineStart = false
  private afterReturn = false
  /** Lines end with both, so that a return alone is half of a blank line. */
  private endsWithBoth = false
  private blankLineBegan = false
  private whole = false
  private closed = false

  /** The terminal event has arrived whole: only now is there anything to commit. */
  get isWhole(): boolean {
    return this.whole
  }

  /** And the blank line after it too: nothing more of it is to come. */
  get isClosed(): boolean {
    return this.closed
  }

  /**
   * The offset in this chunk from which bytes must be held back, because the terminal event's line begins there (0 when
   * it began in an earlier chunk), or -1 to let the whole chunk pass. Found at the latest with the line's first line-end
   * byte, before which no client can act. Once found, every later chunk is held back whole.
   */
  scan(chunk: Uint8Array): number {
    let state = this.state
    if (state === terminal) {
      this.follow(chunk, 0)
      return 0
    }
    const end = chunk.length
    let begin = 0
    let nextFeed = -2
    let nextReturn = -2
    for (let offset = 0; offset < end;) {
      if (state === dead) {
        if (nextFeed !== -1 && nextFeed < offset) nextFeed = chunk.indexOf(lineFeed, offset)
        if (nextReturn !== -1 && nextReturn < offset) nextReturn = chunk.indexOf(carriageReturn, offset)
        const lineEnd = nextFeed === -1 || (nextReturn !== -1 && nextReturn < nextFeed) ? nextReturn : nextFeed
        if (lineEnd === -1) break
        begin = offset = lineEnd + 1
        state = lineStart
        continue
      }
      state = moves[state << 8 | chunk[offset++]!]!
      if (state === terminal) {
        this.state = terminal
        const last = chunk[offset - 1]!
        this.needsBlankLine = this.atLineStart = last === lineFeed || last === carriageReturn
        this.afterReturn = last === carriageReturn
        this.follow(chunk, offset)
        return begin
      }
      if (state === lineStart) begin = offset
    }
    this.state = state
    return -1
  }

  private follow(chunk: Uint8Array, from: number): void {
    const feeds = new Finder<number>(chunk, lineFeed)
    const returns = new Finder<number>(chunk, carriageReturn)
    for (let offset = from; offset < chunk.length && !this.closed;) {
      const byte = chunk[offset]!
      if (this.blankLineBegan) {
        this.closed = true
        return
      }
      if (this.atLineStart) {
        if (byte === lineFeed && this.afterReturn) {
          this.afterReturn = false
          this.endsWithBoth = true
          offset += 1
          continue
        }
        if (byte === lineFeed || byte === carriageReturn) {
          this.whole = true
          this.blankLineBegan = true
          this.closed = byte === lineFeed || !this.endsWithBoth
          offset += 1
          continue
        }
        this.atLineStart = false
      }
      const feed = feeds.from(offset)
      const carriage = returns.from(offset)
      const lineEnd = feed === -1 || (carriage !== -1 && carriage < feed) ? carriage : feed
      if (lineEnd === -1) return
      if (!this.needsBlankLine) this.whole = true
      this.atLineStart = true
      this.afterReturn = chunk[lineEnd] === carriageReturn
      offset = lineEnd + 1
    }
  }
}
