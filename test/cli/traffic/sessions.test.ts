import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { FinishedSpan } from "../../../src/store/writer/spans.js"
import { proxyAt } from "../../support/proxy.js"
import { recordCall } from "../../support/recordedCall.js"
import { scratchFolder } from "../../support/store.js"
import { tau } from "../tau.js"

const capture = "capture-20261125T200000-a1b2c3"

const idOf = (n: number) => String(n).padStart(16, "0")

const user = (content: string) => ({ role: "user", content })
const assistant = (content: string) => ({ role: "assistant", content })

interface Call {
  readonly messages: ReadonlyArray<object>
  readonly answer?: string
  readonly status?: number
  readonly more?: object
  readonly span?: Partial<FinishedSpan>
}

/** What `tau` says in a folder whose store has these calls of a capture, of the ids 1, 2, … */
const withCalls = (
  calls: ReadonlyArray<Call>,
  test: (said: (...args: ReadonlyArray<string>) => string, folder: string) => void
) =>
  Effect.gen(function*() {
    const folder = yield* scratchFolder
    const store = join(folder, "store.sqlite")
    const said = (...args: ReadonlyArray<string>) => {
      const { status, stderr, stdout } = tau([...args, "--store=store.sqlite"], {}, folder)
      assert.strictEqual(status, 0, stderr)
      return stdout
    }
    yield* Effect.gen(function*() {
      for (const [index, { answer = "yes", messages, more, span, status = 200 }] of calls.entries()) {
        const choices = [{ index: 0, message: assistant(answer), finish_reason: "stop" }]
        yield* recordCall({
          attemptId: `${capture}:attempt-1`,
          request: Buffer.from(JSON.stringify({ model: "m", messages, ...more })),
          response: Buffer.from(JSON.stringify({ object: "chat.completion", model: "m", choices })),
          span: { rolloutId: capture, spanId: idOf(index + 1), statusCode: status, ...span }
        })
      }
      test(said, folder)
    }).pipe(Effect.provide(proxyAt(store, "http://127.0.0.1:9")))
  })

/** Two conversations at a time, a try that failed in one, and a side call. */
const twoConversations: ReadonlyArray<Call> = [
  { messages: [user("One?")], answer: "1" },
  { messages: [user("Two?")], answer: "2" },
  { messages: [user("One?"), assistant("1"), user("More?")], status: 500 },
  { messages: [user("One?"), assistant("1"), user("More?")], answer: "11" },
  { messages: [{ role: "system", content: "You are a title generator." }, user("Two?")], answer: "Two" },
  { messages: [user("Two?"), assistant("2"), user("More?")], answer: "22" }
]

const spansIn = (json: string) =>
  (JSON.parse(json) as { readonly spans: ReadonlyArray<{ readonly span_id: string }> }).spans.map((one) => one.span_id)

describe("a session that no agent names", { timeout: 60_000 }, () => {
  it.scopedLive("goes by its first call, as a data set shows it, in whatever takes a session", () =>
    withCalls(twoConversations, (said, folder) => {
      said("dataset", "build", "--out=all")
      const shown = readFileSync(join(folder, "all/dataset.jsonl"), "utf8").trimEnd().split("\n")
        .map((line) => JSON.parse(line) as { readonly session: string })
      assert.deepStrictEqual(shown.map(({ session }) => session), [idOf(1), idOf(2)])
      assert.deepStrictEqual(spansIn(said("spans", `--session=${idOf(2)}`, "--json")), [idOf(6), idOf(2)])
      assert.deepStrictEqual(spansIn(said("spans", `--session=${idOf(1)}`, "--json", "--limit=1")), [idOf(4)])
      assert.deepStrictEqual(
        spansIn(said("spans", `--session=${idOf(1)}`, "--json", `--after=${idOf(4)}`)),
        [idOf(1)]
      )
      // What a side call is of nobody knows.
      assert.include(said("spans", `--session=${idOf(5)}`), "No recorded call fits")
      assert.deepStrictEqual(spansIn(said("export", "spans", `--session=${idOf(2)}`, "--json")), [idOf(2), idOf(6)])
      const otlp = said("export", "spans", "--format=otlp", `--session=${idOf(2)}`)
      const named = [...otlp.matchAll(/"session\.id","value":\{"stringValue":"(\d+)"/g)]
      assert.deepStrictEqual(named.map(([, id]) => id), [idOf(2), idOf(2)])
      said("dataset", "build", `--session=${idOf(2)}`, "--out=one")
      assert.strictEqual(readFileSync(join(folder, "one/dataset.jsonl"), "utf8").trimEnd(), JSON.stringify(shown[1]))
    }))

  it.scopedLive("is told apart from others of its capture", () =>
    withCalls(twoConversations, (said) => {
      const text = said("rollout", capture)
      const told = text.split("\n").flatMap((line) =>
        /^(session \d+|calls of no session|  \d{16})/.exec(line)?.[0] ?? []
      )
      assert.deepStrictEqual(told, [
        `session ${idOf(1)}`,
        ...[1, 3, 4].map((n) => `  ${idOf(n)}`),
        `session ${idOf(2)}`,
        ...[2, 6].map((n) => `  ${idOf(n)}`),
        "calls of no session",
        `  ${idOf(5)}`
      ])
      const { sessions } = JSON.parse(said("rollout", capture, "--json")) as { readonly sessions: object }
      assert.deepStrictEqual(sessions, [
        { session: idOf(1), span_ids: [idOf(1), idOf(4)] },
        { session: idOf(2), span_ids: [idOf(2), idOf(6)] }
      ])
    }))

  it.scopedLive("has no heading where it is the only one", () =>
    withCalls(twoConversations.slice(0, 1), (said) => {
      assert.notMatch(said("rollout", capture), /^(session|calls of)/m)
    }))
})

describe("a session", { timeout: 60_000 }, () => {
  it.scopedLive("is found by the attempt, or the conversation, that a data set shows for it", () =>
    withCalls([
      { messages: [user("One?")], span: { rolloutId: "r", attemptId: "r:attempt-7" } },
      { messages: [user("Two?")], span: { rolloutId: "r", attemptId: "2" } },
      { messages: [user("Three?")], more: { conversation: "conv_3" } }
    ], (said) => {
      for (const [index, session] of ["r:attempt-7", "r 2", "conv_3"].entries()) {
        assert.deepStrictEqual(spansIn(said("spans", `--session=${session}`, "--json")), [idOf(index + 1)])
      }
    }))
})
