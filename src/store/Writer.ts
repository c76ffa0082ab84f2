import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Worker } from "node:worker_threads"
import type { RequestAhead } from "./RequestAhead.js"
import { StoreError } from "./StoreError.js"
import type { Input, OperationName, Output } from "./writer/operations.js"
import type { Failure, FromWriter, ToWriter, WriterOptions } from "./writer/protocol.js"
import type { AskedSpan } from "./writer/requestsAhead.js"
import { lazyMs, type WriterHealth, WriterQueue } from "./WriterQueue.js"
import { writerThread } from "./WriterThread.js"

/**
 * The one writer of this process, a thread that commits requests in groups: what arrives while a commit is under way shares the
 * next one, unless it is a group already. Requests commit in the order they were submitted, save for the lazy, and for calls whose
 * bodies take long to read: the ends of other calls pass them.
 */
export class Writer extends Context.Tag("tau/store/Writer")<Writer, {
  /** Runs one operation. Succeeds after its commit; a crash later cannot undo it. */
  readonly run: <Name extends OperationName>(
    operation: Name,
    input: Input<Name>
  ) => Effect.Effect<Output<Name>, StoreError>

  /**
   * The same for the hot path, with bodies and a callback. A `lazy` request waits a few milliseconds before it leaves, with the
   * next group or by itself, behind requests that were submitted later; it may be cancelled until then: `cancel` answers true
   * and `done` is never called.
   */
  readonly submit: <Name extends OperationName>(
    operation: Name,
    input: Input<Name>,
    options: {
      readonly nowMs: number
      readonly bodies?: ReadonlyArray<Uint8Array>
      readonly lazy?: boolean
      readonly done: (failure: Failure | null, value: Output<Name> | null) => void
    }
  ) => { readonly cancel: () => boolean }

  /**
   * Has the request of a call read while its answer is made, when no commit waits for the thread. `take` gives its `size` bytes away.
   * Null when the thread has ended.
   */
  readonly readAhead: (asked: AskedSpan, size: number, take: () => Uint8Array) => RequestAhead | null

  readonly health: () => WriterHealth

  /** Fails when the thread dies; never succeeds. */
  readonly died: Effect.Effect<never, StoreError>
}>() {
  static readonly layer = (options: WriterOptions): Layer.Layer<Writer, StoreError> =>
    Layer.scoped(
      Writer,
      Effect.gen(function*() {
        const storingSince = new BigInt64Array(new SharedArrayBuffer(8))
        const worker = yield* Effect.acquireRelease(
          Effect.try({ try: () => writerThread({ ...options, storingSince }), catch: notStarted }),
          stop
        )
        yield* ready(worker)
        const death = yield* Deferred.make<never, StoreError>()
        const queue = new WriterQueue(worker, storingSince, (failure) => {
          Deferred.unsafeDone(
            death,
            new StoreError({ operation: "writer", reason: failure.reason, detail: failure.message })
          )
        })
        return Writer.of({
          run: (operation, input) =>
            Effect.flatMap(Clock.currentTimeMillis, (nowMs) =>
              Effect.async<Output<typeof operation>, StoreError>((resume) => {
                queue.push({
                  operation,
                  input,
                  nowMs,
                  bodies: [],
                  size: 0,
                  dueAt: 0,
                  done: (outcome) =>
                    resume(
                      outcome.ok
                        ? Effect.succeed(outcome.value as Output<typeof operation>)
                        : new StoreError({ operation, reason: outcome.failure.reason, detail: outcome.failure.message })
                    )
                })
              })),
          submit: (operation, input, { bodies = [], done, lazy = false, nowMs }) =>
            queue.push({
              operation,
              input,
              nowMs,
              bodies,
              size: bodies.reduce((sum, { length }) =>
                sum + length, 0),
              dueAt: lazy ? performance.now() + lazyMs : 0,
              done: (outcome) =>
                outcome.ok ? done(null, outcome.value as Output<typeof operation>) : done(outcome.failure, null)
            }),
          readAhead: (asked, size, take) =>
            queue.readAhead(asked, size, take),
          health: () => queue.health(),
          died: Deferred.await(death)
        })
      })
    )
}

const notStarted = (error: unknown) =>
  new StoreError({
    operation: "opening the store",
    reason: "other",
    detail: `the writer thread could not be started: ${error instanceof Error ? error.message : String(error)}`
  })

/** Waits for a thread to tell that it has opened its store, or why it has not. */
export const ready = (worker: Worker) =>
  Effect.async<void, StoreError>((resume) => {
    const fail = (failure: Failure) =>
      resume(new StoreError({ operation: "opening the store", reason: failure.reason, detail: failure.message }))
    worker.once("message", (message: FromWriter) => {
      if (typeof message === "string") return
      if (message._tag === "ready") resume(Effect.void)
      else if (message._tag === "refused") fail(message.failure)
    })
    const onError = (error: unknown) => fail({ reason: "other", message: String(error) })
    const onExit = (code: number) => fail({ reason: "other", message: `the writer thread ended (exit code ${code})` })
    worker.once("error", onError)
    worker.once("exit", onExit)
    worker.once("message", () => worker.off("error", onError).off("exit", onExit))
  })

/** Lets the thread finish what it has, checkpoint and close. */
const stop = (worker: Worker) =>
  Effect.async<void>((resume) => {
    if (worker.threadId === -1) {
      resume(Effect.void)
      return
    }
    worker.once("exit", () => resume(Effect.void))
    worker.postMessage("close" satisfies ToWriter)
  })
