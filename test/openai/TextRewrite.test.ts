import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import type { Endpoint } from "../../src/openai/Endpoint.js"
import { requestTexts } from "../../src/openai/RequestTexts.js"
import { TextRewrite, type TextWhere } from "../../src/openai/TextRewrite.js"

type Api = Endpoint["api"]

const rewrite = (api: Api, body: string, rules: ReadonlyArray<readonly [TextWhere, string | null]>) => {
  const result = new TextRewrite(rules.map(([where]) => where)).apply(api, Buffer.from(body), rules.map(([, by]) => by))
  return result === null ? null : { body: result.body.toString("utf8"), matched: result.matched, gaveUp: result.gaveUp }
}

const system = (how: object): TextWhere => ({ kind: "system", ...how })
const chat = (content: string) => `{"model":"m", "messages":[{"role":"system","content":${content}}],"n":1}`

describe("a text in the place of an agent's own", () => {
  it("replaces a whole system or developer message of a chat, and keeps every other byte", () => {
    for (const role of ["system", "developer"]) {
      const around = (text: string) =>
        ` {\n "messages" : [ { "content":"Be kind." , "role":"user"},{"role":"${role}" ,"content" : ${text} } ],"x":1.0e2}\r\n`
      assert.deepStrictEqual(
        rewrite("chat_completions", around("\"Be kind.\""), [[system({ equal: "Be kind." }), "Be \"short\".\n"]]),
        { body: around("\"Be \\\"short\\\".\\n\""), matched: [0], gaveUp: [] }
      )
    }
  })

  it("replaces a part, and keeps the bytes of the rest of its text, escapes and all", () => {
    assert.strictEqual(
      rewrite("chat_completions", chat(`"\\u00e9\\/é😀\\ud83d\\ude00 KEEP old\\tpart \\u0041"`), [
        [system({ containing: "old\tpart" }), "new"]
      ])!.body,
      chat(`"\\u00e9\\/é😀\\ud83d\\ude00 KEEP new \\u0041"`)
    )
    assert.strictEqual(
      rewrite("chat_completions", chat(`"Now: 2026-11-25. Then."`), [
        [system({ matching: "now: [\\d-]+", flags: "i" }), "Later"]
      ])!.body,
      chat(`"Later. Then."`)
    )
  })

  it("finds texts however they are escaped", () => {
    assert.strictEqual(
      rewrite("chat_completions", chat(`"\\u0042e kind"`), [[system({ equal: "Be kind" }), "x"]])!.body,
      chat(`"x"`)
    )
    const escapedKeys = `{"m\\u0065ssages":[{"r\\u006fle":"system","content":"old"}]}`
    assert.strictEqual(
      rewrite("chat_completions", escapedKeys, [[system({ equal: "old" }), "new"]])!.body,
      escapedKeys.replace("old", "new")
    )
  })

  it("replaces texts in parts, each a text of its own", () => {
    const body = (text: string) =>
      chat(`[{"type":"text","text":"one"},{"type":"image_url","text":"two"},{"text":${text},"type":"input_text"}]`)
    const result = rewrite("chat_completions", body("\"two\""), [[system({ equal: "two" }), "2"]])
    assert.strictEqual(result!.body, body("\"2\""))
  })

  it("replaces the instructions and the system items of a Responses request", () => {
    const body = (instructions: string, item: string) =>
      `{"instructions":"${instructions}","input":[{"role":"user","content":"old"},{"type":"message","role":"developer",` +
      `"content":[{"type":"input_text","text":"${item}"}]}],"metadata":{"instructions":"old"}}`
    assert.strictEqual(
      rewrite("responses", body("old", "old"), [[{ kind: "instructions", equal: "old" }, "new"]])!.body,
      body("new", "old")
    )
    assert.strictEqual(
      rewrite("responses", body("old", "old"), [[system({ equal: "old" }), "new"]])!.body,
      body("old", "new")
    )
  })

  it("replaces Anthropic's system text, plain or in parts", () => {
    for (
      const  of of[(text: string) => text, (text: string) => `[{"type":"text","text":${text},"cache_control":{}}]`]
    ) {
      const body = (text: string) => `{"system":${of(text)},"messages":[{"role":"user","content":"old"}]}`
      assert.strictEqual(
        rewrite("messages", body("\"old\""), [[system({ equal: "old" }), "new"]])!.body,
        body("\"new\"")
      )
    }
  })

  it("replaces a tool's description by the tool's name, in each API's shape", () => {
    const bodies: ReadonlyArray<readonly [Api, (text: string) => string]> = [
      [
        "chat_completions",
        (text) =>
          `{"tools":[{"type":"function","function":{"description":${text},"name":"find","parameters":` +
          `{"properties":{"name":"find","description":"old"}}}},{"function":{"name":"f","description":"old"}}]}`
      ],
      ["chat_completions", (text) => `{"functions":[{"name":"find","description":${text}}]}`],
      ["responses", (text) => `{"tools":[{"type":"function","name":"find","description":${text}}]}`],
      ["messages", (text) => `{"tools":[{"name":"find","description":${text},"input_schema":{}}]}`]
    ]
    for (const [api, body] of bodies) {
      const result = rewrite(api, body("\"old\""), [[{ kind: "tool_description", tool: "find" }, "new"]])
      assert.deepStrictEqual(result, { body: body("\"new\""), matched: [0], gaveUp: [] })
    }
  })

  it("touches no look-alike: what a user said, what is nested, other roles, other APIs", () => {
    const bodies: ReadonlyArray<readonly [Api, string]> = [
      ["chat_completions", `{"messages":[{"role":"user","content":"old"},{"role":"tool","content":"old"}]}`],
      [
        "chat_completions",
        `{"messages":[{"role":"user","content":"{\\"role\\":\\"system\\",\\"content\\":\\"old\\"}"}]}`
      ],
      ["chat_completions", `{"x":{"messages":[{"role":"system","content":"old"}]},"messages":[],"system":"old"}`],
      ["chat_completions", `{"messages":[{"role":"user","content":[{"role":"system","content":"old"}]}]}`],
      ["chat_completions", `{"messages":[{"role":"system","content":{"text":"old"}}],"instructions":"old"}`],
      ["responses", `{"messages":[{"role":"system","content":"old"}],"input":"old","prompt":{"instructions":"old"}}`],
      ["messages", `{"instructions":"old","messages":[{"role":"assistant","content":"old"}]}`]
    ]
    for (const [api, body] of bodies) {
      assert.deepStrictEqual(
        rewrite(api, body, [
          [system({ equal: "old" }), "new"],
          [{ kind: "instructions", containing: "old" }, "new"],
          [{ kind: "tool_description", tool: "old" }, "new"]
        ]),
        { body, matched: [], gaveUp: [] }
      )
    }
  })

  it("of a key that is given twice takes the last, as parsers do", () => {
    const body = (text: string) =>
      `{"messages":[{"role":"system","content":"old"}],"messages":[{"role":"user","content":"old","role":"system","content":"${text}"}]}`
    const result = rewrite("chat_completions", body("old"), [[system({ equal: "old" }), "new"]])
    assert.strictEqual(result!.body, body("new"))
    const parsed = JSON.parse(result!.body) as { readonly messages: ReadonlyArray<{ readonly content: string }> }
    assert.strictEqual(parsed.messages[0]!.content, "new")
  })

  it("applies several rules to the agent's own words, the earlier first", () => {
    const rules: ReadonlyArray<readonly [TextWhere, string]> = [
      [system({ containing: "red" }), "blue"],
      [system({ containing: "blue" }), "green"],
      [system({ containing: "d pa" }), "never"],
      [system({ containing: "never there" }), "never"]
    ]
    assert.deepStrictEqual(rewrite("chat_completions", chat(`"a red part and a blue one"`), rules), {
      body: chat(`"a blue part and a green one"`),
      matched: [0, 1],
      gaveUp: []
    })
  })

  it("changes no byte where the text is the wanted one already, however it is escaped", () => {
    const body = Buffer.from(chat(`"\\u0042e kind"`))
    const result = new TextRewrite([system({ equal: "Be kind" })]).apply("chat_completions", body, ["Be kind"])!
    assert.strictEqual(result.body, body)
    assert.deepStrictEqual(result.matched, [0])
  })

  it("leaves out a rule that has no text to put there", () => {
    const body = chat("\"old\"")
    assert.deepStrictEqual(rewrite("chat_completions", body, [[system({ equal: "old" }), null]])!.matched, [])
  })

  it("gives up on a pattern that takes too long", () => {
    const body = chat(`"${"a".repeat(40)}!"`)
    assert.deepStrictEqual(
      rewrite("chat_completions", body, [[system({ matching: "^(a+)+$" }), "x"], [system({ containing: "!" }), "?"]]),
      { body: body.replace("!", "?"), matched: [1], gaveUp: [0] }
    )
  })

  it("reads nothing from a body that is not one JSON object in UTF-8", () => {
    for (
      const body of ["", "[]", "\"text\"", "{\"messages\":", "{\"messages\" [1]}", "{a:1}", "\u0000{}", "nonsense"]
    ) {
      assert.isNull(requestTexts("chat_completions", Buffer.from(body)), body)
    }
    assert.isNull(requestTexts("chat_completions", Buffer.from(`{"messages":[]}`, "utf16le")))
    const broken = Buffer.concat([
      Buffer.from(`{"messages":[{"role":"system","content":"`),
      Buffer.from([0xff, 0x22]),
      Buffer.from("}]}")
    ])
    assert.deepStrictEqual(requestTexts("chat_completions", broken), [])
    const marked = Buffer.from(`\uFEFF${chat("\"old\"")}`)
    assert.lengthOf(requestTexts("chat_completions", marked)!, 1)
  })

  it("steps over a body that nests deep or is large without much ado", () => {
    const deep = `{"x":${"[".repeat(200_000)}${"]".repeat(200_000)},"messages":[{"role":"system","content":"old"}]}`
    assert.lengthOf(requestTexts("chat_completions", Buffer.from(deep))!, 1)
  })

  const text = fc.string({ unit: "binary", maxLength: 12 })
  const json = fc.jsonValue({ maxDepth: 3, stringUnit: "binary" })

  it.prop(
    "changes the value of the text and no other value, whatever is around it",
    [text, text, text, text, json, fc.array(json, { maxLength: 3 }), fc.boolean()],
    ([before, old, after, by, other, turns, escaped]) => {
      const content = `${before}<${old}>${after}`
      const written = (value: unknown) => {
        const plain = JSON.stringify(value)
        return escaped
          ? plain.replaceAll(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
          : plain
      }
      const head = `{"other" :${written(other)}, "messages":[ {"role":"system","content": `
      const tail = `}, ${written({ role: "user", content, other: turns })} ] , "content": ${written(content)} }`
      const body = Buffer.from(head + written(content) + tail)
      const result = new TextRewrite([{ kind: "system", containing: `<${old}>` }])
        .apply("chat_completions", body, [by])!
      const expected = content.replace(`<${old}>`, () => by)
      // Bytes before and after the string are the same, and the string says what it must.
      const start = Buffer.byteLength(head)
      const end = result.body.length - Buffer.byteLength(tail)
      assert.deepStrictEqual(result.body.subarray(0, start), body.subarray(0, start))
      assert.deepStrictEqual(result.body.subarray(end), body.subarray(body.length - Buffer.byteLength(tail)))
      assert.strictEqual(JSON.parse(result.body.toString("utf8", start, end)), expected)
      assert.deepStrictEqual(result.matched, [0])
    }
  )

  it.prop("never throws, and leaves alone what no rule is about", [fc.uint8Array({ maxLength: 200 })], ([bytes]) => {
    const body = Buffer.from(bytes)
    const result = new TextRewrite([system({ equal: "\uFFFD never" })]).apply("messages", body, ["x"])
    assert.isTrue(result === null || result.body === body)
  })
})
