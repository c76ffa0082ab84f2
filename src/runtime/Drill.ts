/**
 * The crash drill: a real run as a child process, killed with SIGKILL at instants drawn from a seed, started again by the
 * same command, and checked against its store after every kill and every restart.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { existsSync } from "node:fs"
import { counted } from "../domain/Figures.js"
import type { Breach } from "../store/Invariants.js"
import type { StoreError } from "../store/StoreError.js"
import { broken, forbidden, hasTables, type Snapshot, snapshot, unwitnessed, type Witness } from "./DrillChecks.js"
import { type DrilledCommand, type DrilledProcess, start } from "./DrilledProcess.js"
import { callUnderWay, lastStart, moreSucceeded, phaseOf, readerOf, readTotals, type Totals } from "./DrilledStore.js"
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
/** A kill comes within this time from the start, from the call that is to be hit, from the last rollout that succeeded. */
const delaysMax = { "early": 1_000, "in a call": 100, "at work": 400 }
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
    const { kills, seed } = options
    const random = randomFrom(seed)
    const log = new DrillLog(options)
    const startsMax = 3 * kills + 10
    for (let n = 1; log.kills.length < kills; n++) {
      if (n > startsMax) {
        return yield* new DrillFailed({
          detail: `${counted(n - 1, "start")} made only ${counted(log.kills.length, "kill")} possible`
        })
      }
      yield* Effect.scoped(killedStart(options, log, n, momentOf(log.kills.length, random)))
    }
    return yield* Effect.scoped(lastStartOf(options, log))
  })

/** The kills so far, and what the store looked like at the last check: it may go forward from there, and not back. */
class DrillLog {
  readonly kills: Array<Kill> = []
  checks = 0
  private before: Snapshot = { settled: new Map(), epochs: new Map() }
  private heldSeen = 0

  constructor(private readonly options: DrillOptions) {}

  /** Everything that can be asked now. `servedBefore` answers of the model came before the start under way. */
  check(servedBefore: number) {
    const { storePath, witness } = this.options
    return Effect.suspend(() => {
      if (!existsSync(storePath)) return Effect.succeed<ReadonlyArray<Breach>>([])
      this.checks += 1
      const seen = witness()
      const held = seen.held === null ? null : seen.held.slice(this.heldSeen)
      return Effect.gen(this, function*() {
        if (!(yield* hasTables)) return []
        const found = yield* broken(storePath)
        const now = yield* snapshot
        const step = forbidden(this.before, now)
        const lost = yield* unwitnessed({ ...seen, held }, servedBefore)
        this.before = now
        this.heldSeen = seen.held?.length ?? 0
        return [...found, ...step, ...lost]
      }).pipe(Effect.provide(readerOf(storePath)))
    })
  }

  /** While processes run, calls are between the model and the store: only what an agent held must be there. */
  checkNow() {
    return this.check(Number.POSITIVE_INFINITY)
  }

  /** The kill before is settled by the start that takes up the run. */
  settle(recoveredInMs: number) {
    return Effect.gen(this, function*() {
      const last = this.kills.at(-1)
      if (last === undefined) return
      const breaches = [...last.breaches, ...yield* this.checkNow()]
      // A run that was over before its kill came is followed by another one: the kill before that is settled already.
      if (last.recoveredInMs !== null) {
        this.kills[this.kills.length - 1] = { ...last, breaches }
        return
      }
      const { requeued, unknownCalls } = yield* Effect.provide(lastStart, readerOf(this.options.storePath))
      const settled: Kill = { ...last, recoveredInMs, requeued, unknownCalls, breaches }
      this.kills[this.kills.length - 1] = settled
      yield* this.options.observe({ _tag: "checked", kill: settled })
    })
  }

  /** Takes down that the process was killed. */
  add(process: DrilledProcess) {
    return Effect.gen(this, function*() {
      const { observe, storePath } = this.options
      const { phase, runId } = yield* phaseOf(storePath, process.pid)
      const kill: Kill = {
        n: this.kills.length + 1,
        pid: process.pid,
        runId,
        phase,
        recoveredInMs: null,
        requeued: null,
        unknownCalls: null,
        breaches: yield* this.checkNow()
      }
      const last = this.kills.at(-1)
      if (last !== undefined && last.recoveredInMs === null) yield* observe({ _tag: "checked", kill: last })
      this.kills.push(kill)
      yield* observe({ _tag: "killed", process, kill })
    })
  }
}

/** When a kill comes. */
interface Moment {
  readonly place: keyof typeof delaysMax
  readonly delayMs: number
  /** So many rollouts are to succeed before it, unless it comes early. */
  readonly successes: number
}

/** Of four, one dies while it starts, one with a model call under way, and two at any moment of their work. */
const momentOf = (killsBefore: number, random: () => number): Moment => {
  const turn = killsBefore % 4
  const place = turn === 3 ? "early" : turn === 1 ? "in a call" : "at work"
  const delayMs = Math.floor(delaysMax[place] * random())
  return { place, delayMs, successes: Math.floor((successesMax + 1) * random()) }
}

/** Starts the command and kills it, unless its run is over before. */
const killedStart = (options: DrillOptions, log: DrillLog, n: number, { delayMs, place, successes }: Moment) =>
  Effect.gen(function*() {
    const { command, observe, storePath } = options
    const process = yield* start(command)
    yield* observe({ _tag: "started", pid: process.pid })
    const begunMs = place === "early" ? null : yield* within(`start ${n} to take up the run`, process.begun)
    if (begunMs !== null) {
      yield* log.settle(begunMs)
      yield* within(`${successes} more rollouts to succeed`, moreSucceeded(storePath, process, successes))
      if (place === "in a call") yield* within("a model call", callUnderWay(storePath, process))
    }
    yield* Effect.sleep(delayMs)
    if (!process.hasEnded()) {
      yield* process.kill
      yield* log.add(process)
      return
    }
    const exit = yield* process.exit
    yield* observe({ _tag: "ended", process, exit })
    // A run that was over is followed by another one, which the next start makes.
    if (exit !== 0) {
      return yield* new DrillFailed({
        detail: `start ${n} ended by itself with ${exit}: ${lastLine(process.stderr())}`
      })
    }
  })

/** Starts the command once more, and lets it finish. */
const lastStartOf = ({ command, observe, storePath, witness }: DrillOptions, log: DrillLog) =>
  Effect.gen(function*() {
    const servedBefore = witness().served?.().length ?? 0
    const process = yield* start(command)
    yield* observe({ _tag: "started", pid: process.pid })
    const begunMs = yield* within("the last start to take up the run", process.begun)
    if (begunMs !== null) yield* log.settle(begunMs)
    const exit = yield* within("the run to finish", process.exit, finishMax)
    yield* observe({ _tag: "ended", process, exit })
    const breaches = yield* log.check(servedBefore)
    const totals = yield* Effect.provide(readTotals, readerOf(storePath))
    return {
      kills: log.kills,
      breaches,
      checks: log.checks,
      totals,
      exit,
      stdout: process.stdout()
    } satisfies DrillResult
  })

const within = <A, E, R>(what: string, wait: Effect.Effect<A, E, R>, max: "2 minutes" | "2 hours" = stepMax) =>
  Effect.timeoutFail(wait, { duration: max, onTimeout: () => new DrillFailed({ detail: `waited ${max} for ${what}` }) })

const lastLine = (text: string) => text.trim().split("\n").at(-1) ?? ""
