import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { pieceBytesMin, sectionsOf } from "../../src/openai/BodySections.js"
import { bodyOf, prose } from "../support/conversation.js"
import { cpuMs } from "../support/cpu.js"

/** The pieces of each section, as text. */
const piecesOf = (body: Uint8Array): ReadonlyArray<ReadonlyArray<string>> =>
  sectionsOf(body).map(({ ends, start }) =>
    ends.map((end, index) => Buffer.from(body.subarray(index === 0 ? start : ends[index - 1], end)).toString())
  )
const cut = (request: unknown) => piecesOf(bodyOf(request))

const long = (seed: string) => ({ role: "user", content: prose(pieceBytesMin, seed) })
const short = (seed: string) => ({ role: "user", content: seed })

describe("sectionsOf", () => {
  it("makes a piece of each long message, tool and text, and gathers short ones", () => {
    const request = {
      model: "m",
      instructions: prose(600, "instructions"),
      input: [short("a"), short("b"), long("c"), short("d"), long("e"), short("rest")],
      stream: true,
      tools: [long("t")]
    }
    const text = (value: unknown) => JSON.stringify(value)
    assert.deepStrictEqual(cut(request), [
      [text(request.instructions)],
      [
        `${text(short("a"))},${text(short("b"))}`,
        `,${text(long("c"))}`,
        `,${text(short("d"))}`,
        `,${text(long("e"))}`
      ],
      [text(long("t"))]
    ])
    const many = Array.from({ length: 1_000 }, (_, n) => short(`message ${n}`))
    const [pieces] = cut({ messages: many })
    for (const piece of pieces!) {
      assert.isAtLeast(piece.length, pieceBytesMin)
      assert.isBelow(piece.length, pieceBytesMin + 60)
    }
  })

  it("is not misled by white space, escapes, brackets in strings, or nested lists", () => {
    const tricky = { content: `${prose(600, "x")}\\"]},{[\\\\`, parts: [[1, [2, { "a\"]": [] }]], "}"] }
    for (const space of [undefined, 2, "\t"]) {
      const body = Buffer.from(JSON.stringify({ "k\\\"": "]", messages: [tricky, tricky] }, null, space))
      const [pieces] = piecesOf(body)
      assert.deepStrictEqual(pieces!.map((piece) => JSON.parse(piece.replace(/^\s*,/, "")) as unknown), [
        tricky,
        tricky
      ])
    }
  })

  const message = fc.tuple(fc.nat(1_500), fc.string(), fc.json()).map(([length, seed, more]) => ({
    content: prose(length, seed),
    more: JSON.parse(more) as unknown
  }))
  it.prop(
    "cuts what is there already as before when messages are appended",
    [fc.array(message, { maxLength: 12 }), fc.array(message, { maxLength: 4 }), fc.constantFrom(undefined, 1)],
    ([messages, added, space]) => {
      const before = piecesOf(Buffer.from(JSON.stringify({ messages }, null, space)))[0] ?? []
      const after = piecesOf(Buffer.from(JSON.stringify({ messages: [...messages, ...added] }, null, space)))[0] ?? []
      assert.deepStrictEqual(after.slice(0, before.length), before)
    }
  )

  it.prop("never throws, and cuts in order within any bytes", [
    fc.oneof(fc.uint8Array({ maxLength: 3_000 }), fc.json().map((text) => Buffer.from(text))),
    fc.constantFrom("", "{\"a\":[", "{\"a\":\"", "{\"a\":{"),
    fc.constantFrom("", "]}", "\"}", "}}")
  ], ([middle, before, after]) => {
    const body = Buffer.concat([Buffer.from(before), middle, Buffer.from(after)])
    let last = 0
    for (const { ends, start } of sectionsOf(body)) {
      assert.isAtLeast(start, last)
      last = start
      for (const end of ends) {
        assert.isAtLeast(end - last, 1)
        last = end
      }
    }
    assert.isAtMost(last, body.length)
  })

  it("takes no more than linear time for a hostile body", () => {
    const n = 4_000_000
    const hostile: Record<string, string> = {
      "deep nesting": `{"a":${"[".repeat(n)}${"]".repeat(n)}}`,
      "unbalanced": `{"a":${"[{".repeat(n)}`,
      "too many ends": `{"a":[${"]".repeat(n)}`,
      "backslashes": `{"a":"${"\\\\".repeat(n)}"}`,
      "escaped quotes": `{"a":"${"\\\"".repeat(n)}"}`,
      "backslashes between quotes": `{"a":"${`${"\\".repeat(1_001)}"`.repeat(n / 1_000)}"}`,
      "no end of a string": `{"a":"${"x".repeat(n)}`,
      "tiny elements": `{"a":[${"1,".repeat(n)}1]}`,
      "empty strings": `{"a":[${"\"\",".repeat(n)}1]}`,
      "duplicate keys": `{${"\"a\":1,".repeat(n)}"a":1}`,
      "white space": `{${" ".repeat(n)}"a":[${"\n".repeat(n)}]${"\t".repeat(n)}}`
    }
    for (const [name, text] of Object.entries(hostile)) {
      // About 50 ms each; a hundred times the length would still do, its square would not.
      assert.isBelow(cpuMs(() => sectionsOf(Buffer.from(text))), 5_000, name)
    }
  })

  it("leaves alone what is not one whole object", () => {
    const list = JSON.stringify([long("a"), long("b")])
    for (const text of ["", "null", list, `{"a":${list}`, `{"a":${list}}}`, `{"a":${list}}{}`, `\uFEFF{"a":${list}}`]) {
      assert.deepStrictEqual(sectionsOf(Buffer.from(text)), [], text.slice(0, 20))
    }
    assert.strictEqual(sectionsOf(Buffer.from(` {"a":${list}}\n`)).length, 1)
  })
})
