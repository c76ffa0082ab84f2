/**
 * Processes that share a store, simulated: the real runners, leases, rescuer, supervision and ending, in a `World`. Faults
 * are drawn from the seed: crashes, freezes beyond the lease, a slow store, failed commits, cut heartbeats, drains, clocks
 * that jump, pauses and cancels. Every step is held to the invariants, and every rollout to an end.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { createHash } from "node:crypto"
import { RunId } from "../../src/domain/Ids.js"
import { Scorer } from "../../src/domain/Reward.js"
import { defaultRules } from "../../src/openai/Redaction.js"
import { AgentEndpoint } from "../../src/runtime/AgentEndpoint.js"
import { Announcer } from "../../src/runtime/Announcer.js"
import { awaitEnding } from "../../src/runtime/Ending.js"
import { type Assignment, AttemptFailed, Executor } from "../../src/runtime/Executor.js"
import { inOwnFiber } from "../../src/runtime/inOwnFiber.js"
import { Leases } from "../../src/runtime/Leases.js"
import { rescuer } from "../../src/runtime/Rescuer.js"
import { runner } from "../../src/runtime/Runner.js"
import { supervision } from "../../src/runtime/Supervisor.js"
import { BegunCalls } from "../../src/store/BegunCalls.js"
import { RolloutQueue } from "../../src/store/RolloutQueue.js"
import { RunFindings } from "../../src/store/RunFindings.js"
import { type RunProgress, RunStore } from "../../src/store/RunStore.js"
import { StoreProcess } from "../../src/store/Sqlite.js"
import { StoreError } from "../../src/store/StoreError.js"
import { WorkerStore } from "../../src/store/WorkerStore.js"
import { Writer } from "../../src/store/Writer.js"
import type { Input, OperationName, Output } from "../../src/store/writer/operations.js"
import { StoreClock } from "../../src/store/writer/StoreClock.js"
import { randomFrom } from "../support/random.js"
import { type Facts, forbidden, violations } from "./invariants.js"
import type { Store } from "./queueModel.js"
import { type Machine, World } from "./World.js"

export interface SimulationOptions {
  readonly seed: number
  /** Empty. */
  readonly store: Store
}

export interface Simulated {
  /** Equal for equal seeds. */
  readonly hash: string
  readonly operations: number
  /** What was broken, first things first; empty when all was well. */
  readonly problems: ReadonlyArray<string>
  readonly faults: Readonly<Record<string, number>>
}

const heartbeatIntervalMs = 1_000
const faultsUntilMs = 90_000
const endsByMs = 900_000
const rollouts = 10
const attemptsMax = 3

const unused = () => Effect.dieMessage("the simulation does not ask for this")
/** Its agents make no calls. */
const findings: typeof RunFindings.Service = {
  of: unused,
  takenUpAgain: unused,
  outage: unused,
  unheard: () => Effect.succeed(null),
  isHeard: unused,
  fatesOf: unused,
  rewrites: unused,
  usage: unused
}

export const simulate = (options: SimulationOptions): Simulated => new Simulation(options).run()

interface Process extends Machine {
  readonly clock: StoreClock
  /** When the store has carried out what was asked of it so far. */
  busyUntilMs: number
  cutHeartbeatsUntilMs: number
  slowUntilMs: number
  stop: () => void
}

class Simulation {
  private readonly world = new World()
  private readonly random: () => number
  private readonly store: Store
  private readonly trace = createHash("sha256")
  private readonly problems: Array<string> = []
  private readonly faults: Record<string, number> = {}
  private readonly agents = new Map<string, Process>()
  private processes: Array<Process> = []
  private before: Facts
  private started = 0
  private count = 0
  private runId = ""
  private isOver = false
  /** One process at a time, as the run lock has it, or several that only leases keep apart. */
  private readonly isAlone: boolean
  private readonly hasPoison: boolean

  constructor({ seed, store }: SimulationOptions) {
    this.random = randomFrom(seed)
    this.store = store
    this.before = store.facts()
    this.isAlone = seed % 2 === 0
    this.hasPoison = seed % 4 === 0
  }

  run(): Simulated {
    for (let n = 0; n < (this.isAlone ? 1 : 3); n++) this.start()
    this.world.after(this.between(200, 3_000), null, this.fault)
    while (this.problems.length === 0 && !this.isDone && this.world.monotonicMs < endsByMs && this.world.advance());
    const unfinished = this.store.facts().rollouts.filter(({ endedAtMs }) => endedAtMs === null)
    if (this.problems.length === 0 && unfinished.length > 0) {
      this.problems.push(`I15 unfinished in the end: ${unfinished.map(({ id, status }) => `${id} ${status}`).join()}`)
    }
    return { hash: this.trace.digest("hex"), operations: this.count, problems: this.problems, faults: this.faults }
  }

  private get isDone() {
    return this.isOver && this.processes.every(({ isDead }) => isDead)
  }

  private between(low: number, high: number) {
    return Math.floor(low + this.random() * (high - low))
  }

  /** A process begins: makes or resumes the run when it is alone, else joins the one there is. */
  private start() {
    const name = `process-${++this.started}`
    const process: Process = {
      name,
      isFrozen: false,
      isDead: false,
      held: [],
      clock: new StoreClock(() => this.world.monotonicMs),
      busyUntilMs: 0,
      cutHeartbeatsUntilMs: 0,
      slowUntilMs: 0,
      stop: () => {}
    }
    this.processes = [...this.processes.filter(({ isDead }) => !isDead), process]
    this.perform(process, "startProcess", { id: name, pid: globalThis.process.pid, kind: "run" }, this.world.wallMs)
    if (this.isAlone || this.runId === "") {
      this.runId = this.perform(process, "beginRun", {
        configHash: "c0ffee",
        config: "{}",
        configPath: "config.json",
        modelRef: "fake/model",
        processId: name,
        resources: null,
        rollouts: Array.from({ length: rollouts }, (_, n) => ({ mode: "train" as const, input: `{"n":${n}}` })),
        attemptsMax,
        command: null
      }, this.world.wallMs).runId
    }
    const stop = this.world.fork(process, this.program(process), (exit) => this.ended(process, exit))
    process.stop = stop
  }

  private ended(process: Process, exit: Exit.Exit<unknown, unknown>) {
    if (process.isDead) return
    process.isDead = true
    const isFinished = Exit.isSuccess(exit)
    this.note(`${process.name} ended ${exit._tag}`)
    if (isFinished) this.isOver = true
    // Drained, or it could not go on: the same command resumes.
    else this.startAgain()
  }

  private startAgain() {
    this.world.after(this.between(100, 5_000), null, () => {
      if (!this.isOver) this.start()
    })
  }

  private program(process: Process) {
    const runId = RunId.make(this.runId)
    const announcer: typeof Announcer.Service = {
      say: (line) => Effect.sync(() => this.said(process, line)),
      show: () => Effect.void,
      settle: Effect.void,
      redraws: false,
      columns: 80,
      colours: false
    }
    const services = Leases.layer({ heartbeatIntervalMs }).pipe(
      Layer.provideMerge(Layer.mergeAll(RolloutQueue.layer, WorkerStore.layer)),
      Layer.provideMerge(
        Layer.mergeAll(
          Layer.succeed(Announcer, announcer),
          Layer.succeed(RunStore, this.runStore),
          Layer.succeed(RunFindings, findings),
          Layer.succeed(Executor, { execute: (assignment) => this.execute(process, assignment) }),
          Layer.succeed(Scorer, { score: () => Effect.succeed({ rewards: [], score: 1 }) }),
          Layer.succeed(AgentEndpoint, {
            origin: "http://127.0.0.1:1",
            apiKey: "for-tests",
            secrets: [],
            model: "fake",
            refusal: () => null
          }),
          Layer.succeed(StoreProcess, {
            id: process.name,
            path: "",
            unknownCalls: 0,
            begun: new BegunCalls("", process.name, defaultRules)
          }),
          Layer.succeed(Writer, this.writerOf(process))
        )
      )
    )
    const work = runner({ runId, pollIntervalMs: 250, attemptTimeoutSecs: 12, attemptsMax })
    return Effect.gen(function*() {
      const leases = yield* Leases
      const children = yield* supervision([
        { name: "heartbeat", run: leases.heartbeat },
        { name: "rescuer", run: rescuer(runId) },
        { name: "runner 1", run: work },
        { name: "runner 2", run: work }
      ])
      return yield* inOwnFiber(
        Effect.raceFirst(
          awaitEnding({ runId, completionPollIntervalMs: 500, completionTimeoutSecs: 100_000 }),
          children.run
        )
      )
    }).pipe(Effect.provide(services))
  }

  /** A fiber that dies of anything but what the simulation did to it is a bug. */
  private said(process: Process, line: string) {
    const isExpected = process.isDead || /the agent broke|the store is locked|database or disk is full/.test(line)
    if (/died/.test(line) && !isExpected) this.problems.push(`${process.name}: ${line}`)
    this.note(`${process.name} says ${line}`)
  }

  private get runStore(): typeof RunStore.Service {
    const rows = () => this.store.facts().rollouts.filter(({ runId }) => runId === this.runId)
    return {
      begin: unused,
      end: unused,
      scores: unused,
      scoresByExample: unused,
      rewards: unused,
      failures: unused,
      outlook: () =>
        Effect.sync(() => ({
          desired: this.store.facts().runs.find(({ id }) => id === this.runId)!.desired as "run" | "pause" | "cancel",
          isFinished: rows().every(({ endedAtMs }) => endedAtMs !== null)
        })),
      progress: () => Effect.succeed({ cancelled: 0, active: 0 } as RunProgress)
    }
  }

  private execute(process: Process, { attempt, attemptId, rolloutId }: Assignment) {
    const agent = Effect.gen(this, function*() {
      const other = this.agents.get(rolloutId)
      if (other !== undefined && !other.isDead && !other.isFrozen) {
        this.problems.push(`R3 two agents for ${rolloutId}: on ${process.name} and on ${other.name}`)
      }
      this.agents.set(rolloutId, process)
      if (this.hasPoison && rolloutId.endsWith("2")) {
        yield* Effect.sleep(this.between(10, 200))
        this.world.after(0, null, () => this.crash(process))
        return yield* Effect.never
      }
      const luck = this.random()
      yield* Effect.sleep(this.between(50, luck < 0.5 ? 9_000 : 1_500))
      const permanent = luck > 0.97
      if (luck > 0.8) {
        return yield* new AttemptFailed({ reason: "exit-code", detail: "exit code 3", permanent, stderrTail: null })
      }
      if (luck > 0.74) return yield* Effect.dieMessage("the agent broke")
      if (luck > 0.7) return yield* Effect.never
      return { output: `attempt ${attempt}` }
    })
    return Effect.ensuring(
      agent,
      Effect.sync(() => {
        if (this.agents.get(rolloutId) === process) this.agents.delete(rolloutId)
        this.note(`${attemptId} ended on ${process.name}`)
      })
    )
  }

  /** Requests are carried out in their order, each some time after it was made, and told some time later. */
  private writerOf(process: Process): typeof Writer.Service {
    const run = <Name extends OperationName>(
      operation: Name,
      input: Input<Name>
    ): Effect.Effect<Output<Name>, StoreError> =>
      Effect.async((resume) => {
        const failed = (reason: StoreError["reason"], detail: string) =>
          resume(new StoreError({ operation, reason, detail }))
        if (process.isDead) return failed("other", "the writer thread ended")
        const { monotonicMs, wallMs } = this.world
        const isCut = operation === "heartbeat" && process.cutHeartbeatsUntilMs > monotonicMs
        const isFull = this.isFaulty && this.random() < 0.01
        const delayMs = process.slowUntilMs > monotonicMs ? this.between(1, 2_500) : this.between(1, 4)
        process.busyUntilMs = Math.max(process.busyUntilMs, monotonicMs + delayMs)
        this.world.after(process.busyUntilMs - monotonicMs, process, () => {
          if (process.isDead) return
          if (isCut) return failed("locked", "database is locked")
          if (isFull) return failed("full", "database or disk is full")
          const value = this.perform(process, operation, input, wallMs)
          this.world.after(this.between(0, 3), process, () => resume(Effect.succeed(value)))
        })
      })
    const submit: typeof Writer.Service["submit"] = (operation, input, { done, lazy = false }) => {
      let state: "waiting" | "taken" | "withdrawn" = "waiting"
      const carryOut = () => {
        if (state === "withdrawn" || process.isDead) return
        state = "taken"
        Effect.runCallback(run(operation, input), {
          scheduler: this.world.scheduler,
          onExit: (exit) => {
            if (Exit.isSuccess(exit)) done(null, exit.value)
            else done({ reason: "other", message: String(exit.cause) }, null)
          }
        })
      }
      if (lazy) this.world.after(this.between(0, 5), process, carryOut)
      else carryOut()
      return {
        cancel: () => {
          if (state !== "waiting") return false
          state = "withdrawn"
          return true
        }
      }
    }
    return { run, submit, readAhead: neverAsked, health: neverAsked, died: Effect.never }
  }

  private perform<Name extends OperationName>(
    process: Process,
    operation: Name,
    input: Input<Name>,
    wallMs: number
  ): Output<Name> {
    const nowMs = process.clock.at(wallMs)
    const value = this.store.run(operation, input, nowMs)
    const facts = this.store.facts()
    const isAtOnce = operation === "succeed" && (input as Input<"succeed">).starts === true
    const step = { operation: isAtOnce ? "succeedAtOnce" : operation, nowMs }
    const broken = [...violations(facts), ...forbidden(this.before, facts, step)]
    for (const problem of broken) {
      this.problems.push(`${operation} of ${process.name} at ${this.world.monotonicMs}: ${problem}`)
    }
    this.before = facts
    this.count += 1
    this.note(`${process.name} ${operation} ${JSON.stringify([nowMs, input, value])}`)
    return value
  }

  private note(event: string) {
    this.trace.update(`${this.world.monotonicMs} ${event}\n`)
  }

  private get isFaulty() {
    return this.world.monotonicMs < faultsUntilMs
  }

  private crash(process: Process) {
    if (process.isDead) return
    this.faults["crash"] = (this.faults["crash"] ?? 0) + 1
    this.note(`${process.name} is killed`)
    process.isDead = true
    process.held.length = 0
    process.stop()
    this.startAgain()
  }

  private readonly fault = (): void => {
    if (this.isOver) return
    if (!this.isFaulty) {
      this.ask("resume")
      return
    }
    this.world.after(this.between(100, 3_000), null, this.fault)
    const live = this.processes.filter(({ isDead, isFrozen }) => !isDead && !isFrozen)
    const process = live[this.between(0, live.length)]
    if (process === undefined) return
    const names = this.isAlone ? [...faultNames, "jump" as const] : faultNames
    const name = names[this.between(0, names.length)]!
    if (name !== "crash") this.faults[name] = (this.faults[name] ?? 0) + 1
    this.note(`${name} on ${process.name}`)
    const untilMs = this.world.monotonicMs + this.between(500, 8_000)
    if (name === "crash") this.crash(process)
    else if (name === "freeze") {
      process.isFrozen = true
      this.world.after(untilMs - this.world.monotonicMs, null, () => this.world.thaw(process))
    } else if (name === "slow") process.slowUntilMs = untilMs
    else if (name === "cut") process.cutHeartbeatsUntilMs = untilMs
    else if (name === "drain") process.stop()
    else if (name === "jump") this.world.wallOffsetMs += this.between(-4, 5) * this.between(1, 3_600_000)
    else if (name === "cancel") {
      if (this.random() < 0.1) this.ask("cancel")
    } else this.ask(name)
  }

  private ask(verb: "pause" | "resume" | "cancel") {
    const operator = {
      ...this.processes.at(-1)!,
      name: "operator",
      clock: new StoreClock(() => this.world.monotonicMs)
    }
    this.perform(operator, "applyControl", {
      verb,
      actionKey: `control:rl:${verb}`,
      principal: "test",
      decision: "allowed",
      resourcesVersion: null,
      rollbackCheckpoint: null,
      checkpointSource: null
    }, this.world.wallMs)
  }
}

const faultNames = ["crash", "freeze", "freeze", "slow", "cut", "drain", "pause", "resume", "resume", "cancel"] as const

const neverAsked = () => {
  throw new Error("the simulation does not ask for this")
}
