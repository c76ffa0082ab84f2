import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { AttemptId } from "../../src/domain/Ids.js"
import { GenAi } from "../../src/openai/GenAi.js"
import { SpanStore } from "../../src/store/SpanStore.js"
import type { FinishedSpan } from "../../src/store/writer/spans.js"
import { recordCall } from "../support/recordedCall.js"
import { withStore } from "../support/store.js"

const second = 1_000_000
const t0 = 1_800_000_000 * second

/** A call from one second to another, after the first's begin. */
const from = (start: number, end: number, span: Partial<FinishedSpan> = {}): Partial<FinishedSpan> => ({
  statusCode: 503,
  ...span,
  startTimeUs: t0 + start * second,
  endTimeUs: t0 + end * second
})

const caller = (told: Partial<NonNullable<FinishedSpan["caller"]>>): Partial<FinishedSpan> => ({
  caller: { sessionId: null, retryCount: null, idempotencyKey: null, ...told }
})

let attempts = 0

/** Of which call, by its place, each of these with the same body is which try. What is not first is a later version of the second. */
const triesOf = (...calls: ReadonlyArray<Partial<FinishedSpan>>) =>
  Effect.gen(function*() {
    attempts += 1
    const attemptId = AttemptId.make(`r:attempt-${attempts}`)
    const idOf = (at: number) => `${String(attempts).padStart(8, "0")}${String(at).padStart(8, "0")}`
    for (const [at, span] of calls.entries()) {
      const spanId = idOf(span.isFirst === false ? 1 : at)
      yield* recordCall({ attemptId, request: Buffer.from("{\"model\":\"m\"}"), span: { spanId, ...span } })
    }
    const spans = yield* Effect.flatMap(SpanStore, (store) => store.byAttempt(attemptId))
    return spans.map(({ attributes }) => [
      Number(String(attributes[GenAi.callId]).slice(-8)),
      attributes[GenAi.callAttempt]
    ])
  })

const next = [[0, 1], [0, 2]]
const another = [[0, 1], [1, 1]]

describe("the next try of a call that failed", () => {
  it.scopedLive("is that of what may go better the next time, and of nothing else", () =>
    withStore(Effect.gen(function*() {
      for (const statusCode of [408, 409, 425, 429, 500, 529]) {
        assert.deepStrictEqual(yield* triesOf(from(0, 1, { statusCode }), from(2, 3)), next, `${statusCode}`)
      }
      for (const statusCode of [200, 400, 404, 499]) {
        assert.deepStrictEqual(yield* triesOf(from(0, 1, { statusCode }), from(2, 3)), another, `${statusCode}`)
      }
      for (const state of ["client_cancel", "upstream_cut", "upstream_error", "timeout"] as const) {
        assert.deepStrictEqual(yield* triesOf(from(0, 1, { state, statusCode: 200 }), from(2, 3)), next, state)
      }
      assert.deepStrictEqual(yield* triesOf(from(0, 1, { state: "refused", statusCode: null }), from(2, 3)), another)
    })))

  it.scopedLive("begins from a second before its end to two minutes after it", () =>
    withStore(Effect.gen(function*() {
      assert.deepStrictEqual(yield* triesOf(from(0, 9), from(8, 10)), next)
      assert.deepStrictEqual(yield* triesOf(from(0, 9), from(7.999, 10)), another)
      assert.deepStrictEqual(yield* triesOf(from(0, 9), from(129, 130)), next)
      assert.deepStrictEqual(yield* triesOf(from(0, 9), from(129.001, 130)), another)
    })))

  it.scopedLive("is one alone, of the latest that has none, and stays it when a later version of it is written", () =>
    withStore(Effect.gen(function*() {
      const [one, two] = [from(0, 2), from(0, 3)]
      assert.deepStrictEqual(yield* triesOf(one, two, from(4, 5, { statusCode: 400 })), [[0, 1], [1, 1], [1, 2]])
      assert.deepStrictEqual(
        yield* triesOf(one, two, from(4, 5, { statusCode: 400 }), from(4, 5, { statusCode: 400 }), from(4, 5)),
        [[0, 1], [1, 1], [1, 2], [0, 2], [4, 1]]
      )
      const again = from(3, 4, { isFirst: false, wasOpened: true })
      assert.deepStrictEqual(yield* triesOf(one, from(3, 4), again), next)
      // Also where by then another has failed, and later.
      assert.deepStrictEqual(yield* triesOf(one, from(3, 4), two, again), [...next, [2, 1]])
      // It is no next try of itself, however soon it failed.
      const soon = [from(200, 200.5), from(200, 200.5, { isFirst: false, wasOpened: true })]
      assert.deepStrictEqual(yield* triesOf(one, ...soon), another)
    })))

  it.scopedLive("is of its client's key and session, and counted as its client counts where tries are missing", () =>
    withStore(Effect.gen(function*() {
      const [a, b] = [caller({ idempotencyKey: "7" }), caller({ idempotencyKey: "8" })]
      assert.deepStrictEqual(yield* triesOf(from(0, 1, a), from(2, 3, a)), [[7, 1], [7, 2]])
      assert.deepStrictEqual(yield* triesOf(from(0, 1, a), from(2, 3, b)), [[7, 1], [8, 1]])
      const [s, t] = [caller({ sessionId: "s" }), caller({ sessionId: "t" })]
      assert.deepStrictEqual(yield* triesOf(from(0, 1, s), from(2, 3, s)), next)
      assert.deepStrictEqual(yield* triesOf(from(0, 1, s), from(2, 3, t)), another)
      assert.deepStrictEqual(yield* triesOf(from(0, 1, s), from(2, 3)), another)
      const counted = (retryCount: number) => caller({ retryCount })
      assert.deepStrictEqual(
        yield* triesOf(from(0, 1, counted(2)), from(2, 3, counted(4)), from(4, 5, counted(0))),
        [[0, 3], [0, 5], [0, 6]]
      )
      assert.deepStrictEqual(yield* triesOf(from(0, 1), from(2, 3, { rolloutId: "another" })), another)
    })))
})
