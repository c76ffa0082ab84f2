import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { proxyAt } from "../support/proxy.js"
import { recordCall } from "../support/recordedCall.js"
import { scratchFolder } from "../support/store.js"
import { tau } from "./tau.js"

const tool = {
  role: "assistant",
  content: null,
  tool_calls: [{
    id: "c",
    type: "function",
    function: { name: "write_file", arguments: "{\"text\":\"Zeile \\u00fcber\\nZeile\"}" }
  }]
}

const asking = (...messages: ReadonlyArray<object>) => Buffer.from(JSON.stringify({ model: "m", messages }))
const user = (content: string) => ({ role: "user", content })
const answer = (content: string) =>
  Buffer.from(JSON.stringify({ object: "chat.completion", choices: [{ message: { role: "assistant", content } }] }))
const long = "x ".repeat(4_000)

/** In the order they were made. */
const calls = [
  { request: asking(user("Say \"hello\"\nto Österreich")), response: answer("Grüß Gott") },
  { request: asking(user("Write"), tool), response: gzipSync(answer("It is \u001B[2Jwritten")) },
  { request: asking(user(`${long}needle in a haystack`), user(long)), response: answer("found") },
  { request: asking(user("pending")).subarray(0, -4), response: Buffer.from([0xff, 0, 1, 2]) },
  {}
]
const idOf = (n: number) => `6b0b91c9${String(n).padStart(8, "0")}`

describe("tau spans --text", { timeout: 60_000 }, () => {
  it.scopedLive("finds calls by what was said in them, decoded, newest first, and goes on behind a page", () =>
    Effect.gen(function*() {
      const store = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.gen(function*() {
        for (const [index, call] of calls.entries()) {
          yield* recordCall({ ...call, span: { spanId: idOf(index), startTimeUs: 0x6b0b91c9 * 1e6 + index } })
        }
      }).pipe(Effect.provide(proxyAt(store, "http://127.0.0.1:9")))
      const said = (...args: ReadonlyArray<string>) => {
        const { status, stderr, stdout } = tau(["spans", `--store=${store}`, ...args])
        assert.strictEqual(status, 0, stderr)
        return stdout
      }
      const found = (words: string, ...args: ReadonlyArray<string>) => {
        const { next, spans } = JSON.parse(said("--json", "--text", words, ...args)) as {
          readonly next: string | null
          readonly spans: ReadonlyArray<{ readonly span_id: string; readonly found: { readonly in: string } }>
        }
        return [spans.map((span) => [calls.findIndex((_, n) => idOf(n) === span.span_id), span.found.in]), next]
      }
      assert.deepStrictEqual(found("\"HELLO\" to österreich"), [[[0, "request"]], null])
      assert.deepStrictEqual(found("\"hello\"\nto"), [[[0, "request"]], null])
      assert.deepStrictEqual(found("grüß gott"), [[[0, "answer"]], null])
      assert.deepStrictEqual(found("zeile über zeile"), [[[1, "request"]], null])
      assert.deepStrictEqual(found("write_file"), [[[1, "request"]], null])
      assert.deepStrictEqual(found("written"), [[[1, "answer"]], null])
      assert.deepStrictEqual(found("needle in a hay"), [[[2, "request"]], null])
      assert.deepStrictEqual(found("pending"), [[[3, "request"]], null])
      assert.deepStrictEqual(found("\\n"), [[], null])
      assert.deepStrictEqual(found("i", "--limit=1"), [[[3, "request"]], idOf(3)])
      assert.deepStrictEqual(found("i", "--limit=1", `--after=${idOf(3)}`), [[[2, "request"]], idOf(2)])
      assert.deepStrictEqual(found("i", "--model=none"), [[], null])
      const text = said("--text", "written")
      assert.include(text, "\n  answer: It is \\u{1b}[2Jwritten\n")
      assert.notInclude(text, "\u001B")
      assert.include(said("--text", "needle in"), `\n  request: …${"x ".repeat(12)}needle in a haystack\n`)
      assert.include(said("--text", "i", "--limit=1"), ` --text i --limit 1 --after ${idOf(3)}\n`)
      assert.strictEqual(
        said("--text", "nowhere"),
        "In none of 5 calls is that said.\nOf 5 calls looked at, 1 has no recorded bodies.\n"
      )
      assert.deepInclude(tau(["spans", "--text", " "]), {
        status: 2,
        stderr: "tau: --text: expected a text, found blanks\n"
      })
    }))
})
