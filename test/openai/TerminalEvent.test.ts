import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { TerminalScanner } from "../../src/openai/TerminalEvent.js"
import { cpuMs } from "../support/cpu.js"

const terminalLines = [
  "data: [DONE]",
  "data:[DONE]",
  "event: response.completed",
  "event:response.failed",
  "event: response.incomplete",
  "event: message_stop",
  "data: {\"type\":\"message_stop\"}",
  "data: { \"type\": \"response.completed\", \"response\": {} }",
  "data:{\"type\":\"response.failed\"}",
  "data: {\"type\":\"response.incomplete\",\"response\":{}}"
]

const harmlessLines = [
  "",
  ": OPENROUTER PROCESSING",
  "data: {\"choices\":[{\"delta\":{\"content\":\"data: [DONE]\"}}]}",
  "data: {\"content\":\"[DONE]\"}",
  "data: {\"type\":\"response.output_text.delta\",\"delta\":\"response.completed\"}",
  "data: {\"type\":\"message_stopped\"}",
  "data: {\"type\":\"message_start\"}",
  "data: [DON]",
  " data: [DONE]",
  "event: response.completed.not",
  "event: response.in_progress",
  "event: message_delta",
  "event: ping",
  "id: event: message_stop",
  "évent: message_stop",
  `data: {"content":"${"x".repeat(300)}"}`
]

const lineEnd = fc.constantFrom("\n", "\r\n", "\r")
const writtenLine = (lines: ReadonlyArray<string>) => fc.tuple(fc.constantFrom(...lines), lineEnd)

/** A stream as lines, the terminal one among them (or none), and how it is cut into chunks. */
const stream = fc.record({
  mark: fc.boolean(),
  before: fc.array(writtenLine(harmlessLines), { maxLength: 8 }),
  terminal: fc.option(writtenLine(terminalLines)),
  after: fc.array(writtenLine([...harmlessLines, ...terminalLines]), { maxLength: 3 }),
  cuts: fc.array(fc.nat({ max: 1200 }), { maxLength: 60 }),
  everyByte: fc.boolean()
})

const cut = (bytes: Buffer, cuts: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const places = [0, ...cuts.filter((place) => place < bytes.length), bytes.length].toSorted((a, b) => a - b)
  return places.slice(1).map((place, n) => bytes.subarray(places[n], place))
}

/** Where the scanner starts to hold back, in bytes from the start of the stream; -1 when it never does. */
const heldFrom = (chunks: ReadonlyArray<Buffer>): number => {
  const scanner = new TerminalScanner()
  let passed = 0
  for (const chunk of chunks) {
    const offset = scanner.scan(chunk)
    if (offset !== -1) return passed + offset
    passed += chunk.length
  }
  return -1
}

describe("TerminalScanner", () => {
  it.prop(
    "holds back from within the terminal line, never earlier and never past its line end, wherever the chunks are cut",
    [stream],
    ([{ after, before, cuts, everyByte, mark, terminal }]) => {
      const head = Buffer.from((mark ? "\uFEFF" : "") + before.flat().join(""))
      const rest = terminal === null ? "" : [...terminal, ...after.flat()].join("")
      const bytes = Buffer.concat([head, Buffer.from(rest)])
      const held = heldFrom(cut(bytes, everyByte ? [...bytes.keys()] : cuts))
      if (terminal === null) return assert.strictEqual(held, -1)
      assert.isAtLeast(held, head.length)
      assert.isAtMost(held, head.length + Buffer.byteLength(terminal[0]))
      assert.strictEqual(heldFrom([bytes]), head.length)
    },
    { fastCheck: { numRuns: 1000 } }
  )

  it.prop(
    "knows when the terminal event is whole: with its line when its data says it, with the blank line when its name came first",
    [lineEnd, fc.constantFrom(...terminalLines), fc.integer({ min: 1, max: 5 })],
    ([end, line, step]) => {
      const named = line.startsWith("event:")
      const text = `data: {}${end}${end}${line}${end}${named ? `data: {"a":1}${end}` : ""}${end}`
      const scanner = new TerminalScanner()
      const bytes = Buffer.from(text)
      let seen = 0
      while (!scanner.isWhole && seen < bytes.length) {
        scanner.scan(bytes.subarray(seen, seen + step))
        seen = Math.min(seen + step, bytes.length)
      }
      assert.isTrue(scanner.isWhole)
      const wholeAt = named ? bytes.length - end.length + 1 : text.indexOf(line) + line.length + 1
      assert.isAtLeast(seen, wholeAt)
      assert.isBelow(seen - step, wholeAt)
    }
  )

  it.prop(
    "knows when its blank line has come, and not before",
    [lineEnd, fc.constantFrom(...terminalLines), fc.integer({ min: 1, max: 5 })],
    ([end, line, step]) => {
      const bytes = Buffer.from(`data: {}${end}${end}${line}${end}${end}`)
      const scanner = new TerminalScanner()
      for (let seen = 0; seen < bytes.length; seen += step) {
        assert.isFalse(scanner.isClosed, `after ${seen} of ${bytes.length} bytes`)
        scanner.scan(bytes.subarray(seen, seen + step))
      }
      assert.isTrue(scanner.isClosed)
    }
  )

  it("holds back every chunk after the terminal event began", () => {
    const scanner = new TerminalScanner()
    assert.strictEqual(scanner.scan(Buffer.from("data: {}\n\ndata: [DONE]\n")), 10)
    assert.strictEqual(scanner.scan(Buffer.from("\n")), 0)
    assert.strictEqual(scanner.scan(Buffer.from("data: {}\n\n")), 0)
  })

  it("takes no time that grows faster than what follows a terminal event that is not over", () => {
    const scanner = new TerminalScanner()
    scanner.scan(Buffer.from("event: message_stop\ndata: {}\n"))
    scanner.scan(Buffer.from("a\r".repeat(2_000_000)))
    assert.isFalse(scanner.isClosed)
  })

  it("scans long lines without looking at each byte", () => {
    const chunk = Buffer.from(`data: {"content":"${"x".repeat(65_000)}"}\n\n`)
    const scanner = new TerminalScanner()
    const tookMs = cpuMs(() => {
      for (let n = 0; n < 2_000; n++) scanner.scan(chunk)
    })
    // 130 MB; a loop over the bytes takes a good part of a second.
    assert.isBelow(tookMs, 500)
  })
})
