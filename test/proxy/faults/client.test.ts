import type { Socket } from "node:net"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "../../support/processes.js"
import { Bench, plantedKey } from "./bench.js"

interface Case {
  readonly play: (socket: Socket, prefix: string, bench: Bench) => void
  /** What the proxy says; null when the client leaves, or hears nothing. */
  readonly hears: RegExp | null
  readonly states: ReadonlyArray<string>
  /** Stays until the proxy closes the connection, rather than until it has been answered. */
  readonly untilClosed?: boolean
}

const ours = (status: number, code: string) => new RegExp(`^HTTP/1.1 ${status} [^]*"code":"${code}"`)
const malformed = ours(400, "training_proxy_malformed_request")
const tooLargeHead =
  /^HTTP\/1.1 431 Request Header Fields Too Large\r\n[^]*"code":"training_proxy_request_head_too_large"/
const tooSlow = ours(408, "training_proxy_request_timeout")
const attributionRefused = ours(400, "training_proxy_missing_or_invalid_attribution_header")
const good = /^HTTP\/1\.1 200 [^]*chatcmpl-faulty/
const key = `authorization: Bearer ${plantedKey}\r\n`

const head = (prefix: string, ...lines: ReadonlyArray<string>) =>
  `POST ${prefix}/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n${key}${
    lines.map((line) => `${line}\r\n`).join("")
  }\r\n`

/** A request with these header lines and body. */
const says = (
  lines: ReadonlyArray<string>,
  body: string,
  hears: Case["hears"],
  ...states: ReadonlyArray<string>
): Case => ({
  play: (socket, prefix) => void socket.write(Buffer.from(head(prefix, ...lines) + body, "latin1")),
  hears,
  states
})

/** A whole request line and head, written as they are. */
const line = (request: (prefix: string) => string, hears: Case["hears"], ...states: ReadonlyArray<string>): Case => ({
  play: (socket, prefix) => void socket.write(Buffer.from(request(prefix), "latin1")),
  hears,
  states
})

const method = (name: string, hears: Case["hears"], ...states: ReadonlyArray<string>) =>
  line((prefix) => `${name} ${prefix}/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n`, hears, ...states)

const withHeader = (name: string, value: string, hears: Case["hears"], ...states: ReadonlyArray<string>) =>
  says([`${name}: ${value}`, "Content-Length: 2"], "{}", hears, ...states)

const leaves = (
  text: (prefix: string) => string,
  ms: number,
  act: "destroy" | "resetAndDestroy",
  ...states: ReadonlyArray<string>
): Case => ({
  play: (socket, prefix) => {
    socket.write(text(prefix))
    setTimeout(() => socket[act](), ms)
  },
  hears: null,
  states,
  untilClosed: true
})

const chunkedHead = (prefix: string) => head(prefix, "Transfer-Encoding: chunked")
const chunked = (body: string, hears: Case["hears"], ...states: ReadonlyArray<string>) =>
  says(["Transfer-Encoding: chunked"], body, hears, ...states)

const cases: Readonly<Record<string, Case>> = {
  "a connection that says nothing": { play: () => {}, hears: tooSlow, states: [] },
  "a head that stops": line(() => "POST /v1/x HTTP/1.1\r\nHost: localhost\r\nX-", tooSlow),
  "a head that drips": {
    play: (socket) => {
      socket.write("GET /v1/x HTTP/1.1\r\n")
      const timer = setInterval(() => socket.write("X-A: b\r\n"), 100)
      socket.on("close", () => clearInterval(timer))
    },
    hears: tooSlow,
    states: []
  },
  "a body that stops": says(["Content-Length: 10"], "{}", tooSlow, "timeout"),
  "a chunked body that stops": chunked("2\r\n{}\r\n", tooSlow, "timeout"),
  "a large body that stops": says(["Content-Length: 5000000"], "x".repeat(100_000), tooSlow, "timeout"),
  "a reset within the head": leaves(() => "POST /v1/x HTTP/1.1\r\nHo", 20, "resetAndDestroy"),
  "a close within the head": leaves(() => "POST /v1/x HTTP/1.1\r\nHo", 20, "destroy"),
  "a reset within the body": leaves(
    (prefix) => `${head(prefix, "Content-Length: 100")}{`,
    50,
    "resetAndDestroy",
    "client_cancel"
  ),
  "a close within the body": leaves(
    (prefix) => `${head(prefix, "Content-Length: 100")}{`,
    50,
    "destroy",
    "client_cancel"
  ),
  "a close within a chunk": leaves((prefix) => `${chunkedHead(prefix)}64\r\n{`, 50, "destroy", "client_cancel"),
  "an upload that ends early, its sender still listening": {
    play: (socket, prefix) => void socket.end(`${head(prefix, "Content-Length: 100")}{}`),
    hears: malformed,
    states: ["client_cancel"]
  },
  "a close while the upstream is silent": leaves(
    (prefix) => `${head(prefix, "X-Fault: silence", "Content-Length: 2")}{}`,
    200,
    "destroy",
    "client_cancel"
  ),
  "a reset while the upstream is silent": leaves(
    (prefix) => `${head(prefix, "X-Fault: silence", "Content-Length: 2")}{}`,
    200,
    "resetAndDestroy",
    "client_cancel"
  ),
  "a close while events come": leaves(
    (prefix) => `${head(prefix, "X-Fault: endless-comments", "Content-Length: 2")}{}`,
    300,
    "destroy",
    "client_cancel"
  ),
  "an answer that is never read": {
    play: (socket, prefix) => {
      socket.pause()
      socket.write(`${head(prefix, "X-Fault: endless-body", "Content-Length: 2")}{}`)
    },
    hears: null,
    states: ["timeout"],
    untilClosed: true
  },
  "HTTP/0.9": line(() => "GET /v1/models\r\n\r\n", ours(400, "training_proxy_bad_request_target")),
  "no HTTP at all": line(() => "\u0000\u0001\u0002\r\n\r\n", malformed),
  "a TLS handshake": line(() => "\u0016\u0003\u0001\u0000z\u0001\u0000\u0000v\u0003\u0003", malformed),
  "HTTP/2's preface": line(() => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", malformed),
  "a version that does not exist": line(() => "GET /v1/models HTTP/9.9\r\nHost: localhost\r\n\r\n", malformed),
  "a method in lower case": method("get", malformed),
  "a method that does not exist": method("BREW", malformed),
  "an empty method": method("", malformed),
  "PROPFIND": method("PROPFIND", good, "done"),
  "TRACE": method("TRACE", good, "done"),
  "HEAD": method("HEAD", /^HTTP\/1\.1 200 [^]*\r\n\r\n$/, "done"),
  "DELETE": method("DELETE", good, "done"),
  "OPTIONS": method("OPTIONS", good, "done"),
  "header lines that end in LF alone": line((prefix) => `POST ${prefix}/v1/x HTTP/1.1\nHost: localhost\n\n`, malformed),
  "a header folded over two lines": says(["X-A: one", " two", "Content-Length: 2"], "{}", malformed),
  "a blank before the colon": says(["X-A : one", "Content-Length: 2"], "{}", malformed),
  "a header without a name": says([": one", "Content-Length: 2"], "{}", malformed),
  "a NUL in a header": says(["X-A: a\u0000b", "Content-Length: 2"], "{}", malformed),
  "a CR alone in a header": says(["X-A: a\rX-B: b", "Content-Length: 2"], "{}", malformed),
  "no Host": line(
    (prefix) => `GET ${prefix}/v1/models HTTP/1.1\r\n\r\n`,
    ours(400, "training_proxy_bad_request_target")
  ),
  "a head of 20 kB": says([`X-Large: ${"h".repeat(20_000)}`, "Content-Length: 2"], "{}", tooLargeHead),
  "a head of 1 MB": says([`X-Large: ${"h".repeat(1_000_000)}`, "Content-Length: 2"], "{}", tooLargeHead),
  "5,000 headers": says(Array.from({ length: 5_000 }, (_, n) => `X-${n}: v`), "", tooLargeHead),
  "a URL of 100 kB": line(
    (prefix) => `GET ${prefix}/v1/${"u".repeat(100_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    tooLargeHead
  ),
  "a URL of 10 kB": line(
    (prefix) => `GET ${prefix}/v1/${"u".repeat(10_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    good,
    "done"
  ),
  "a NUL in the path, escaped": line(
    (prefix) => `GET ${prefix}/v1/a%00b HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    ours(400, "training_proxy_bad_request_target")
  ),
  "an escape that is none": line(
    (prefix) => `GET ${prefix}/v1/%zz?%=%&&= HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    good,
    "done"
  ),
  "a length and chunks": says(["Content-Length: 5", "Transfer-Encoding: chunked"], "0\r\n\r\n", malformed),
  "two lengths that differ": says(["Content-Length: 2", "Content-Length: 3"], "{} ", malformed),
  "a negative length": says(["Content-Length: -2"], "{}", malformed),
  "a length that is no number": says(["Content-Length: two"], "{}", malformed),
  "a length of 30 digits": says([`Content-Length: ${"9".repeat(30)}`], "{}", malformed),
  "a length over the limit": says(["Content-Length: 99999999999"], "{}", ours(413, "training_proxy_request_too_large")),
  "chunked as a coding that is not the last": says(["Transfer-Encoding: chunked, gzip"], "0\r\n\r\n", malformed),
  "an unknown transfer coding": {
    ...says(["Transfer-Encoding: snappy"], "0\r\n\r\n", /^(?!.*HTTP\/1.1 400.*HTTP\/1.1).*_malformed_request"}}$/s),
    untilClosed: true
  },
  "a transfer coding that nobody undoes": says(
    ["Transfer-Encoding: gzip, chunked"],
    "2\r\n{}\r\n0\r\n\r\n",
    malformed
  ),
  "a whole chunked body": chunked("2\r\n{}\r\n0\r\n\r\n", good, "done"),
  "chunk extensions": chunked("2;a=b\r\n{}\r\n0;c\r\n\r\n", good, "done"),
  "trailers": chunked("2\r\n{}\r\n0\r\nX-T: 1\r\n\r\n", good, "done"),
  "chunk extensions of 1 MB": chunked(`2;${"e".repeat(1_000_000)}\r\n{}\r\n0\r\n\r\n`, malformed, "refused"),
  "a chunk size that is no number": chunked("2\r\n{}\r\nzz\r\n", malformed, "refused"),
  "a negative chunk size": chunked("2\r\n{}\r\n-2\r\n", malformed, "refused"),
  "a chunk size beyond 64 bits": chunked(`${"f".repeat(20)}\r\n{}`, malformed, "refused"),
  "a chunk longer than its size": chunked("2\r\n{} and more\r\n0\r\n\r\n", malformed, "refused"),
  "a chunk with LF alone": chunked("2\n{}\n0\n\n", malformed, "refused"),
  "garbage behind a whole request": says(["Content-Length: 2"], "{}\u0000garbage\r\n\r\n", good, "done"),
  "ten requests in one write": {
    play: (socket, prefix) =>
      void socket.write(
        `${head(prefix, "Content-Length: 2")}{}`.repeat(9) +
          `${head(prefix, "Content-Length: 2", "Connection: close")}{}`
      ),
    hears: good,
    states: Array.from({ length: 10 }, () => "done"),
    untilClosed: true
  },
  "a smuggled request in a body": says(
    ["Content-Length: 40"],
    "GET /v1/smuggled HTTP/1.1\r\nHost: a\r\n\r\n".padEnd(40),
    good,
    "done"
  ),
  "deep JSON": says([`Content-Length: 200000`], `${"[".repeat(100_000)}${"]".repeat(100_000)}`, good, "done"),
  "keys named __proto__": says(
    ["Content-Length: 34"],
    `{"__proto__":{"a":1},"model":"m"}  `.slice(0, 34),
    good,
    "done"
  ),
  "a body that is no UTF-8": says(["Content-Length: 4"], "\u00ff\u00fe\u00c0\u0080", good, "done"),
  "a body that says it is gzip": says(["Content-Encoding: gzip", "Content-Length: 2"], "{}", good, "done"),
  "5,000 content codings": says(
    [`Content-Encoding: ${"gzip,".repeat(2_000)}gzip`, "Content-Length: 2"],
    "{}",
    good,
    "done"
  ),
  "an empty rollout id": withHeader("X-Rollout-Id", "", good, "done"),
  "a rollout id of 10 kB": withHeader("X-Rollout-Id", "r".repeat(10_000), attributionRefused),
  "a rollout id with blanks": withHeader("X-Rollout-Id", "a b", attributionRefused),
  "a rollout id beyond ASCII": withHeader("X-Rollout-Id", "caf\u00e9", attributionRefused),
  "a rollout id given twice": says(
    ["X-Rollout-Id: a", "X-Rollout-Id: b", "Content-Length: 2"],
    "{}",
    attributionRefused
  ),
  "a trace id shaped like SQL": withHeader("X-Trace-Id", "';DROP/**/TABLE/**/spans;--", good, "done"),
  "a sequence id that is no number": withHeader("X-Sequence-Id", "1e3", attributionRefused),
  "a negative sequence id": withHeader("X-Sequence-Id", "-1", attributionRefused),
  "a sequence id of 30 digits": withHeader("X-Sequence-Id", "9".repeat(30), attributionRefused),
  "a broken traceparent": withHeader("Traceparent", "00-zz-zz-zz", good, "done"),
  "a session id of 10 kB": withHeader("Session-Id", "s".repeat(10_000), good, "done"),
  "an idempotency key shaped like SQL": withHeader("Idempotency-Key", "\"'); DELETE FROM spans; --", good, "done")
}

describe("The proxy, before a client that sends", () => {
  let bench: Bench
  beforeAll(async () => {
    bench = await Bench.start()
  })
  afterAll(() => bench.stop())

  it.each(Object.entries(cases))("%s", async (_name, { hears, play, states, untilClosed }) => {
    const attempt = bench.newAttempt()
    const { text } = await bench.exchange(
      (socket) => play(socket, bench.prefixOf(attempt), bench),
      (said) => untilClosed !== true && hears !== null && hears.test(said)
    ).catch((error: unknown) => {
      if (hears === null) return { text: "" }
      throw error
    })
    if (hears !== null) assert.match(text, hears)
    assert.notInclude(text, "smuggled")
    await eventually(
      `the states ${states.join()}; now ${bench.spansOf(attempt).map(({ state }) => state).join()}`,
      () => bench.spansOf(attempt).map(({ state }) => state).join() === states.join()
    )
    await bench.isWell(attempt, states)
  })

  it("a whole request, and then no more, while it listens: it hears nothing, and has no answer", async () => {
    const attempt = bench.newAttempt()
    const states = Array.from({ length: 40 }, () => "client_cancel")
    for (const _ of states) {
      const { text } = await bench.exchange((socket) =>
        void socket.end(`GET ${bench.prefixOf(attempt)}/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      )
      assert.strictEqual(text, "")
    }
    await bench.isWell(attempt, states)
  })
})
