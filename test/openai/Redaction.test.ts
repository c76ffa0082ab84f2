import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { gzipSync } from "node:zlib"
import { eventsMax } from "../../src/openai/Assembly.js"
import { patternProblem } from "../../src/openai/BoundedPatterns.js"
import { type JsonPath, parseJsonPath, replacedAt } from "../../src/openai/JsonPath.js"
import { defaultRules, type RedactionRules, Redactor } from "../../src/openai/Redaction.js"

const redactor = new Redactor(defaultRules)
const withRules = (rules: Partial<RedactionRules>) => new Redactor({ ...defaultRules, ...rules })
const bodyText = (by: Redactor, text: string) => {
  const { bytes, count, dropped } = by.body(Buffer.from(text), null)
  return { text: Buffer.from(bytes).toString(), count, dropped }
}

const shapes = [
  "sk-abcdefghijklmnopqrst0123",
  "sk-proj-Abc_123-xyzXYZ0987654321",
  "sk-ant-api03-AAAAbbbbCCCC-dddd_EEEE",
  "tau_k1a2b3c4_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_",
  "tau-run-0123456789abcdef0123456789abcdef",
  "AKIAIOSFODNN7EXAMPLE",
  "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
  "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuv",
  "xoxb-123456789012-abcdefghijkl",
  "AIzaSyA1234567890abcdefghijklmnopqrstuv",
  "Bearer abcdefghijklmnop.qrst~123+/=",
  "bearer abcdefghijklmnop.qrst~123+/=",
  "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
  "gsk_abcdefghijklmnopqrst0123",
  "ek_68af296e8e408191a1120ab6383263c2",
  "ASIAIOSFODNN7EXAMPLE",
  ...["gho_", "ghu_", "ghs_", "ghr_", "glpat-", "hf_", "xai-"].map((beginning) => `${beginning}abcdefghijklmnop`),
  "xoxs-123456789012-abcdefghijkl"
]

describe("secrets by their shape", () => {
  it.each(shapes)("%s goes, and what is around it stays", (secret) => {
    for (
      const [before, after] of [["", ""], ["key: ", ","], ["\n", "\n"], ["x=", "&y"], ["\"", "\""], ["\u00e9", "ü"], [
        "\\",
        " "
      ]]
    ) {
      const json = JSON.stringify({ text: `${before}${secret}${after}` })
      const clean = bodyText(redactor, json).text
      expect(clean).toBe(JSON.stringify({ text: `${before}[REDACTED]${after}` }))
    }
    expect(bodyText(redactor, secret)).toMatchObject({ text: "[REDACTED]", count: 1 })
  })

  it.each(shapes)("%s is found behind an escape that ends like a word", (secret) => {
    for (const escape of ["%20", "%2F", "\\u4e2d", "\\n"]) {
      expect(bodyText(redactor, `{"a":"x${escape}${secret}"}`).text).toBe(`{"a":"x${escape}[REDACTED]"}`)
    }
  })

  it("is not kept of a body in UTF-16 or UTF-32, nor of a part of one", () => {
    const json = JSON.stringify({ käse: `x ${shapes[0]!} y` })
    const little = Buffer.from(json, "utf16le")
    const long = Buffer.from([...json].flatMap((letter) => [letter, "\0"]).join(""), "utf16le")
    const big = (bytes: Uint8Array) => Buffer.from(bytes).swap16()
    const bodies = [
      little,
      Buffer.from(`\uFEFF${json}`, "utf16le"),
      big(little),
      big(Buffer.from(`\uFEFF${json}`, "utf16le")),
      long,
      Buffer.from(long).swap32(),
      Buffer.concat([Buffer.from("--b\r\n\r\n"), little, Buffer.from("\r\n--b--")])
    ]
    for (const body of bodies) {
      for (const [bytes, coding] of [[body, null], [gzipSync(body), "gzip"]] as const) {
        expect(redactor.body(bytes, coding)).toMatchObject({ bytes: new Uint8Array(0), dropped: expect.any(String) })
      }
    }
    const clean = Buffer.from(JSON.stringify({ käse: "sk-1" }), "utf16le")
    expect(redactor.body(clean, null)).toMatchObject({ bytes: clean, count: 0, dropped: null })
    const asked = { patterns: [{ source: "käse-\\d+", flags: "" }], jsonPaths: ["$.name"] }
    const byRules = new Redactor({ ...defaultRules, defaults: false, ...asked })
    for (const hidden of [`{"name":"Ada"}`, `{"name":"Ada","cut`, `{"x":"käse-7"}`]) {
      expect(byRules.body(Buffer.from(`\uFEFF${hidden}`, "utf16le"), null).dropped).not.toBeNull()
    }
  })

  it("goes with a private key the whole key", () => {
    const key = `-----BEGIN RSA PRIVATE KEY-----\nMIIEow+/IBAAKC\nAQEA=\n-----END RSA PRIVATE KEY-----`
    expect(bodyText(redactor, JSON.stringify({ key })).text).toBe("{\"key\":\"[REDACTED]\"}")
    expect(bodyText(redactor, key).text).toBe("[REDACTED]")
    const block = key.replaceAll("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK")
    expect(bodyText(redactor, block).text).toBe("[REDACTED]")
  })

  it.prop("is a web token wherever it begins and whatever is around it", [
    FastCheck.stringMatching(/^(?:eyJ|[ab]{3}|[._"-]|\\\\n){0,24}$/)
  ], ([text]) => {
    const { text: clean } = bodyText(redactor, text)
    expect(clean).not.toMatch(/eyJ[\w-]{6,}\.[\w-]{6,}/)
    expect(clean.replaceAll("[REDACTED]", "").length).toBeLessThanOrEqual(text.length)
    if (!/eyJ[\w-]{6,}\.[\w-]{6,}/.test(text)) expect(clean).toBe(text)
  })

  it("is a web token and no more", () => {
    expect(bodyText(redactor, "a.b-eyJhbGciOi.eyJzdWIi.c2ln.rest, \\neyJhbGciOi.eyJzdWIi").text).toBe(
      "a.b-[REDACTED].rest, \\n[REDACTED]"
    )
  })

  it.each([
    "eyJ",
    "eyJa.",
    "sk-",
    "xoxb-",
    "Bearer ",
    "-----BEGIN ",
    "a.",
    "tau_a",
    "\\u0073k-"
  ])(
    "takes no time that grows faster than the text: %s",
    (beginning) => {
      expect(bodyText(redactor, `${beginning.repeat(1_000_000)}x`).dropped).toBe(null)
    }
  )

  it("is nothing that words look like", () => {
    const text =
      "a risk-averse task-force-for-everything asks: sk-1, tau_, Bearer of news, eyJa.b, AKIA, \\tau_abcd_efghijklmnopqrstuvw"
    expect(bodyText(redactor, text)).toEqual({ text, count: 0, dropped: null })
  })

  it("is found through escapes", () => {
    const escaped = [..."sk-abcdefghijklmnop"].map((c) => `\\u00${c.charCodeAt(0).toString(16)}`).join("")
    expect(bodyText(redactor, `{"a":"${escaped}","b":"\\u0022"}`).text).toBe("{\"a\":\"[REDACTED]\",\"b\":\"\\u0022\"}")
    const twice = `{"a":"\\\\u0073k-abcdefghijklmnop"}`
    expect(bodyText(redactor, twice)).toMatchObject({ text: twice, count: 0 })
    for (const q of ["%73k%2D", "%2573k-", "%252573k%25252D"]) {
      expect(redactor.label(`/v1/x?q=${q}abcdefghijklmnop`)).toBe("/[REDACTED]")
    }
  })

  it("leaves bytes that hold none as they were, whatever they are", () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, n) => n))
    expect(redactor.body(bytes, null).bytes).toBe(bytes)
  })
})

describe("compressed bodies", () => {
  it("are kept as they came without a secret, and plain without it", () => {
    const harmless = gzipSync("{\"a\":1}")
    expect(redactor.body(harmless, "gzip")).toEqual({
      bytes: harmless,
      contentEncoding: "gzip",
      count: 0,
      dropped: null
    })
    const { bytes, contentEncoding, count } = redactor.body(gzipSync(`{"a":"${shapes[0]}"}`), "gzip")
    expect([Buffer.from(bytes).toString(), contentEncoding, count]).toEqual(["{\"a\":\"[REDACTED]\"}", null, 1])
  })

  it("hide nothing behind their end", () => {
    const { bytes } = redactor.body(Buffer.concat([gzipSync("{}"), Buffer.from(shapes[0]!)]), "gzip")
    expect(Buffer.from(bytes).toString("latin1")).not.toContain(shapes[0])
  })

  it("are not kept when they cannot be read, unless there are no rules", () => {
    const odd = Buffer.from("odd")
    expect(redactor.body(odd, "compress")).toMatchObject({
      bytes: new Uint8Array(0),
      dropped: "unknown content encoding compress"
    })
    expect(withRules({ defaults: false }).body(odd, "compress").bytes).toBe(odd)
  })
})

describe("rules of one's own", () => {
  it("take out what patterns match, within their time", () => {
    const own = withRules({ patterns: [{ source: "emp-\\d{4}", flags: "i" }] })
    expect(bodyText(own, "EMP-1234 für ü")).toMatchObject({ text: "[REDACTED] für ü", count: 1 })
    const slow = withRules({ patterns: [{ source: "^(a+)+$", flags: "" }] })
    expect(bodyText(slow, "a".repeat(40) + "!")).toMatchObject({
      text: "",
      dropped: expect.stringContaining("too long")
    })
    expect(slow.label("a".repeat(40) + "!")).toBe("[REDACTED]")
  })

  it.each<readonly [string, string, string]>([
    ["(", "", "Invalid regular expression"],
    ["a*", "", "does not match the empty text"],
    ["a", "g", "expected flags"],
    ["(a+)+$", "", "backtracks too much where \"a\" is repeated"],
    ["\\d+\\d+ \\d+", "", "where \"0\" is repeated; \\b before what repeats, or a bound as in \\w{1,64}, often helps"]
  ])("refuse the pattern /%s/%s: %s", (source, flags, text) => {
    expect(patternProblem({ source, flags })).toContain(text)
    expect(patternProblem({ source: "emp-\\d+", flags: "i" })).toBeNull()
  })

  it.each(["\\b\\d+ \\d+", "\\d{1,64} \\d+"])("take the pattern /%s/, mended as the refusal says", (source) => {
    expect(patternProblem({ source, flags: "" })).toBeNull()
  })

  it("follow paths in bodies and in the events of streams", () => {
    const own = withRules({ jsonPaths: ["$.user", "$.messages[*].content", "$..delta"] })
    const body = "{\"user\":\"ann\",\"n\":1,\"messages\":[{\"role\":\"user\",\"content\":[1]},{\"content\":\"x\"}]}"
    expect(bodyText(own, body)).toMatchObject({
      text:
        "{\"user\":\"[REDACTED]\",\"n\":1,\"messages\":[{\"role\":\"user\",\"content\":\"[REDACTED]\"},{\"content\":\"[REDACTED]\"}]}",
      count: 3
    })
    expect(bodyText(own, "event: e\ndata: {\"delta\":{\"a\":1}}\n\ndata: [DONE]\n\n").text)
      .toBe("event: e\ndata: {\"delta\":\"[REDACTED]\"}\n\ndata: [DONE]\n\n")
    expect(bodyText(own, "{\"user\":\"ann\"").dropped).toContain("looks like JSON")
    expect(bodyText(own, "plain text")).toMatchObject({ text: "plain text", dropped: null })
  })

  it("follow paths in lines of JSON, as which the messages of a WebSocket are kept", () => {
    const own = withRules({ jsonPaths: ["$.user", "$..email"] })
    const lines = "{\"type\": \"a\", \"n\": 1}\n{\"user\":\"ann\",\"x\":{\"email\":\"e\"}}\n"
    expect(bodyText(own, lines)).toEqual({
      text: "{\"type\": \"a\", \"n\": 1}\n{\"user\":\"[REDACTED]\",\"x\":{\"email\":\"[REDACTED]\"}}\n",
      count: 2,
      dropped: null
    })
    const others = "{\"a\": 1}\r\n\r\n[2]\r\n"
    expect(bodyText(own, others)).toEqual({ text: others, count: 0, dropped: null })
    expect(bodyText(own, "{\"a\":1}\n{\"user\":\"ann").dropped).toContain("looks like JSON")
    expect(bodyText(own, "{\"a\":1}\nuser: ann\n").dropped).toContain("looks like JSON")
  })

  it("know what a path is", () => {
    for (const path of ["", "user", "$", "$.", "$.a[", "$[-1]", "$..", "$a", "$['a'"]) {
      expect([path, typeof parseJsonPath(path)]).toEqual([path, "string"])
    }
    const paths = ["$.a[0]['b c']", "$.a[*].__proto__", "$.d.*"].map((path) => parseJsonPath(path) as JsonPath)
    expect(replacedAt("{\"a\":[{\"b c\":1,\"__proto__\":2}],\"d\":{\"a\":3}}", paths, "0")).toEqual({
      text: "{\"a\":[{\"b c\":0,\"__proto__\":0}],\"d\":{\"a\":0}}",
      count: 3
    })
  })

  it("follow paths whichever way a key is written, and however often", () => {
    const own = withRules({ jsonPaths: ["$.user", "$.a.b"] })
    for (
      const [body, clean] of [
        ["{\"user\":\"ann\",\"user\":\"[REDACTED]\"}", "{\"user\":\"[REDACTED]\",\"user\":\"[REDACTED]\"}"],
        ["{\"a\":{\"b\":1},\"a\":2}", "{\"a\":{\"b\":\"[REDACTED]\"},\"a\":2}"],
        ["{\"us\\u0065r\": {\"a\": [1]} }", "{\"us\\u0065r\": \"[REDACTED]\" }"],
        [`${" ".repeat(100)}{"user":1}`, `${" ".repeat(100)}{"user":"[REDACTED]"}`]
      ] as const
    ) expect(bodyText(own, body).text).toBe(clean)
  })

  it("leave every other character as it was", () => {
    const own = withRules({ jsonPaths: ["$.user"] })
    expect(bodyText(own, "{ \"user\" : 1, \"seed\":12345678901234567890, \"t\":1.0, \"s\":\"\\u00e9\" }").text)
      .toBe("{ \"user\" : \"[REDACTED]\", \"seed\":12345678901234567890, \"t\":1.0, \"s\":\"\\u00e9\" }")
  })

  it.each([
    "data:  {\"user\":1}\n\n",
    "data:\t{\"user\":1}\r\r",
    "data:{\"user\":1}\n\n",
    "retrying: no\n\ndata: {\"user\":1}\n\n",
    "error: no\n\ndata: {\"user\":1}\n\n",
    "data: {}\n\nerror: {\"user\":1}\n\n",
    `${"\n".repeat(100)}data: {"user":1}\n\ndata: [DONE] \n\n`
  ])("follow paths in the stream %j", (stream) => {
    expect(bodyText(withRules({ jsonPaths: ["$.user"] }), stream))
      .toEqual({ text: stream.replace("\"user\":1", "\"user\":\"[REDACTED]\""), count: 1, dropped: null })
  })

  it.prop("follow paths as they are followed in what a parser makes of it", [
    FastCheck.object({
      key: FastCheck.constantFrom("a", "b", "\"\\"),
      values: [FastCheck.double(), FastCheck.string(), FastCheck.constantFrom("gone", null)],
      maxDepth: 4
    }),
    FastCheck.array(FastCheck.constantFrom("..", "*", "a", "b", 0, 1), { minLength: 1, maxLength: 4 })
  ], ([value, steps]) => {
    const path = steps.map((step) =>
      step === ".."
        ? { kind: "below" as const }
        : step === "*"
        ? { kind: "every" as const }
        : typeof step === "string"
        ? { kind: "key" as const, key: step }
        : { kind: "index" as const, index: step }
    )
    const follow = (at: unknown, [step, ...rest]: JsonPath): unknown => {
      if (step === undefined) return "gone"
      const here = step.kind === "below" ? follow(at, rest) : at
      const into = (child: unknown, place: string | number) =>
        step.kind === "below"
          ? follow(child, [step, ...rest])
          : step.kind === "every" || place === (step.kind === "key" ? step.key : step.index)
          ? follow(child, rest)
          : child
      if (Array.isArray(here)) return here.map(into)
      return typeof here === "object" && here !== null
        ? Object.fromEntries(Object.entries(here).map(([key, child]) => [key, into(child, key)]))
        : here
    }
    const json = JSON.stringify(value, null, 1)
    expect(JSON.parse(replacedAt(json, [path], "\"gone\"")!.text)).toEqual(
      JSON.parse(JSON.stringify(follow(value, path)))
    )
  })
})

it("does not let the tokens of an answer spell out what was taken from its text", () => {
  const answer = JSON.stringify({
    choices: [{ message: { content: shapes[0] }, logprobs: { content: [{ token: "sk-abcde" }, { token: "fghi" }] } }]
  })
  expect(bodyText(redactor, answer).text).toBe(
    "{\"choices\":[{\"message\":{\"content\":\"[REDACTED]\"},\"logprobs\":null}]}"
  )
})

it("does so behind a byte order mark too, and in a stream that begins strangely", () => {
  const answer = JSON.stringify({ c: shapes[0], logprobs: [{ token: "sk-abcde" }] })
  const clean = "{\"c\":\"[REDACTED]\",\"logprobs\":null}"
  for (const before of ["\uFEFF", "\uFEFFdata: ", "x: y\n\ndata: "]) {
    expect(bodyText(redactor, before + answer).text).toBe(before + clean)
  }
})

it("keeps the lines of a stream without a secret and its log probabilities", () => {
  const lines = `{"type":"response.created"}\n{"text":"${shapes[0]}","logprobs":[{"token":"sk-abcde"}]}\n`
  expect(bodyText(redactor, lines)).toMatchObject({
    text: "{\"type\":\"response.created\"}\n{\"text\":\"[REDACTED]\",\"logprobs\":null}\n",
    dropped: null
  })
})

it("tells a secret that is spread over events", () => {
  const stream = (...parts: ReadonlyArray<string>) => Buffer.from(parts.map((text) => `data: ${text}\n\n`).join(""))
  expect(redactor.isSpread(stream("{\"t\":\"sk-abcd\"}", "{\"t\":\"efghijklmnop\"}"))).toBe(true)
  expect(redactor.isSpread(stream("sk-abcd", "efghijklmnop"))).toBe(true)
  expect(redactor.isSpread(stream("{\"t\":\"sk-abcd\"}", "{\"u\":\"efghijklmnop\"}"))).toBe(false)
  // Of more events than are read nobody knows.
  expect(redactor.isSpread(Buffer.from("data:1\n\n".repeat(eventsMax + 1)))).toBe(true)
})

it.prop("has a text that is sure to be clean only where each text in it is", [
  FastCheck.array(
    FastCheck.oneof(
      FastCheck.string(),
      FastCheck.constantFrom(...shapes, "key", "not-needed", "\\u0073k-", "\"", "\\", "\n", "\uD800", "a\"b\\c")
    ),
    { maxLength: 6 }
  ),
  FastCheck.constantFrom("a\"b\\c", "key", "sk-", "\uD800")
], ([texts, secret]) => {
  const by = redactor.knowing([secret])
  const isClean = by.isCleanJson(JSON.stringify({ text: texts.join(""), texts }))
  if (isClean) { for (const text of [texts.join(""), ...texts]) expect(by.text(text).count).toBe(0) }
  const plain = texts.map((text) => text.replaceAll(/\D/g, ""))
  expect(by.isCleanJson(JSON.stringify(plain))).toBe(true)
  expect(withRules({ patterns: [{ source: "^", flags: "" }] }).isCleanJson("{}")).toBe(false)
})

const planted = FastCheck.constantFrom(...shapes)
it.prop("leaves no planted secret, and JSON is JSON afterwards", [
  FastCheck.jsonValue(),
  planted,
  FastCheck.string(),
  FastCheck.string().map((text) => text.replace(/^[A-Za-z0-9._~+/=-]+/, ""))
], ([value, secret, before, after]) => {
  const start = before.replace(/[A-Za-z0-9]$/, " ")
  const json = JSON.stringify({ value, secret: start + secret + after, list: [secret] })
  const { count, text } = bodyText(redactor, json)
  expect(text).not.toContain(secret)
  expect(count).toBeGreaterThanOrEqual(2)
  expect(Object.keys(JSON.parse(text) as object)).toEqual(["value", "secret", "list"])
})
