import { completion, headOf, json, lastChunk, type WireFault, type WireFaults } from "./Exchange.js"

const says = (what: string, ...parts: ReadonlyArray<string | Uint8Array>): WireFault => ({
  says: what,
  play: (exchange) => exchange.end(...parts)
})

const ok = (...lines: ReadonlyArray<string>) => `${headOf(...lines, "Content-Length: 2")}ok`
const status = (line: string) => `${line}\r\nContent-Length: 2\r\n\r\nok`
const latin1 = (text: string) => Buffer.from(text, "latin1")
const redirect = (code: number): WireFault => ({
  says: `a ${code} to another host`,
  play: (exchange) =>
    exchange.end(`HTTP/1.1 ${code} Elsewhere\r\nLocation: http://other.invalid/v1\r\nContent-Length: 2\r\n\r\nok`)
})

/** What can be wrong with an answer before its body begins. */
export const headFaults: WireFaults = {
  "close-before-head": says("the connection closes without a byte"),
  "reset-before-head": { says: "the connection is reset without a byte", play: (exchange) => exchange.reset() },
  "cut-status-line": says("the connection closes within the status line", "HTTP/1.1 20"),
  "cut-head": says("the connection closes within the headers", "HTTP/1.1 200 OK\r\nContent-Type: application/js"),
  "reset-head": {
    says: "the connection is reset within the headers",
    play: (exchange) => exchange.reset("HTTP/1.1 200 OK\r\nContent-Le")
  },
  "garbage": says("bytes that are no HTTP", "\u0000\u0001\u0002 not HTTP at all \r\n\r\n"),
  "garbage-status-line": says("a status line without a number", status("HTTP/1.1 abc OK")),
  "status-0": says("the status 000", status("HTTP/1.1 000 Nothing")),
  "status-99": says("the status 099", status("HTTP/1.1 099 Low")),
  "status-1000": says("a status of four digits", status("HTTP/1.1 1000 High")),
  "status-999": says("the status 999", status("HTTP/1.1 999 Odd")),
  "status-negative": says("a negative status", status("HTTP/1.1 -200 OK")),
  "no-reason": says("a status line without a reason phrase", status("HTTP/1.1 200")),
  "huge-reason": says("a reason phrase of 200 kB", status(`HTTP/1.1 200 ${"r".repeat(200_000)}`)),
  "http-0.9": says("a body without a head", completion),
  "http-1.0": says("HTTP/1.0, the body ended by the close", "HTTP/1.0 200 OK\r\n\r\nok"),
  "http-2": says("the version HTTP/2.0 in the status line", status("HTTP/2.0 200 OK")),
  "http-3.7": says("a version that does not exist", status("HTTP/3.7 200 OK")),
  "other-protocol": says("the greeting of a mail server", "220 mail.invalid ESMTP ready\r\n"),
  "tls-to-plain": says("the start of a TLS handshake", Buffer.from("160301007a0100007603030001", "hex")),
  "line-feeds-only": says("header lines that end in LF alone", ok().replaceAll("\r\n", "\n")),
  "leading-blank-lines": says("blank lines before the status line", `\r\n\r\n${ok()}`),
  "large-header": says("a header of 60 kB", ok(`X-Large: ${"h".repeat(60_000)}`)),
  "huge-header": says("a header of 1 MB", ok(`X-Huge: ${"h".repeat(1_000_000)}`)),
  "huge-header-name": says("a header name of 100 kB", ok(`${"N".repeat(100_000)}: v`)),
  "many-headers": says("900 headers", ok(...Array.from({ length: 900 }, (_, n) => `X-Many-${n}: v`))),
  "too-many-headers": says("50,000 headers", ok(...Array.from({ length: 50_000 }, (_, n) => `X-Many-${n}: v`))),
  "endless-headers": {
    says: "headers without end",
    play: (exchange) => exchange.say("HTTP/1.1 200 OK\r\n").pump(latin1(`X-More: ${"h".repeat(1_000)}\r\n`))
  },
  "drip-head": {
    says: "headers that come a byte each 20 ms, without end",
    play: (exchange) => exchange.say("HTTP/1.1 200 OK\r\nX-Slow: ").drip(20, Array.from({ length: 10_000 }, () => "s"))
  },
  "nul-in-header": says("a NUL in a header", ok("X-Nul: a\u0000b")),
  "control-in-header": says("control characters in a header", ok("X-Control: a\u0001\u0007\u007Fb")),
  "latin1-header": says("bytes above 127 in a header", latin1(ok("X-Latin: caf\u00E9 \u00FF"))),
  "utf8-header": says("UTF-8 in a header", ok("X-Utf8: \u4F60\u597D \u{1F600}")),
  "folded-header": says("a header folded over two lines", ok("X-Folded: one\r\n two")),
  "bare-return-in-header": says("a CR alone in a header", ok("X-Return: a\rX-Injected: b")),
  "space-before-colon": says("a blank between name and colon", ok("X-Blank : v")),
  "no-header-name": says("a header without a name", ok(": nameless")),
  "no-colon": says("a header line without a colon", ok("just some words")),
  "odd-header-name": says("a header name with characters that names may not have", ok("X-(Odd)[Name]: v")),
  "prototype-header": says("headers named __proto__ and constructor", ok("__proto__: polluted", "constructor: v")),
  "connection-names-all": says(
    "a Connection header that names the others",
    ok("Connection: x-hop, content-length, x-a", "X-Hop: 1", "X-A: 2")
  ),
  "repeated-headers": says(
    "the same header five times",
    ok(...Array.from({ length: 5 }, (_, n) => `Set-Cookie: c${n}=v`))
  ),
  "early-hints": says("103 before the answer", `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${ok()}`),
  "processing": says("102 before the answer", `HTTP/1.1 102 Processing\r\n\r\n${ok()}`),
  "informational-flood": says(
    "10,000 informational answers before the answer",
    "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(10_000),
    ok()
  ),
  "endless-informational": {
    says: "informational answers without end",
    play: (exchange) => exchange.pump(latin1("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100)))
  },
  "unasked-continue": says(
    "100 Continue that nobody asked for, before the answer",
    "HTTP/1.1 100 Continue\r\n\r\n",
    ok()
  ),
  "unasked-upgrade": says(
    "101 to a request that offered no upgrade",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
  ),
  "redirect-301": redirect(301),
  "redirect-302": redirect(302),
  "redirect-307": redirect(307),
  "redirect-308": redirect(308),
  "early-answer": {
    says: "an answer before the request's body has come, then a close",
    isEarly: true,
    play: (exchange) => exchange.end(ok("Connection: close"))
  },
  "reset-upload": {
    says: "a reset while the request's body is coming",
    isEarly: true,
    play: (exchange) => exchange.request.once("data", () => exchange.reset())
  },
  "close-after-answer": {
    says: "a whole answer that promises to keep the connection, which then closes",
    play: (exchange) => exchange.say(json(completion)).after(5, () => exchange.end())
  },
  "second-answer": {
    says: "a second answer that nobody asked for, behind the first",
    play: (exchange) => exchange.say(json(completion), json(`{"smuggled":true}`)).done()
  },
  "answer-later-too": {
    says: "a second answer that nobody asked for, 50 ms behind the first",
    play: (exchange) => exchange.say(json(completion)).after(50, () => exchange.say(json(`{"smuggled":true}`)).done())
  },
  "garbage-after-answer": {
    says: "garbage behind a whole answer",
    play: (exchange) => exchange.say(json(completion), lastChunk, "\u0000garbage").done()
  },
  "silence": { says: "nothing, for ever", play: () => {} }
}
