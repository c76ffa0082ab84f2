import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { parseSse, type SseEvent } from "../../src/openai/Sse.js"

const parse = (text: string) => [...parseSse(Buffer.from(text))]

const lineEnd = fc.constantFrom("\n", "\r\n", "\r")
const line = fc.string({ unit: "grapheme", maxLength: 12 }).map((text) => text.replace(/[\r\n]/g, " "))
const event: fc.Arbitrary<SseEvent> = fc.record({
  event: line.filter((text) => text !== ""),
  data: fc.array(line, { minLength: 1, maxLength: 3 }).map((lines) => lines.join("\n"))
}, { requiredKeys: ["data"] })

const write = ({ data, event }: SseEvent, end: string): string =>
  [
    `: ping`,
    ...(event === undefined ? [] : [`event: ${event}`]),
    ...data.split("\n").map((text) => `data: ${text}`),
    "",
    ""
  ]
    .join(end)

describe("parseSse", () => {
  it.prop("reads back whatever was written, with any line ends", [fc.array(fc.tuple(event, lineEnd))], ([written]) => {
    const text = written.map(([event, end]) => write(event, end)).join("")
    assert.deepStrictEqual(parse(text), written.map(([event]) => event))
  })

  it("counts an event whose blank line the end of the stream cut off", () => {
    assert.deepStrictEqual(parse("data: 1\n\ndata: 2"), [{ data: "1" }, { data: "2" }])
  })

  it("skips a byte order mark, comments, unknown fields and events without data", () => {
    assert.deepStrictEqual(parse("\uFEFFdata:1\n: OPENROUTER PROCESSING\nid: 7\nretry: 3\n\nevent: ping\n\ndata\n\n"), [
      { data: "1" },
      { data: "" }
    ])
  })

  it("removes one space after the colon and no more", () => {
    assert.deepStrictEqual(parse("data:  x \n\n"), [{ data: " x " }])
  })

  // Looking for the same thing from each line anew would take hours.
  it.each(["\r", "\n", "data\n", "data\r", "x\r\n", "data: 1\r", "event\n:\n"])(
    "takes no time that grows faster than the stream: %j",
    (part) => {
      assert.isAtMost(parse(part.repeat(1_000_000)).length, 1)
    }
  )
})
