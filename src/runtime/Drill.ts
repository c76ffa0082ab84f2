/**
 * The crash drill: a real run as a child process, killed with SIGKILL at instants drawn from a seed, started again by the
 * same command, and checked against its store after every kill and every restart.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { existsSync } from "node:fs"
import { counted } from "../domain/Figures.js"
import { AuditTrail } from "../store/AuditTrail.js"
import type { Breach } from "../store/Invariants.js"
import { orStoreError } from "../store/reading.js"
import * as Sqlite from "../store/Sqlite.js"
import type { StoreError } from "../store/StoreError.js"
import { broken, forbidden, hasTables, type Snapshot, snapshot, unwitnessed, type Witness } from "./DrillChecks.js"
import { type DrilledCommand, type DrilledProcess, start } from "./DrilledProcess.js"
import type { FileError } from "./DurableFile.js"

export interface DrillOptions {
  readonly kills: number
  /** The instants of the kills follow from it. */
  readonly seed: number
  readonly storePath: string
  readonly command: DrilledCommand
  /** What was seen from outside up to now. */
  readonly witness: () => Witness
  /** Told of all that an operator would see and do, in order. */
  readonly observe: (event: DrillEvent) => Effect.Effect<void, FileError>
}

export type DrillEvent =
  | { readonly _tag: "started"; readonly pid: number }
  | { readonly _tag: "killed"; readonly process: DrilledProcess; readonly kill: Kill }
  | { readonly _tag: "ended"; readonly process: DrilledProcess; readonly exit: number | NodeJS.Signals }
  /** What came after the kill is known now. */
  | { readonly _tag: "checked"; readonly kill: Kill }

/** One kill, and what the next start made of it. */
export interface Kill {
  readonly n: number
  readonly pid: number
  readonly runId: string | null
  /** Where the killed process stood, by its store. */
  readonly phase: string
  /** From the start of the next process until it had put everything back; null when that one was killed before. */
  readonly recoveredInMs: number | null
  readonly requeued: number | null
  readonly unknownCalls: number | null
  readonly breaches: ReadonlyArray<Breach>
}

export interface DrillResult {
  readonly kills: ReadonlyArray<Kill>
  /** Of the store as the last start left it. */
  readonly breaches: ReadonlyArray<Breach>
  readonly checks: number
  readonly totals: Totals
  /** The last start's exit code, and what it printed. */
  readonly exit: number | NodeJS.Signals
  readonly stdout: string
}

export interface Totals {
  readonly runs: number
  readonly starts: number
  readonly rollouts: number
  readonly succeeded: number
  readonly failed: number
  readonly attempts: number
  readonly calls: number
  readonly callsUnknown: number
  readonly callsReplayed: number
  readonly tokensSaved: number
}

/** The drill itself could not go on: this says nothing about the store. */
export class DrillFailed extends Schema.TaggedError<DrillFailed>()("DrillFailed", { detail: Schema.String }) {
  override get message() {
    return `the drill could not go on: ${this.detail}`
  }
}

/** Longest wait for a start to take up the run, and for one more rollout to succeed. */
const stepMax = "2 minutes"
/** Longest wait for the last start, beyond the run's own time limit. */
const finishMax = "2 hours"
const lookEvery = "20 millis"
/** A kill comes within this time from the start, from the call that is to be hit, from the last rollout that succeeded. */
const startingMs = 1_000
const callMs = 100
const workingMs = 400
/** Up to so many more rollouts succeed before a kill. */
const successesMax = 3

/** Uniform in [0, 1), the same sequence for the same seed (Marsaglia's xorshift). */
const randomFrom = (seed: number): () => number => {
  let state = Math.imul(seed, 2_654_435_761) >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state = (state ^ state << 5) >>> 0
    return state / 2 ** 32
  }
}

export const drill = (
  options: DrillOptions
): Effect.Effect<DrillResult, DrillFailed | FileError | StoreError> =>
  Effect.gen(function*() {
    const { command, kills, observe, seed, storePath, witness } = options
    const random = randomFrom(seed)
    const rows: Array<Kill> = []
    let checks = 0
    let before: Snapshot = { settled: new Map(), epochs: new Map() }
    let heldSeen = 0

    /** Everything that can be asked now. */
    const check = (servedBefore: number) =>
      Effect.suspend(() => {
        if (!existsSync(storePath)) return Effect.succeed<ReadonlyArray<Breach>>([])
        checks += 1
        const seen = witness()
        const held = seen.held === null ? null : seen.held.slice(heldSeen)
        return Effect.gen(function*() {
          if (!(yield* hasTables)) return []
          const found = yield* broken(storePath)
          const now = yield* snapshot
          const step = forbidden(before, now)
          const lost = yield* unwitnessed({ ...seen, held }, servedBefore)
          before = now
          heldSeen = seen.held?.length ?? 0
          return [...found, ...step, ...lost]
        }).pipe(Effect.provide(readerOf(storePath)))
      })
    /** While processes run, calls are between the model and the store: only what an agent held must be there. */
    const checkNow = check(Number.POSITIVE_INFINITY)

    /** The kill before is settled by the start that takes up the run. */
    const settle = (recoveredInMs: number) =>
      Effect.gen(function*() {
        const last = rows.at(-1)
        if (last === undefined) return
        const found = yield* checkNow
        // A run that was over before its kill came is followed by another one: the kill before that is settled already.
        if (last.recoveredInMs !== null) {
          rows[rows.length - 1] = { ...last, breaches: [...last.breaches, ...found] }
          return
        }
        const { requeued, unknownCalls } = yield* Effect.provide(lastStart, readerOf(storePath))
        rows[rows.length - 1] = {
          ...last,
          recoveredInMs,
          requeued,
          unknownCalls,
          breaches: [...last.breaches, ...found]
        }
        yield* observe({ _tag: "checked", kill: rows.at(-1)! })
      })

    const startsMax = 3 * kills + 10
    for (let n = 1; rows.length < kills; n++) {
      if (n > startsMax) {
        return yield* new DrillFailed({
          detail: `${counted(n - 1, "start")} made only ${counted(rows.length, "kill")} possible`
        })
      }
      yield* Effect.scoped(Effect.gen(function*() {
        // Of four, one dies while it starts, one with a model call under way, and two at any moment of their work.
        const isEarly = rows.length % 4 === 3
        const isInCall = rows.length % 4 === 1
        const delayMs = Math.floor((isEarly ? startingMs : isInCall ? callMs : workingMs) * random())
        const successes = Math.floor((successesMax + 1) * random())
        const process = yield* start(command)
        yield* observe({ _tag: "started", pid: process.pid })
        if (!isEarly) {
          const begunMs = yield* within(`start ${n} to take up the run`, process.begun)
          if (begunMs !== null) {
            yield* settle(begunMs)
            yield* within(`${successes} more rollouts to succeed`, moreSucceeded(storePath, process, successes))
            if (isInCall) yield* within("a model call", callUnderWay(storePath, process))
          }
        }
        yield* Effect.sleep(delayMs)
        if (process.hasEnded()) {
          const exit = yield* process.exit
          yield* observe({ _tag: "ended", process, exit })
          // The run was over before the kill: the next start makes a new one.
          if (exit === 0) return
          return yield* new DrillFailed({
            detail: `start ${n} ended by itself with ${exit}: ${lastLine(process.stderr())}`
          })
        }
        yield* process.kill
        const { phase, runId } = yield* phaseOf(storePath, process.pid)
        const kill: Kill = {
          n: rows.length + 1,
          pid: process.pid,
          runId,
          phase,
          recoveredInMs: null,
          requeued: null,
          unknownCalls: null,
          breaches: yield* checkNow
        }
        const last = rows.at(-1)
        if (last !== undefined && last.recoveredInMs === null) yield* observe({ _tag: "checked", kill: last })
        rows.push(kill)
        yield* observe({ _tag: "killed", process, kill })
      }))
    }

    return yield* Effect.scoped(Effect.gen(function*() {
      const servedBefore = witness().served?.().length ?? 0
      const process = yield* start(command)
      yield* observe({ _tag: "started", pid: process.pid })
      const begunMs = yield* within("the last start to take up the run", process.begun)
      if (begunMs !== null) yield* settle(begunMs)
      const exit = yield* within("the run to finish", process.exit, finishMax)
      yield* observe({ _tag: "ended", process, exit })
      const breaches = yield* check(servedBefore)
      const totals = yield* Effect.provide(readTotals, readerOf(storePath))
      return { kills: rows, breaches, checks, totals, exit, stdout: process.stdout() }
    }))
  })

/** A connection of its own per look: none may hold the log of a killed process open. */
const readerOf = (storePath: string) => AuditTrail.layer.pipe(Layer.provideMerge(Sqlite.readOnly(storePath)))

const within = <A, E, R>(what: string, wait: Effect.Effect<A, E, R>, max: "2 minutes" | "2 hours" = stepMax) =>
  Effect.timeoutFail(wait, { duration: max, onTimeout: () => new DrillFailed({ detail: `waited ${max} for ${what}` }) })

const lastLine = (text: string) => text.trim().split("\n").at(-1) ?? ""

const one = <Row extends object>(question: string, ...values: ReadonlyArray<unknown>) =>
  orStoreError(
    "reading the drilled store",
    Effect.flatMap(SqlClient.SqlClient, (sql) => Effect.map(sql.unsafe<Row>(question, values), (rows) => rows[0]))
  )

const succeededNow = Effect.map(
  one<{ n: number }>("SELECT count(*) AS n FROM rollouts WHERE status = 'succeeded'"),
  (row) => row?.n ?? 0
)

const moreSucceeded = (storePath: string, process: DrilledProcess, more: number) =>
  Effect.gen(function*() {
    const first = yield* succeededNow
    while (!process.hasEnded() && (yield* succeededNow) < first + more) yield* Effect.sleep(lookEvery)
  }).pipe(Effect.provide(readerOf(storePath)))

const callsNow = Effect.map(
  one<{ n: number }>("SELECT count(*) AS n FROM spans WHERE state = 'open'"),
  (row) => row?.n ?? 0
)

const callUnderWay = (storePath: string, process: DrilledProcess) =>
  Effect.gen(function*() {
    while (!process.hasEnded() && (yield* callsNow) === 0) yield* Effect.sleep(lookEvery)
  }).pipe(Effect.provide(readerOf(storePath)))

const lastStart = Effect.map(
  one<{ requeued: number; unknownCalls: number }>(
    "SELECT requeued, unknown_calls FROM run_starts ORDER BY started_at_ms DESC, n DESC LIMIT 1"
  ),
  (row) => row ?? { requeued: 0, unknownCalls: 0 }
)

interface Stand {
  readonly runId: string
  readonly state: string
  readonly active: number
  readonly left: number
  readonly calls: number
}

/** Where the process of this pid stood when it died, in words. */
const phaseOf = (storePath: string, pid: number) =>
  Effect.gen(function*() {
    if (!existsSync(storePath)) return { phase: "starting: no store yet", runId: null }
    const stand = yield* Effect.either(Effect.provide(
      one<Stand>(
        `SELECT s.run_id, u.state, (SELECT count(*) FROM spans WHERE process_id = p.id AND state = 'open') AS calls,
           (SELECT count(*) FROM rollouts WHERE run_id = s.run_id AND status IN ('preparing', 'running')) AS active,
           (SELECT count(*) FROM rollouts WHERE run_id = s.run_id AND status NOT IN ('succeeded', 'failed', 'cancelled')) AS left
         FROM processes p JOIN run_starts s ON s.process_id = p.id JOIN runs u ON u.id = s.run_id
         WHERE p.pid = ? ORDER BY s.started_at_ms DESC LIMIT 1`,
        pid
      ),
      readerOf(storePath)
    ))
    // Killed before the tables were made.
    if (Either.isLeft(stand) || stand.right === undefined) return { phase: "starting", runId: null }
    const { active, calls, left, runId } = stand.right
    if (left === 0) return { phase: "ending", runId }
    return { phase: `working: ${counted(active, "rollout")}, ${counted(calls, "call")} under way`, runId }
  })

const readTotals = Effect.map(
  one<Totals>(
    `SELECT (SELECT count(*) FROM runs) AS runs, (SELECT count(*) FROM run_starts) AS starts, count(*) AS rollouts,
       coalesce(sum(status = 'succeeded'), 0) AS succeeded, coalesce(sum(status = 'failed'), 0) AS failed,
       (SELECT count(*) FROM attempts) AS attempts, (SELECT count(*) FROM spans) AS calls,
       (SELECT count(*) FROM spans WHERE state = 'unknown_after_crash') AS calls_unknown,
       (SELECT count(*) FROM spans WHERE attributes ->> '$."tau.replayed"') AS calls_replayed,
       (SELECT coalesce(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)), 0) FROM spans
         WHERE attributes ->> '$."tau.replayed"') AS tokens_saved
     FROM rollouts`
  ),
  (row) => row!
)
