import { chunk, chunkedHead, headOf, lastChunk, type WireFault, type WireFaults } from "./Exchange.js"

const says = (what: string, ...parts: ReadonlyArray<string | Uint8Array>): WireFault => ({
  says: what,
  play: (exchange) => exchange.end(...parts)
})

const kept = (what: string, ...parts: ReadonlyArray<string | Uint8Array>): WireFault => ({
  says: what,
  play: (exchange) => exchange.say(...parts).done()
})

const lengths = (...values: ReadonlyArray<string>) => headOf(...values.map((value) => `Content-Length: ${value}`))
const chunked = chunkedHead("application/json")
const coded = (coding: string) => headOf(`Transfer-Encoding: ${coding}`)
const answered = (status: string, ...lines: ReadonlyArray<string>) =>
  [`HTTP/1.1 ${status}`, ...lines, "", ""].join("\r\n")

/** What can be wrong with where a body ends. */
export const framingFaults: WireFaults = {
  "cut-body": says("half of a sized body, then a close", lengths("1000"), "x".repeat(500)),
  "reset-body": {
    says: "half of a sized body, then a reset",
    play: (exchange) => exchange.reset(lengths("1000"), "x".repeat(500))
  },
  "no-body": says("a head that promises a body, then a close", lengths("1000")),
  "length-too-small": kept("more bytes than the length says", lengths("2"), "ok and more"),
  "length-negative": says("a negative length", lengths("-5"), "hello"),
  "length-words": says("a length that is no number", lengths("five"), "hello"),
  "length-plus": says("a length with a sign", lengths("+5"), "hello"),
  "length-hex": says("a length in hexadecimal", lengths("0x5"), "hello"),
  "length-empty": says("an empty length", lengths(""), "hello"),
  "length-beyond-64-bits": says("a length of 30 digits", lengths("9".repeat(30)), "hello"),
  "length-huge": says("a length of 8 PB and five bytes of it", lengths("9007199254740991"), "hello"),
  "two-lengths": says("two lengths that differ", lengths("5", "6"), "hello!"),
  "length-twice": says("the same length twice", lengths("5", "5"), "hello"),
  "length-list": says("two lengths in one header", lengths("5, 5"), "hello"),
  "length-and-chunks": says(
    "a length and the chunked coding",
    headOf("Content-Length: 5", "Transfer-Encoding: chunked"),
    chunk("hello"),
    lastChunk
  ),
  "chunks-and-length": says(
    "the chunked coding and a length",
    headOf("Transfer-Encoding: chunked", "Content-Length: 3"),
    chunk("hello"),
    lastChunk
  ),
  "unknown-coding": says("an unknown transfer coding", coded("snappy"), "hello"),
  "gzip-then-chunked": says("two transfer codings", coded("gzip, chunked"), chunk("hello"), lastChunk),
  "chunked-then-gzip": says(
    "chunked as a coding that is not the last",
    coded("chunked, gzip"),
    chunk("hello"),
    lastChunk
  ),
  "chunked-twice": says("chunked named twice", coded("chunked, chunked"), chunk("hello"), lastChunk),
  "identity-coding": says("the transfer coding identity", coded("identity"), "hello"),
  "odd-case-chunked": kept("the coding written cHuNkEd", coded("cHuNkEd"), chunk("hello"), lastChunk),
  "bad-chunk-size": says("a chunk size that is no number", chunked, chunk("hello"), "xyz\r\nhello\r\n"),
  "bad-first-chunk": says("a first chunk size that is no number", chunked, "zz\r\nhello\r\n"),
  "negative-chunk-size": says("a negative chunk size", chunked, chunk("hello"), "-5\r\nhello\r\n"),
  "huge-chunk-size": says("a chunk size beyond 64 bits", chunked, chunk("hello"), `${"f".repeat(20)}\r\nhello`),
  "chunk-too-long": says("more bytes than the chunk size says", chunked, chunk("hello"), "2\r\nhello\r\n", lastChunk),
  "cut-chunk": says("a close within a chunk", chunked, chunk("hello"), "64\r\nonly some"),
  "reset-chunk": {
    says: "a reset within a chunk",
    play: (exchange) => exchange.reset(chunked, chunk("hello"), "64\r\nonly")
  },
  "cut-chunk-size": says("a close within a chunk size", chunked, chunk("hello"), "6"),
  "no-last-chunk": says("chunks without the last one", chunked, chunk("hello")),
  "cut-last-chunk": says("a last chunk without its blank line", chunked, chunk("hello"), "0\r\n"),
  "chunk-extensions": kept("chunk extensions", chunked, "5;name=value;q=\"x;y\"\r\nhello\r\n", "0;last\r\n\r\n"),
  "huge-chunk-extension": says(
    "a chunk extension of 1 MB",
    chunked,
    `5;${"e".repeat(1_000_000)}\r\nhello\r\n`,
    lastChunk
  ),
  "many-small-chunks": {
    says: "20,000 chunks of one byte",
    play: (exchange) =>
      exchange.say(chunked).pump(Buffer.from("1\r\nx\r\n".repeat(1_000)), 20, () => exchange.say(lastChunk).done())
  },
  "trailers": kept(
    "trailers behind the last chunk",
    chunked,
    chunk("hello"),
    "0\r\nX-Trailer: 1\r\n\r\n"
  ),
  "length-in-trailers": kept(
    "a length among the trailers",
    chunked,
    chunk("hello"),
    "0\r\nContent-Length: 9\r\n\r\n"
  ),
  "endless-trailers": {
    says: "trailers without end",
    play: (exchange) =>
      exchange.say(chunked, chunk("hello"), "0\r\n").pump(Buffer.from("X-Trailer: more and more\r\n".repeat(50)))
  },
  "body-behind-204": kept("a 204 with a body", answered("204 No Content", "Content-Length: 5"), "hello"),
  "chunks-behind-204": kept(
    "a 204 with chunks",
    answered("204 No Content", "Transfer-Encoding: chunked"),
    chunk("hello"),
    lastChunk
  ),
  "body-behind-304": kept("a 304 with a body", answered("304 Not Modified", "Content-Length: 5"), "hello"),
  "plain-204": kept("a 204", answered("204 No Content")),
  "plain-304": kept("a 304", answered("304 Not Modified", "ETag: \"1\"")),
  "length-of-304": kept("a 304 with the length of a 200", answered("304 Not Modified", "Content-Length: 5")),
  "body-behind-205": kept("a 205 with a body", answered("205 Reset Content", "Content-Length: 5"), "hello"),
  "empty-200": kept("a 200 of length 0", lengths("0")),
  "empty-chunks": kept("a 200 with no chunk but the last", chunked, lastChunk),
  "empty-close": says("a 200 without length that closes at once", headOf()),
  "until-close": says("a body that ends with the connection", headOf("Content-Type: text/plain"), "hello"),
  "reset-until-close": {
    says: "a body without length, then a reset",
    play: (exchange) => {
      exchange.say(headOf("Content-Type: text/plain"), "hello")
      // Some systems forget a reset over bytes that were not read yet.
      exchange.after(100, () => exchange.reset())
    }
  },
  "silence-in-body": {
    says: "half of a sized body, then nothing for ever",
    play: (exchange) => void exchange.say(lengths("10"), "hello")
  },
  "silence-before-body": {
    says: "a head, then nothing for ever",
    play: (exchange) => void exchange.say(lengths("10"))
  },
  "silence-in-chunks": {
    says: "some chunks, then nothing for ever",
    play: (exchange) => void exchange.say(chunked, chunk("hello"))
  },
  "drip-body": {
    says: "a body that comes a byte each 10 ms, whole",
    play: (exchange) => exchange.say(lengths("20")).drip(10, "x".repeat(20))
  },
  "endless-drip": {
    says: "a body that comes a chunk each 20 ms, without end",
    play: (exchange) => exchange.say(chunked).drip(20, Array.from({ length: 100_000 }, () => chunk("x")))
  },
  "large-body": {
    says: "16 MB, whole",
    play: (exchange) => exchange.say(lengths(String(16 * 1024 * 1024))).pump(Buffer.alloc(1024 * 1024), 16)
  },
  "endless-body": {
    says: "chunks of 64 kB without end",
    play: (exchange) => exchange.say(chunked).pump(chunk(Buffer.alloc(64 * 1024)))
  }
}
