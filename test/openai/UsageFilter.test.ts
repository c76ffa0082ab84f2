import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { UsageFilter } from "../../src/openai/UsageFilter.js"
import { withUsageAsked } from "../../src/openai/UsageRequest.js"

/** What goes on of a stream that comes in these pieces. */
const filtered = (pieces: ReadonlyArray<Buffer>): Buffer => {
  const filter = new UsageFilter()
  return Buffer.concat([...pieces.map((piece) => filter.filter(piece)), filter.end()])
}

const filter = (text: string) => filtered([Buffer.from(text)]).toString("utf8")

/** The stream cut at these places, which may be anywhere, also within a character. */
const cutAt = (stream: Buffer, places: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const ends = [...places.map((place) => place % (stream.length + 1)).toSorted((a, b) => a - b), stream.length]
  return ends.map((end, index) => stream.subarray(ends[index - 1] ?? 0, end))
}

/** One event, as a server writes it that was asked for the usage, and as one that was not. */
interface Written {
  readonly asked: string
  readonly unasked: string
}

const words = fc.constantFrom("", "Größe 😀", "{\"usage\":null}", "\"usage\": null,", "a\nb", "choices: []")
const same = (text: string): Written => ({ asked: text, unasked: text })

/** JSON as JavaScript or as Python writes it. */
const jsonIn = (value: object, isWide: boolean) =>
  isWide
    ? JSON.stringify(value, null, 1).replaceAll(/\n */g, " ").replaceAll(/([[{]) | ([\]}])/g, "$1$2")
    : JSON.stringify(value)

const chunk = fc.record({
  content: words,
  place: fc.nat(3),
  isWide: fc.boolean(),
  name: fc.constantFrom("", "event: chunk~", ": ping~id: 7~")
}).map(({ content, isWide, name, place }): Written => {
  const members: Array<readonly [string, unknown]> = [["id", "c1"], ["choices", [{ index: 0, delta: { content } }]], [
    "usage_note",
    { usage: null }
  ]]
  const written = (given: ReadonlyArray<readonly [string, unknown]>) =>
    `${name}data: ${jsonIn(Object.fromEntries(given), isWide)}~~`
  return { asked: written(members.toSpliced(place, 0, ["usage", null])), unasked: written(members) }
})

const extra = fc.record({ isWide: fc.boolean(), before: fc.constantFrom("", "event: chunk~", "id: 8~retry: 1~") }).map(
  ({ before, isWide }): Written => ({
    asked: `${before}data: ${jsonIn({ id: "c1", choices: [], usage: { prompt_tokens: 3 } }, isWide)}~~`,
    unasked: ""
  })
)

const others = fc.constantFrom(
  ": OPENROUTER PROCESSING~~",
  "data: [DONE]~~",
  "data:{\"choices\":[],\"prompt_filter_results\":[]}~~",
  "data: {\"error\":{\"message\":\"no\"}}~~",
  "data: {\"choices\":[{}],\"usage\":{\"prompt_tokens\":1}}~~",
  "data: {\"usage\":null,~~",
  "data: {\"a\":~data: 1}~~",
  "event: end~~",
  "event: chunk~: ping~data: 1~~",
  "~"
).map(same)

const stream = fc.tuple(
  fc.array(fc.oneof(chunk, extra, others), { maxLength: 8 }),
  fc.constantFrom("\n", "\r\n", "\r"),
  fc.array(fc.nat(4096), { maxLength: 12 })
)

describe("UsageFilter", () => {
  it.prop(
    "leaves what a server would have sent that was not asked, wherever the stream is cut",
    [stream],
    ([given]) => {
      const [events, lineEnd, places] = given
      const text = (of: keyof Written) => events.map((event) => event[of]).join("").replaceAll("~", lineEnd)
      const bytes = Buffer.from(text("asked"))
      assert.strictEqual(filtered([bytes]).toString("utf8"), text("unasked"))
      assert.strictEqual(filtered(cutAt(bytes, places)).toString("utf8"), text("unasked"))
      assert.strictEqual(filtered([...bytes].map((byte) => Buffer.from([byte]))).toString("utf8"), text("unasked"))
    },
    { fastCheck: { numRuns: 300 } }
  )

  it.prop("gives the same for any bytes, wherever they are cut", [
    fc.array(
      fc.constantFrom("data:", " ", "\"usage\"", ":null", "{", "}", "\r", "\n", "\n\n", ",", "\"choices\":[]", ":")
    ),
    fc.array(fc.nat(512), { maxLength: 8 })
  ], ([parts, places]) => {
    const bytes = Buffer.from(parts.join(""))
    assert.deepStrictEqual(filtered(cutAt(bytes, places)), filtered([bytes]))
  }, { fastCheck: { numRuns: 300 } })

  it("takes nothing but the member out, wherever it stands", () => {
    const pairs = [
      [`{"usage":null}`, `{}`],
      [`{"usage":null,"id":1.0}`, `{"id":1.0}`],
      [`{ "usage" : null , "id":1 }`, `{ "id":1 }`],
      [`{"id":1e2,"usage":null}`, `{"id":1e2}`],
      [`{"choices":[],"usage":null,"prompt_filter_results":[]}`, `{"choices":[],"prompt_filter_results":[]}`],
      [`{"id": 1, "usage": null, "x": "\\u00e9"}`, `{"id": 1, "x": "\\u00e9"}`]
    ]
    for (const [given, wanted] of pairs) assert.strictEqual(filter(`data: ${given}\n\n`), `data: ${wanted}\n\n`)
  })

  it("leaves a line as it is where taking it out would change what else the line says", () => {
    for (
      const json of [`{"usage":1,"usage":null}`, `{"\\u0075sage":null,"a":"usage"}`, `{"usage":null`, `["usage",null]`]
    ) {
      assert.strictEqual(filter(`data: ${json}\n\n`), `data: ${json}\n\n`)
    }
  })

  it("drops an extra chunk that has several lines, begins the stream, or ends it without a blank line", () => {
    assert.strictEqual(filter(`data: {"choices":[],\ndata: "usage":{}}\n\ndata: 1\n\n`), "data: 1\n\n")
    assert.strictEqual(filter(`\uFEFFdata: {"choices":[],"usage":{}}\n\ndata: 1\n\n`), "data: 1\n\n")
    assert.strictEqual(filter(`data: 1\n\ndata: {"choices":[],"usage":{}}`), "data: 1\n\n")
    assert.strictEqual(filter(`data: 1\n\ndata: {"choices":[],\ndata: "usage":{}}`), "data: 1\n\n")
  })

  it("holds a line no longer than to its end, and [DONE] not for its blank line", () => {
    const filter = new UsageFilter()
    const passed = (text: string) => filter.filter(Buffer.from(text)).toString("utf8")
    assert.strictEqual(passed(`data: {"id":1}\n`), `data: {"id":1}\n`)
    assert.strictEqual(passed("\ndata: [DO"), "\n")
    assert.strictEqual(passed("NE]\n"), "data: [DONE]\n")
    assert.strictEqual(passed("\n: comment\r"), "\n: comment\r")
    assert.strictEqual(passed("\n\r\n"), "\n\r\n")
  })

  it("passes a line over 1 MiB as it is, as soon as it is that long, and filters what follows", () => {
    const event = (bytes: number) => `data: {"usage":null,"id":"${"x".repeat(bytes - 28)}"}`
    assert.strictEqual(event(100).length, 100)
    const max = 1024 * 1024
    const after = `\n\ndata: {"choices":[],"usage":{}}\n\ndata: 1\n\n`
    const wanted = (length: number) => length > max ? event(length) : event(length).replace("\"usage\":null,", "")
    for (const length of [max, max + 1]) {
      const bytes = Buffer.from(event(length) + after)
      const output = `${wanted(length)}\n\ndata: 1\n\n`
      assert.isTrue(filtered([bytes]).toString() === output, `${length} bytes in one piece`)
      assert.isTrue(
        filtered(cutAt(bytes, [5, 70_000, max - 1, max, max + 1])).toString() === output,
        `${length} in many`
      )
    }
    const filter = new UsageFilter()
    const head = Buffer.from(event(2 * max))
    assert.strictEqual(filter.filter(head.subarray(0, max)).length, 0)
    assert.strictEqual(filter.filter(head.subarray(max, max + 1)).length, max + 1)
    assert.strictEqual(filter.filter(head.subarray(max + 1)).length, max - 1)
  })

  it("holds no more than that of an event whose data does not come, however short its lines are", () => {
    const filter = new UsageFilter()
    const lines = Buffer.from("x: 1234567890\n".repeat(1024))
    let sent = 0
    let passed = 0
    while (passed === 0 && sent < 4 * 1024 * 1024) {
      sent += lines.length
      passed += filter.filter(lines).length
    }
    assert.closeTo(sent, 1024 * 1024, lines.length)
    assert.closeTo(passed, sent, lines.length)
    assert.strictEqual(filter.end().length + passed, sent)
  })

  it("takes deep nesting and many short lines without falling over", () => {
    const deep = `data: {"usage":null,"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}\n\n`
    assert.isTrue(filter(deep) === deep)
    const lines = ":\r".repeat(200_000)
    assert.isTrue(filter(lines) === lines)
  })

  it("passes an event on that has more lines, or came in more pieces, than a function takes arguments", () => {
    const lines = `${"a\n".repeat(200_000)}data: {}\n\n`
    assert.isTrue(filter(lines) === lines)
    const long = "x".repeat(1_100_000)
    const pieces = Array.from({ length: 220_000 }, (_, n) => Buffer.from(long.slice(5 * n, 5 * n + 5)))
    assert.isTrue(filtered(pieces).toString("utf8") === long)
  })
})

describe("withUsageAsked", () => {
  const asked = (text: string) => withUsageAsked(Buffer.from(text))?.toString("utf8") ?? null

  it("asks for the usage and keeps every other byte", () => {
    assert.strictEqual(
      asked(` {"model": "m", "temperature":1.0,"stream" :true }\n`),
      ` {"stream_options":{"include_usage":true},"model": "m", "temperature":1.0,"stream" :true }\n`
    )
    assert.strictEqual(
      asked(`{"stream":true,"stream_options":{ "include_obfuscation":false}}`),
      `{"stream":true,"stream_options":{"include_usage":true, "include_obfuscation":false}}`
    )
    const [empty, nil] = [`{"stream":true,"stream_options":{ }}`, `{"stream_options":null,"stream":true}`]
    assert.strictEqual(asked(empty), `{"stream":true,"stream_options":{"include_usage":true }}`)
    assert.strictEqual(asked(nil), `{"stream_options":{"include_usage":true},"stream":true}`)
    const long = "k".repeat(200)
    assert.strictEqual(
      asked(`{"stream":true,"stream_options":{"${long}":1}}`),
      `{"stream":true,"stream_options":{"include_usage":true,"${long}":1}}`
    )
  })

  it("does not where the client says it itself, wants no stream, or cannot be read", () => {
    for (
      const body of [
        `{"stream":true,"stream_options":{"include_usage":false}}`,
        `{"stream":true,"stream_options":{"include_usage":true}}`,
        `{"stream":true,"stream_options":{"include_\\u0075sage":null}}`,
        `{"stream":true,"stream_options":"x"}`,
        `{"stream":false}`,
        `{"stream":true,"stream":false}`,
        `{"stream":"true"}`,
        `{"messages":[{"stream":true}]}`,
        `{"stream":true`,
        `[{"stream":true}]`,
        ``
      ]
    ) assert.strictEqual(asked(body), null, body)
  })

  it.prop("changes only what the request says of the usage", [
    fc.dictionary(fc.string({ maxLength: 8 }), fc.jsonValue()),
    fc.option(fc.dictionary(fc.string({ maxLength: 8 }), fc.jsonValue()), { nil: undefined })
  ], ([members, options]) => {
    const body = { ...members, stream: true, ...(options !== undefined && { stream_options: options }) }
    const before = JSON.stringify(body)
    const after = JSON.parse(asked(before) ?? "null") as Record<string, unknown>
    assert.deepStrictEqual(
      after,
      JSON.parse(JSON.stringify({ ...body, stream_options: { include_usage: true, ...options } }))
    )
  })
})
