import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import { renameSync } from "node:fs"
import { join } from "node:path"
import { Worker } from "node:worker_threads"
import { ready, Writer } from "../../src/store/Writer.js"
import type { SpanIntent } from "../../src/store/writer/spans.js"
import { WriterQueue } from "../../src/store/WriterQueue.js"
import { recordCall } from "../support/recordedCall.js"
import { rowsOf, scratchFolder, storeAt } from "../support/store.js"

const idOf = (n: number) => n.toString(16).padStart(16, "0")

/** The store refuses a span without a path. */
const intent = (n: number, path: string | null = "/v1/chat/completions") =>
  ({
    spanId: idOf(n),
    traceId: "t",
    parentId: null,
    rolloutId: "r",
    attemptId: "r:attempt-1",
    clientSequenceId: null,
    processId: "p",
    method: "POST",
    path,
    startTimeUs: n,
    caller: null
  }) as SpanIntent

const inOrder = (path: string) =>
  rowsOf<{ readonly id: string }>(path, "SELECT span_id AS id FROM spans ORDER BY sequence_id").map(({ id }) => id)

const withWriter = <A>(test: (writer: Writer["Type"], path: string) => Effect.Effect<A>) =>
  Effect.flatMap(scratchFolder, (folder) => {
    const path = join(folder, "store.sqlite")
    return Effect.provide(Effect.flatMap(Writer, (writer) => test(writer, path)), storeAt(path))
  })

/** Submits them in one turn; succeeds with who was told what, in the order in which they were. */
const submitAll = (writer: Writer["Type"], intents: ReadonlyArray<SpanIntent>, turn: () => void = () => {}) =>
  Effect.async<ReadonlyArray<readonly [id: string, failed: boolean]>>((resume) => {
    const told: Array<readonly [string, boolean]> = []
    for (const span of intents) {
      writer.submit("openSpan", span, {
        nowMs: 0,
        done: (failure) => {
          told.push([span.spanId, failure !== null])
          if (told.length === intents.length) resume(Effect.succeed(told))
        }
      })
    }
    turn()
  })

describe("Writer", () => {
  it.scopedLive("sends full groups after one another without waiting for the first, and tells everybody in turn", () =>
    withWriter((writer, path) =>
      Effect.gen(function*() {
        const intents = Array.from({ length: 100 }, (_, n) => intent(n))
        let left = -1
        const told = yield* submitAll(writer, intents, () => {
          left = writer.health().waiting
        })
        assert.strictEqual(left, 68)
        assert.deepStrictEqual(told, intents.map(({ spanId }) => [spanId, false]))
        assert.deepStrictEqual(inOrder(path), intents.map(({ spanId }) => spanId))
        assert.strictEqual(writer.health().waiting, 0)
        assert.strictEqual(writer.health().inFlightMs, 0)
      })
    ))

  it.scopedLive("does not take the time in which nobody listened to it for the store's", () =>
    withWriter((writer, path) =>
      Effect.gen(function*() {
        const whole = 32
        let storingMs = -1
        yield* submitAll(writer, Array.from({ length: whole }, (_, n) => intent(n)), () => {
          const deadline = performance.now() + 30_000
          while (inOrder(path).length < whole && performance.now() < deadline) {
            /* This thread hears of nothing meanwhile. */
          }
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)
          storingMs = writer.health().inFlightMs
        })
        assert.strictEqual(storingMs, 0)
      })
    ))

  it.scoped.prop(
    "tells each caller its own outcome, however many there are and whichever of them fail",
    [FastCheck.array(FastCheck.boolean(), { minLength: 1, maxLength: 300 })],
    ([fails]) =>
      withWriter((writer, path) =>
        Effect.gen(function*() {
          const told = yield* submitAll(writer, fails.map((one, n) => intent(n, one ? null : "/v1/models")))
          assert.deepStrictEqual(told, fails.map((one, n) => [idOf(n), one]))
          assert.deepStrictEqual(inOrder(path), fails.flatMap((one, n) => one ? [] : [idOf(n)]))
        })
      ),
    { fastCheck: { numRuns: 5 } }
  )

  it.scopedLive("writes what is lazy once it is due, and never what was cancelled before", () =>
    withWriter((writer, path) =>
      Effect.gen(function*() {
        const isWritten = yield* Deferred.make<void>()
        const lazy = (n: number, done: () => void) =>
          writer.submit("openSpan", intent(n), { nowMs: 0, lazy: true, done })
        const never = () => assert.fail("was cancelled")
        const first = lazy(1, never)
        const second = lazy(2, () => Deferred.unsafeDone(isWritten, Effect.void))
        const third = lazy(3, never)
        assert.strictEqual(writer.health().waiting, 3)
        assert.isTrue(first.cancel())
        assert.isTrue(third.cancel())
        assert.isFalse(first.cancel())
        yield* Deferred.await(isWritten)
        assert.isFalse(second.cancel())
        assert.deepStrictEqual(inOrder(path), [idOf(2)])
      })
    ))

  it.scopedLive("keeps no request for a call that is over, also where its store was away then", () =>
    withWriter((writer, path) =>
      Effect.gen(function*() {
        const body = Buffer.alloc(20_000, "x")
        const asked = { upstreamUrl: "http://127.0.0.1", requestContentEncoding: null }
        const record = (n: number) =>
          Effect.provideService(recordCall({ span: { spanId: idOf(n), isRequestAhead: true } }), Writer, writer)
        const requests = () =>
          rowsOf<{ readonly sha256: string | null }>(
            path,
            "SELECT request_sha256 AS sha256 FROM spans ORDER BY span_id"
          )
        const probe = Effect.exit(writer.run("heartbeatProcess", { id: "p" }))
        const [, away] = [1, 2].map((n) => writer.readAhead({ ...intent(n), ...asked }, body.length, () => body)!)
        yield* probe
        yield* Effect.orDie(record(1))
        renameSync(path, `${path}.away`)
        away!.ending()
        assert.isTrue(yield* Effect.isFailure(record(2)))
        away!.over()
        away!.ended()
        yield* probe
        renameSync(`${path}.away`, path)
        yield* Effect.orDie(record(2))
        assert.isNotNull(requests()[0]!.sha256)
        assert.isNull(requests()[1]!.sha256)
      })
    ))
})

describe("A writer's thread", () => {
  it.live("that ends without a word is told of, not waited for", () =>
    Effect.gen(function*() {
      const thread = new Worker("process.exit(3)", { eval: true })
      const error = yield* Effect.flip(Effect.timeout(ready(thread), "10 seconds"))
      assert.strictEqual(error.message, "opening the store failed: the writer thread ended (exit code 3)")
    }))

  it.live("that dies has nothing waiting for it any more", () =>
    Effect.gen(function*() {
      const thread = new Worker("require('worker_threads').parentPort.once('message', () => process.exit(3))", {
        eval: true
      })
      const died = yield* Deferred.make<void>()
      const queue = new WriterQueue(thread, new BigInt64Array(1), () => Deferred.unsafeDone(died, Effect.void))
      const failures: Array<string> = []
      const push = () =>
        queue.push({
          operation: "closeSpan",
          input: null,
          nowMs: 0,
          bodies: [Buffer.from("body")],
          size: 4,
          dueAt: 0,
          done: (outcome) => void failures.push(outcome.ok ? "done" : outcome.failure.message)
        })
      // The first leaves at once, and the other waits for its commit.
      push()
      push()
      assert.deepInclude(queue.health(), { waiting: 1, waitingBytes: 4 })
      yield* Deferred.await(died)
      assert.deepStrictEqual(failures, Array(2).fill("the writer thread ended"))
      assert.deepInclude(queue.health(), { waiting: 0, waitingBytes: 0 })
    }))
})
