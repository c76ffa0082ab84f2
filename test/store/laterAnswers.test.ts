import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { join } from "node:path"
import { AttemptId, WorkerId } from "../../src/domain/Ids.js"
import { defaultRules, type RedactionRules } from "../../src/openai/Redaction.js"
import { RolloutQueue } from "../../src/store/RolloutQueue.js"
import { RunFindings } from "../../src/store/RunFindings.js"
import { SpanStore } from "../../src/store/SpanStore.js"
import * as Sqlite from "../../src/store/Sqlite.js"
import type { FinishedSpan } from "../../src/store/writer/spans.js"
import { openCall, recordCall } from "../support/recordedCall.js"
import { begin as beginRun, scratchFolder, withStore as withRun } from "../support/store.js"

const withStore = <A, E, R>(test: Effect.Effect<A, E, R>, redaction: RedactionRules = defaultRules) =>
  Effect.flatMap(scratchFolder, (folder) => {
    const recording = { payloads: true, redaction }
    const store = Sqlite.layer({ path: join(folder, "store.sqlite"), kind: "test", recording })
    return Effect.provide(test, Layer.provideMerge(SpanStore.layer, store))
  })

const responseOf = (id: string, status: string, text = "42") => ({
  id,
  object: "response",
  model: "m",
  status,
  output: status === "completed"
    ? [{ type: "message", role: "assistant", content: [{ type: "output_text", text }] }]
    : [],
  usage: status === "completed" ? { input_tokens: 9, output_tokens: 4, total_tokens: 13 } : null
})

const bytesOf = (value: object | string) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value))

/** A call that is given only the id of its answer. */
const begin = (response: object | string, span: Partial<FinishedSpan> = {}, request: object = { input: "?" }) =>
  recordCall({ path: "/v1/responses", request: bytesOf(request), response: bytesOf(response), span })
const fetch = (answer: { readonly id: string }, span: Partial<FinishedSpan> = {}) =>
  recordCall({
    path: `/v1/responses/${answer.id}`,
    response: bytesOf(answer),
    span: { method: "GET", ...span }
  })

/** A call that its client left, and that ends after what comes `meanwhile`. */
const leave = <E, R>(meanwhile: Effect.Effect<void, E, R>) =>
  Effect.gen(function*() {
    const call = { spanId: "00000000000000aa", path: "/v1/responses" }
    yield* openCall(call)
    yield* meanwhile
    yield* begin(responseOf("resp_1", "queued"), { ...call, state: "client_cancel", wasOpened: true })
  })

const spans = Effect.flatMap(SpanStore, (store) => store.byAttempt(AttemptId.make("r:attempt-1")))

const outputTokens = Effect.map(spans, (all) => all.map((span) => span.outputTokens))

describe("an answer that is fetched later", () => {
  it.scopedLive("is that of a call to the same server, whatever ids others give", () =>
    withStore(Effect.gen(function*() {
      const [one, two] = ["http://127.0.0.1:4001/v1", "http://127.0.0.1:4002/v1"] as const
      yield* begin(responseOf("resp_1", "queued"), { upstreamUrl: one })
      yield* begin(responseOf("resp_1", "queued"), { upstreamUrl: two })
      yield* fetch(responseOf("resp_1", "completed"), { upstreamUrl: one })
      assert.deepStrictEqual(yield* outputTokens, [4, null, null])
      yield* fetch(responseOf("resp_1", "completed"), { upstreamUrl: two })
      assert.deepStrictEqual(yield* outputTokens, [4, 4, null, null])
    })))

  it.scopedLive("is nobody's where its id was redacted", () =>
    withStore(
      Effect.gen(function*() {
        yield* begin(responseOf("resp_0a1b2c3d", "queued"))
        yield* begin(responseOf("resp_4e5f6a7b", "queued"))
        yield* fetch(responseOf("resp_0a1b2c3d", "completed"))
        assert.deepStrictEqual(yield* outputTokens, [null, null, null])
      }),
      { ...defaultRules, patterns: [{ source: "[0-9a-f]{8}", flags: "" }] }
    ))

  it.scopedLive("says of its call that secrets were taken out of it", () =>
    withStore(Effect.gen(function*() {
      const secret = "sk-abcdefghijklmnopqrst"
      yield* begin(responseOf("resp_1", "queued"), {}, { input: secret })
      yield* fetch(responseOf("resp_1", "completed", `${secret} ${secret}`))
      const [call] = yield* spans
      assert.strictEqual(call!.attributes["tau.redacted"], 3)
    })))

  it.scopedLive("is no reason why the rollout of a stream that was cut failed", () =>
    withRun(Effect.gen(function*() {
      const { runId } = yield* beginRun(1)
      const queue = yield* RolloutQueue
      const [claim] = yield* queue.claim({ runId, workerId: WorkerId.make("w"), leaseMs: 60_000, limit: 1 })
      yield* queue.start(claim!)
      const { attemptId, rolloutId } = claim!
      yield* begin(responseOf("resp_1", "in_progress"), { attemptId, rolloutId, state: "upstream_cut" })
      const failure = {
        status: "failed",
        error: "exit code 1",
        brokenBy: null,
        stderrTail: null,
        permanent: true
      } as const
      const broken = Effect.map(Effect.flatMap(RunFindings, (findings) => findings.outage(runId)), (all) => all.length)
      yield* queue.fail(claim!, failure)
      assert.strictEqual(yield* broken, 1)
      yield* fetch(responseOf("resp_1", "completed"), { attemptId, rolloutId })
      assert.strictEqual(yield* broken, 0)
    })))

  it.scopedLive("stays when a later version of its call is written", () =>
    withStore(Effect.gen(function*() {
      const spanId = "00000000000000aa"
      yield* begin(responseOf("resp_1", "queued"), { spanId })
      yield* fetch(responseOf("resp_1", "completed"))
      const [before] = yield* spans
      yield* begin(`${JSON.stringify(responseOf("resp_1", "queued"))}\n`, { spanId, isFirst: false, wasOpened: true })
      const [after] = yield* spans
      assert.strictEqual(before!.outputTokens, 4)
      assert.deepStrictEqual(after, before)
    })))

  describe("before the call that its client left has ended", () => {
    const completed = responseOf("resp_1", "completed")

    for (
      const [how, fetched] of [
        ["fetched", fetch(completed)],
        ["fetched as a stream that its client left at the last event", fetch(completed, { state: "client_cancel" })],
        [
          "cancelled",
          recordCall({ path: "/v1/responses/resp_1/cancel", response: bytesOf({ ...completed, status: "cancelled" }) })
        ]
      ] as const
    ) {
      it.scopedLive(`is that of the call when it was ${how}`, () =>
        withStore(Effect.gen(function*() {
          yield* leave(fetched)
          assert.deepStrictEqual(yield* outputTokens, [4, null])
          const [call, later] = yield* spans
          assert.strictEqual(call!.attributes["tau.answered_by"], later!.spanId)
        })))
    }

    for (
      const [what, fetched] of [
        ["is not yet made", fetch(responseOf("resp_1", "in_progress"))],
        ["is another's", fetch(responseOf("resp_2", "completed"))],
        ["comes with an error's status", fetch(completed, { statusCode: 500 })],
        ["is of another host", fetch(completed, { upstreamUrl: "http://127.0.0.2" })],
        ["is of another port", fetch(completed, { upstreamUrl: "http://127.0.0.1:4001" })]
      ] as const
    ) {
      it.scopedLive(`is not what ${what}`, () =>
        withStore(Effect.gen(function*() {
          yield* leave(fetched)
          assert.deepStrictEqual(yield* outputTokens, [null, null])
          yield* fetch(completed)
          assert.deepStrictEqual(yield* outputTokens, [4, null, null])
        })))
    }

    it.scopedLive("is not what was fetched before the call began, where a server gives an id again", () =>
      withStore(Effect.gen(function*() {
        yield* fetch(completed)
        yield* leave(Effect.void)
        assert.deepStrictEqual(yield* outputTokens, [null, null])
      })))

    it.scopedLive("says of its call that secrets were taken out of it", () =>
      withStore(Effect.gen(function*() {
        yield* leave(fetch(responseOf("resp_1", "completed", "sk-abcdefghijklmnopqrst")))
        const [call] = yield* spans
        assert.strictEqual(call!.attributes["tau.redacted"], 1)
      })))
  })

  it.scopedLive("leaves what was said of its call's own secrets where it holds none", () =>
    withStore(Effect.gen(function*() {
      yield* begin(responseOf("resp_1", "queued"), {}, { input: "sk-abcdefghijklmnopqrst" })
      yield* fetch(responseOf("resp_1", "completed"))
      const [call] = yield* spans
      assert.strictEqual(call!.attributes["tau.redacted"], 1)
    })))
})
