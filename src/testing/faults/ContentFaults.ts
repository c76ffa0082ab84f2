import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib"
import { completion, headOf, json, sized, type WireFault, type WireFaults } from "./Exchange.js"

/** Bodies are made when they are first asked for: some take a while. */
const answers = (what: string, body: () => Uint8Array): WireFault => {
  let made: Uint8Array | null = null
  return { says: what, play: (exchange) => exchange.say(made ??= body()).done() }
}

const coded = (what: string, coding: string, body: () => Uint8Array): WireFault =>
  answers(what, () => sized("application/json", body(), `Content-Encoding: ${coding}`))

const blanks = () => Buffer.alloc(64 * 1024 * 1024, " ")
/** Members of a gzip file follow each other. */
const mebibyte = gzipSync(Buffer.alloc(1024 * 1024, " "))
const plain = Buffer.from(completion)

const withField = (field: string) => completion.replace(/^\{/, `{${field},`)
const withContent = (content: string) => completion.replace(`"content":"ok"`, `"content":${content}`)

/** What can be wrong with a body that arrives whole: its coding, its JSON, its numbers. */
export const contentFaults: WireFaults = {
  "gzip-bomb": coded(
    "1 GB of blanks, by gzip",
    "gzip",
    () => Buffer.concat(Array.from({ length: 1_024 }, () => mebibyte))
  ),
  "deflate-bomb": coded("64 MB of blanks, by deflate", "deflate", () => deflateSync(blanks(), { level: 1 })),
  "brotli-bomb": coded("64 MB of blanks, by Brotli", "br", () => brotliCompressSync(blanks(), { params: { 1: 1 } })),
  "gzip-in-gzip": coded("gzip in gzip", "gzip, gzip", () => gzipSync(gzipSync(plain))),
  "broken-gzip": coded("gzip with a broken middle", "gzip", () => {
    const bytes = gzipSync(plain)
    return bytes.fill(0xff, 20, 40)
  }),
  "cut-gzip": coded("half of a gzip stream", "gzip", () => gzipSync(plain).subarray(0, 40)),
  "no-gzip": coded("plain text that says it is gzip", "gzip", () => plain),
  "gzip-then-garbage": coded(
    "gzip with garbage behind it",
    "gzip",
    () => Buffer.concat([gzipSync(plain), Buffer.alloc(50, 7)])
  ),
  "unknown-encoding": coded("an unknown content coding", "x-rot13", () => plain),
  "zstd": coded("a body that says it is zstd", "zstd", () => Buffer.from("28b52ffd0000", "hex")),
  "many-encodings": coded(
    "5,000 layers of gzip, in name",
    Array.from({ length: 5_000 }, () => "gzip").join(", "),
    () => plain
  ),
  "empty-encoding": coded("an empty content coding", "", () => plain),
  "wrong-type": answers("JSON that says it is a picture", () => sized("image/png", plain)),
  "no-type": {
    says: "a body without a type",
    play: (exchange) => exchange.say(headOf(`Content-Length: ${plain.length}`), plain).done()
  },
  "unknown-charset": answers(
    "JSON in a charset that does not exist",
    () => sized("application/json; charset=x-none", plain)
  ),
  "binary": answers(
    "a megabyte of every byte",
    () => sized("application/json", Buffer.from(Array.from({ length: 1024 * 1024 }, (_, n) => n % 256)))
  ),
  "invalid-utf8": answers(
    "JSON with bytes that are no UTF-8",
    () => json(Buffer.from(withContent(`"\u00ff\u00fe\u00c0\u0080"`), "latin1"))
  ),
  "utf16": answers("JSON in UTF-16", () => json(Buffer.from(`\uFEFF${completion}`, "utf16le"))),
  "byte-order-mark": answers("JSON behind a byte order mark", () => json(`\uFEFF${completion}`)),
  "cut-json": answers("half of a JSON text, of the right length", () => json(completion.slice(0, 60))),
  "no-json": answers("an HTML page that says it is JSON", () => json("<html><body>502 Bad Gateway</body></html>")),
  "two-jsons": answers("two JSON texts", () => json(`${completion}${completion}`)),
  "json-null": answers("null", () => json("null")),
  "json-number": answers("a number", () => json("1e999")),
  "json-list": answers("a list of a million zeros", () => json(`[${"0,".repeat(999_999)}0]`)),
  "deep-json": answers(
    "JSON nested 100,000 deep",
    () => json(withContent(`${"[".repeat(100_000)}${"]".repeat(100_000)}`))
  ),
  "deep-objects": answers(
    "objects nested 100,000 deep",
    () => json(withContent(`${`{"a":`.repeat(100_000)}1${"}".repeat(100_000)}`))
  ),
  "prototype-keys": answers(
    "keys named __proto__, constructor and prototype",
    () => json(withField(`"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}`))
  ),
  "duplicate-keys": answers(
    "the same keys twice",
    () => json(withField(`"model":"first","usage":{"prompt_tokens":99}`))
  ),
  "huge-key": answers("a key of 64 kB", () => json(withField(`"${"k".repeat(65_536)}":1`))),
  "many-keys": answers(
    "100,000 keys",
    () => json(withField(Array.from({ length: 100_000 }, (_, n) => `"k${n}":${n}`).join()))
  ),
  "lone-surrogates": answers("half of a character, escaped", () => json(withContent(`"\\ud800 and \\udc00"`))),
  "nul-in-text": answers("NULs in a text", () => json(withContent(`"a\\u0000b"`))),
  "control-in-json": answers("control characters in a text, not escaped", () => json(withContent(`"a\u0001\u001Fb"`))),
  "not-a-number": answers(
    "NaN and Infinity",
    () => json(withField(`"usage":{"prompt_tokens":NaN,"completion_tokens":Infinity}`))
  ),
  "huge-numbers": answers(
    "1e400 and 2^53+1 tokens",
    () =>
      json(
        completion.replace(
          `"prompt_tokens":1,"completion_tokens":1`,
          `"prompt_tokens":1e400,"completion_tokens":9007199254740993`
        )
      )
  ),
  "negative-usage": answers(
    "tokens below zero",
    () => json(completion.replace(`"prompt_tokens":1`, `"prompt_tokens":-5`))
  ),
  "usage-texts": answers(
    "tokens that are texts, lists and null",
    () =>
      json(completion.replace(`"prompt_tokens":1,"completion_tokens":1`, `"prompt_tokens":"1","completion_tokens":[1]`))
  ),
  "odd-types": answers(
    "fields of the wrong type",
    () => json(`{"id":{},"object":7,"created":"x","model":[],"choices":{"0":null},"usage":true}`)
  ),
  "null-choices": answers(
    "choices that are null",
    () => json(`{"object":"chat.completion","model":"m","choices":[null,{"message":null}]}`)
  ),
  "error-in-200": answers(
    "an error behind the status 200",
    () => json(`{"error":{"message":"no","type":"server_error","code":"x"}}`)
  ),
  "injection": answers("SQL, markup and terminal escapes in every name", () =>
    json(JSON.stringify({
      id: "'; DROP TABLE spans; --",
      model: "m'); DELETE FROM payloads; --",
      object: "chat.completion",
      choices: [{
        index: 0,
        message: { role: "<script>", content: "\u001B[2J\u202E${x}{{y}}" },
        finish_reason: "\" OR 1=1"
      }]
    })))
}
