import {
  chunk,
  chunkedHead,
  delta,
  doneEvent,
  lastChunk,
  streamHead,
  type WireFault,
  type WireFaults
} from "./Exchange.js"

/** A whole event stream of these pieces, one chunk each. */
const stream = (what: string, ...pieces: ReadonlyArray<string | Uint8Array>): WireFault => ({
  says: what,
  play: (exchange) => exchange.say(streamHead, ...pieces.map(chunk), lastChunk).done()
})

const error = `data: {"error":{"message":"overloaded","type":"server_error","code":"overloaded"}}\n\n`
const million = 1024 * 1024

/** What can be wrong with a stream of events. */
export const streamFaults: WireFaults = {
  "stream": stream("nothing: a stream that ends as it should", delta("o"), delta("k"), doneEvent),
  "cut-stream": {
    says: "a stream that is closed before its end",
    play: (exchange) => exchange.end(streamHead, chunk(delta("o")))
  },
  "reset-stream": {
    says: "a stream that is reset before its end",
    play: (exchange) => exchange.reset(streamHead, chunk(delta("o")))
  },
  "cut-event": {
    says: "a close within an event",
    play: (exchange) => exchange.end(streamHead, chunk(delta("o")), chunk("data: {\"choi"))
  },
  "cut-character": {
    says: "a close within a character",
    play: (exchange) => exchange.end(streamHead, chunk(delta("o")), chunk(Buffer.from("data: \u4F60").subarray(0, 8)))
  },
  "stream-without-done": stream("a whole stream without its terminal event", delta("o"), delta("k")),
  "reset-after-done": {
    says: "a reset right after [DONE]",
    play: (exchange) => exchange.reset(streamHead, chunk(delta("ok")), chunk(doneEvent))
  },
  "close-after-done": {
    says: "a close right after [DONE], without the last chunk",
    play: (exchange) => exchange.end(streamHead, chunk(delta("ok")), chunk(doneEvent))
  },
  "silence-after-done": {
    says: "[DONE], then nothing for ever",
    play: (exchange) => void exchange.say(streamHead, chunk(delta("ok")), chunk(doneEvent))
  },
  "more-after-done": stream("events behind [DONE]", delta("ok"), doneEvent, delta("late"), doneEvent),
  "endless-after-done": {
    says: "events without end behind [DONE]",
    play: (exchange) =>
      exchange.say(streamHead, chunk(delta("ok")), chunk(doneEvent)).pump(chunk(delta("late").repeat(100)))
  },
  "done-byte-by-byte": {
    says: "a stream of one byte a chunk",
    play: (exchange) => exchange.say(streamHead, ...[...`${delta("ok")}${doneEvent}`].map(chunk), lastChunk).done()
  },
  "done-in-one-write": {
    says: "head, events and end in one write",
    play: (exchange) =>
      exchange.say(Buffer.concat([Buffer.from(streamHead), chunk(delta("ok") + doneEvent), Buffer.from(lastChunk)]))
        .done()
  },
  "error-event": stream("an error within a stream that began with 200", delta("o"), error, doneEvent),
  "error-then-close": {
    says: "an error event, then a close without an end",
    play: (exchange) => exchange.end(streamHead, chunk(delta("o")), chunk(error))
  },
  "silence-in-stream": {
    says: "an event, then nothing for ever",
    play: (exchange) => void exchange.say(streamHead, chunk(delta("o")))
  },
  "endless-stream": {
    says: "events without end, as fast as they are read",
    play: (exchange) => exchange.say(streamHead).pump(chunk(delta("more ".repeat(1_000))))
  },
  "endless-comments": {
    says: "a comment each 20 ms, without end",
    play: (exchange) =>
      exchange.say(streamHead).drip(20, Array.from({ length: 100_000 }, () => chunk(": still working\n\n")))
  },
  "giant-line": {
    says: "one line of 8 MB, and an end",
    play: (exchange) =>
      exchange.say(streamHead, chunk("data: ")).pump(
        chunk(Buffer.alloc(million, "x")),
        8,
        () => exchange.say(chunk(`\n\n${doneEvent}`), lastChunk).done()
      )
  },
  "endless-line": {
    says: "a line without end",
    play: (exchange) => exchange.say(streamHead, chunk("data: ")).pump(chunk(Buffer.alloc(64 * 1024, "x")))
  },
  "endless-event": {
    says: "an event of data lines without end",
    play: (exchange) => exchange.say(streamHead).pump(chunk("data: more\n".repeat(5_000)))
  },
  "no-final-newline": stream("a terminal event without its line end", delta("ok"), "data: [DONE]"),
  "mixed-line-ends": stream(
    "CRLF, CR and LF in one stream",
    delta("o").replaceAll("\n", "\r\n"),
    delta("k").replaceAll("\n", "\r"),
    doneEvent.replaceAll("\n", "\r\n")
  ),
  "split-line-ends": stream("CRLFs cut in two", "data: {}\r", "\n\r", "\ndata: [DONE]\r", "\n\r", "\n"),
  "blank-lines-only": stream("10,000 blank lines", "\n".repeat(10_000)),
  "nuls-in-stream": stream("NULs between the events", "\u0000\u0000", delta("ok"), "\u0000data: x\n\n", doneEvent),
  "mark-in-stream": stream("a byte order mark before the first event", `\uFEFF${delta("ok")}`, doneEvent),
  "broken-utf8-in-stream": stream(
    "bytes that are no UTF-8",
    Buffer.from("data: \u00ff\u00fe\u00c0\n\n", "latin1"),
    doneEvent
  ),
  "split-character": stream(
    "a character cut in two",
    Buffer.from("data: \u4F60").subarray(0, 7),
    Buffer.from("data: \u4F60\n\n").subarray(7),
    doneEvent
  ),
  "no-colon-lines": stream("lines without a colon", "data\ndata\n\nevent\n\nretry\n\n", doneEvent),
  "unknown-fields": stream(
    "fields that do not exist",
    "foo: bar\nid: \u0000\nretry: -1\nretry: 1e999\n\n",
    delta("ok"),
    doneEvent
  ),
  "broken-json-events": stream(
    "events that are no JSON",
    "data: {\"a\":\n\n",
    "data: ]\n\n",
    "data: undefined\n\n",
    delta("ok"),
    doneEvent
  ),
  "deep-event": stream("an event nested 100,000 deep", `data: ${"[".repeat(100_000)}\n\n`, doneEvent),
  "many-choices": {
    says: "100,000 choices, one event each",
    play: (exchange) =>
      exchange.say(
        streamHead,
        chunk(
          Array.from({ length: 100_000 }, (_, n) => `data: {"choices":[{"index":${n},"delta":{"content":"x"}}]}\n\n`)
            .join("")
        ),
        chunk(doneEvent),
        lastChunk
      ).done()
  },
  "huge-index": stream(
    "a choice of index 2^53",
    `data: {"choices":[{"index":9007199254740992,"delta":{"content":"x","tool_calls":[{"index":4294967295,"function":{"arguments":"{}"}}]}}]}\n\n`,
    doneEvent
  ),
  "prototype-in-stream": stream(
    "deltas with keys named __proto__",
    `data: {"choices":[{"index":0,"delta":{"__proto__":{"polluted":true},"constructor":{"polluted":true},"content":"ok"}}]}\n\n`,
    doneEvent
  ),
  "json-as-stream": {
    says: "plain JSON that says it is a stream",
    play: (exchange) => exchange.say(streamHead, chunk(`{"error":{"message":"no"}}`), lastChunk).done()
  },
  "stream-as-json": {
    says: "a stream that says it is JSON",
    play: (exchange) =>
      exchange.say(chunkedHead("application/json"), chunk(delta("ok")), chunk(doneEvent), lastChunk).done()
  },
  "empty-stream": stream("a stream without an event")
}
