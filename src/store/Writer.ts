import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Worker } from "node:worker_threads"
import { StoreError } from "./StoreError.js"
import type { Input, OperationName, Output } from "./writer/operations.js"
import type {
  Batch,
  Failure,
  FromWriter,
  LogState,
  Outcome,
  Request,
  ToWriter,
  WriterOptions
} from "./writer/protocol.js"

/** How long an intent may wait for a group to leave with. A call that ends sooner is written once, finished. */
const lazyMaxMs = 5
/** V8 lets the garbage of a thread pile up to three times 16 MB before it looks; the thread's garbage is short-lived. */
const resourceLimits = { maxYoungGenerationSizeMb: 12 }
/** How long requests are gathered for one group while more keep coming. */
const gatherMaxMs = 3
const batchRequestsMax = 500
const batchBytesMax = 32 * 1024 * 1024

export interface WriterHealth {
  /** Requests and body bytes not yet handed to the writer thread. */
  readonly waiting: number
  readonly waitingBytes: number
  readonly commits: number
  readonly lastCommitMs: number
  /** How long the batch under way has been so; 0 when none is. */
  readonly inFlightMs: number
  /** Why the store cannot commit; null once it can again. A request that failed for its own content is not such a reason. */
  readonly failure: Failure | null
  /** Lines that could not be appended to the attribution log, and why the last could not; null once one is again. */
  readonly logLost: number
  readonly logFailure: string | null
}

/**
 * The one writer of this process, a thread that commits requests in groups: whatever arrives while a commit is under way
 * shares the next one. Requests commit in the order they were submitted.
 */
export class Writer extends Context.Tag("tau/store/Writer")<Writer, {
  /** Runs one operation. Succeeds after its commit; a crash later cannot undo it. */
  readonly run: <Name extends OperationName>(
    operation: Name,
    input: Input<Name>
  ) => Effect.Effect<Output<Name>, StoreError>

  /**
   * The same for the hot path, with bodies and a callback. A `lazy` request leaves with the next group, or by itself after
   * a few milliseconds; it may be cancelled until then: `cancel` answers true and `done` is never called.
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

  readonly health: () => WriterHealth

  /** Fails when the thread dies; never succeeds. */
  readonly died: Effect.Effect<never, StoreError>
}>() {
  static readonly layer = (options: WriterOptions): Layer.Layer<Writer, StoreError> =>
    Layer.scoped(
      Writer,
      Effect.gen(function*() {
        const worker = yield* Effect.acquireRelease(
          Effect.sync(() => new Worker(entry, { workerData: options, resourceLimits })),
          stop
        )
        yield* ready(worker)
        const death = yield* Deferred.make<never, StoreError>()
        const queue = new WriterQueue(worker, (failure) => {
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
                  lazy: false,
                  state: "waiting",
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
              lazy,
              state: "waiting",
              done: (outcome) =>
                outcome.ok ? done(null, outcome.value as Output<typeof operation>) : done(outcome.failure, null)
            }),
          health: () =>
            queue.health(),
          died: Deferred.await(death)
        })
      })
    )
}

/** Under a test runner the sources run as TypeScript, for which a thread has no loader: it then runs the build. */
const entry = new URL(
  import.meta.url.endsWith(".ts") ? "../../dist/store/writer/worker.js" : "./writer/worker.js",
  import.meta.url
)

const ready = (worker: Worker) =>
  Effect.async<void, StoreError>((resume) => {
    const fail = (failure: Failure) =>
      resume(new StoreError({ operation: "opening the store", reason: failure.reason, detail: failure.message }))
    worker.once("message", (message: FromWriter) => {
      if (message._tag === "ready") resume(Effect.void)
      else if (message._tag === "refused") fail(message.failure)
    })
    const onError = (error: unknown) => fail({ reason: "other", message: String(error) })
    worker.once("error", onError)
    worker.once("message", () => worker.off("error", onError))
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

interface Entry {
  readonly operation: OperationName
  readonly input: unknown
  readonly nowMs: number
  readonly bodies: ReadonlyArray<Uint8Array>
  /** Nobody waits for it: it makes no group of its own at once. */
  readonly lazy: boolean
  state: "waiting" | "taken" | "cancelled"
  readonly done: (outcome: Outcome) => void
}

/** One batch is in flight at a time; the next one collects meanwhile. Plain callbacks: this is the hot path. */
class WriterQueue {
  private waiting: Array<Entry> = []
  private waitingBytes = 0
  private inFlight: ReadonlyArray<Entry> | null = null
  private scheduled = false
  private lazyTimer: NodeJS.Timeout | null = null
  private dead: Failure | null = null
  private failure: Failure | null = null
  private commits = 0
  private lastCommitMs = 0
  private log: LogState = { lost: 0, failure: null }
  private postedAt = 0
  private gatheredBefore = 0
  private gatheringSince = 0

  constructor(private readonly worker: Worker, private readonly onDeath: (failure: Failure) => void) {
    worker.on("message", (message: FromWriter) => {
      if (message._tag === "committed") {
        this.log = message.log
        this.committed(JSON.parse(message.outcomes) as ReadonlyArray<Outcome>, message.commitMs)
      }
    })
    worker.on("error", (error: unknown) => this.die({ reason: "other", message: String(error) }))
    worker.on("exit", () => this.die({ reason: "other", message: "the writer thread ended" }))
  }

  push(entry: Entry): { readonly cancel: () => boolean } {
    if (this.dead !== null) {
      entry.done({ ok: false, failure: this.dead })
      return notCancellable
    }
    this.waiting.push(entry)
    for (const body of entry.bodies) this.waitingBytes += body.length
    this.schedule(entry.lazy)
    return {
      cancel: () => {
        if (entry.state !== "waiting") return false
        entry.state = "cancelled"
        return true
      }
    }
  }

  health(): WriterHealth {
    return {
      waiting: this.waiting.length,
      waitingBytes: this.waitingBytes,
      commits: this.commits,
      lastCommitMs: this.lastCommitMs,
      inFlightMs: this.inFlight === null ? 0 : performance.now() - this.postedAt,
      failure: this.dead ?? this.failure,
      logLost: this.log.lost,
      logFailure: this.log.failure
    }
  }

  private schedule(lazy: boolean) {
    if (this.inFlight !== null || this.scheduled) return
    if (lazy) {
      this.lazyTimer ??= setTimeout(this.post, lazyMaxMs)
      return
    }
    this.scheduled = true
    this.gatheredBefore = 1
    this.gatheringSince = performance.now()
    setImmediate(this.gather)
  }

  /**
   * What arrives in a turn of the event loop travels together: the answers of all sockets that were ready. While each turn
   * brings more, the next one is waited for, as half of a commit's cost is the same for any number of requests.
   */
  private readonly gather = () => {
    const gathered = this.waiting.length
    const isMore = gathered > this.gatheredBefore && gathered < batchRequestsMax &&
      performance.now() - this.gatheringSince < gatherMaxMs
    if (!isMore) {
      this.post()
      return
    }
    this.gatheredBefore = gathered
    setImmediate(this.gather)
  }

  private readonly post = () => {
    this.scheduled = false
    if (this.lazyTimer !== null) clearTimeout(this.lazyTimer)
    this.lazyTimer = null
    if (this.inFlight !== null || this.dead !== null) return
    const entries = this.take()
    if (entries.length === 0) return
    this.inFlight = entries
    this.postedAt = performance.now()
    const batch = pack(entries)
    this.worker.postMessage(batch satisfies ToWriter, batch.bytes === null ? [] : [batch.bytes])
  }

  private take(): ReadonlyArray<Entry> {
    const entries: Array<Entry> = []
    const left: Array<Entry> = []
    let bytes = 0
    let isFull = false
    for (const entry of this.waiting) {
      const size = entry.bodies.reduce((sum, body) => sum + body.length, 0)
      isFull ||= entries.length === batchRequestsMax || entries.length > 0 && bytes + size > batchBytesMax
      if (entry.state === "cancelled") this.waitingBytes -= size
      else if (isFull) left.push(entry)
      else {
        entry.state = "taken"
        this.waitingBytes -= size
        bytes += size
        entries.push(entry)
      }
    }
    this.waiting = left
    return entries
  }

  private committed(outcomes: ReadonlyArray<Outcome>, commitMs: number) {
    const entries = this.inFlight ?? []
    this.inFlight = null
    this.commits += 1
    this.lastCommitMs = commitMs
    const failed = outcomes.find((outcome) => !outcome.ok && outcome.failure.reason !== "other")
    this.failure = failed === undefined || failed.ok ? null : failed.failure
    // The next batch leaves before callers are told, so that the thread is not idle meanwhile.
    if (this.waiting.length > 0) this.schedule(this.waiting.every((entry) => entry.lazy))
    entries.forEach((entry, index) => tell(entry, outcomes[index]!))
  }

  private die(failure: Failure) {
    if (this.dead !== null) return
    this.dead = failure
    const entries = [...(this.inFlight ?? []), ...this.waiting]
    this.inFlight = null
    this.waiting = []
    for (const entry of entries) if (entry.state !== "cancelled") tell(entry, { ok: false, failure })
    this.onDeath(failure)
  }
}

/** One caller's defect must not cost the others of its batch their answer: it is thrown where nobody else stands. */
const tell = (entry: Entry, outcome: Outcome) => {
  try {
    entry.done(outcome)
  } catch (error) {
    setImmediate(() => {
      throw error
    })
  }
}

const notCancellable = { cancel: () => false }

const pack = (entries: ReadonlyArray<Entry>): Batch => {
  const size = entries.reduce((sum, { bodies }) => sum + bodies.reduce((bytes, body) => bytes + body.length, 0), 0)
  const bytes = size === 0 ? null : new ArrayBuffer(size)
  const view = bytes === null ? null : new Uint8Array(bytes)
  let offset = 0
  const requests = entries.map(({ bodies, input, nowMs, operation }): Request => ({
    operation,
    input,
    nowMs,
    bodies: bodies.map((body) => {
      view?.set(body, offset)
      const place = [offset, body.length] as const
      offset += body.length
      return place
    })
  }))
  return { requests: JSON.stringify(requests), bytes }
}
