/**
 * The queue, its leases, rewards, resources and control verbs against a small model: any history of operations has the
 * outcome that the model says, and no state and no step of it breaks an invariant. A backend brings its own `Store`.
 */
import * as FastCheck from "effect/FastCheck"
import type { ControlChange } from "../../src/domain/Control.js"
import type { RolloutStatus } from "../../src/domain/Lifecycle.js"
import type { Input, OperationName, Output } from "../../src/store/writer/operations.js"
import { StoreClock } from "../../src/store/writer/StoreClock.js"
import { crashesMax, type Facts, forbidden, pauseMaxMs, violations } from "./invariants.js"
import { type Action, emptySpan, step } from "./queueActions.js"

/** An empty store whose operations are carried out one by one. */
export interface Store {
  /** Each operation commits, or fails and leaves nothing behind. `nowMs` is the store's time. */
  readonly run: <Name extends OperationName>(operation: Name, input: Input<Name>, nowMs: number) => Output<Name>
  readonly facts: () => Facts
  /** Nothing of the product sets a priority yet, but claims go by it. */
  readonly prioritize: (rolloutId: string, priority: number) => void
}

const leaseMs = 1_000
const attemptsMax = 2
const success = { output: "4", score: 1, rewards: [{ name: "r", value: 1, feedback: null }] }
const rolloutsPerRun = 3

export interface ModelOptions {
  readonly runs: number
  readonly seed: number
  /** Do not look for a shorter history that fails. */
  readonly endOnFailure?: boolean
  readonly fresh: () => { readonly store: Store; readonly close: () => void }
}

/** Throws with the shortest history that fails. Answers how many histories were carried out. */
export const checkQueueModel = ({ endOnFailure = false, fresh, runs, seed }: ModelOptions): number => {
  let histories = 0
  FastCheck.assert(
    FastCheck.property(FastCheck.array(step, { maxLength: 50, size: "max" }), (actions) => {
      histories += 1
      const { close, store } = fresh()
      try {
        new History(store).carryOut(actions)
      } finally {
        close()
      }
    }),
    { numRuns: runs, seed, endOnFailure }
  )
  return histories
}

interface Modelled {
  readonly id: string
  readonly ordinal: number
  status: RolloutStatus
  epoch: number
  attempts: number
  failures: number
  crashes: number
  priority: number
  runAtMs: number
  leaseUntilMs: number | null
  readonly resourcesVersion: number
}

interface Claimed {
  readonly rolloutId: string
  readonly attemptId: string
  readonly epoch: number
}

interface ModelledRun {
  readonly id: string
  state: string
  desired: "run" | "pause" | "cancel"
  isWorkedOn: boolean
  readonly rollouts: Array<Modelled>
}

const isHeld = ({ status }: Modelled) => status === "preparing" || status === "running"
const isWaiting = ({ status }: Modelled) => status === "queuing" || status === "requeuing"
const isTerminal = (rollout: Modelled) => !isHeld(rollout) && !isWaiting(rollout)

const ensure = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(what)
}
const equal = (actual: unknown, expected: unknown, what: string): void =>
  ensure(
    JSON.stringify(actual) === JSON.stringify(expected),
    `${what}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`
  )

/** The model, beside the store it is compared with. */
class History {
  private wallMs = 1_000_000_000_000
  private monotonicMs = 0
  private clock = new StoreClock(() => this.monotonicMs)
  private nowMs = this.wallMs
  private before: Facts
  private readonly runs: Array<ModelledRun> = []
  private readonly claims: Array<Claimed> = []
  private readonly texts: Array<string> = []
  private latest = 0
  private verbs = 0
  private processes = 0
  private calls: ReadonlyArray<string> = []

  constructor(private readonly store: Store) {
    this.before = store.facts()
  }

  carryOut(actions: ReadonlyArray<Action>) {
    this.begin()
    for (const action of actions) this.follow(action)
  }

  private get run() {
    return this.runs.at(-1)!
  }

  private follow(action: Action) {
    switch (action.kind) {
      case "pass":
        this.wallMs += action.ms
        this.monotonicMs += action.ms
        return
      case "setClock":
        this.wallMs += action.ms
        return
      case "begin":
        return this.begin()
      case "claim":
        return this.claim(action.n, action.limit)
      case "heartbeat":
        return this.heartbeat(action.mask)
      case "rescue":
        return this.rescue(action.mask)
      case "stop":
        return this.stop()
      case "cancelRun":
        this.do("cancelRun", { runId: this.run.id })
        this.cancelAll()
        return this.compare("cancelRun")
      case "publish":
        return this.publish(`{"n":"${action.n}"}`)
      case "prioritize": {
        const rollout = this.run.rollouts[action.n % rolloutsPerRun]!
        if (isTerminal(rollout)) return
        rollout.priority = action.n
        this.store.prioritize(rollout.id, action.n)
        this.before = this.store.facts()
        return
      }
      case "pause":
      case "resume":
      case "cancel":
      case "rollback":
        return this.control(action.kind, action.n)
      default:
        if (this.claims.length > 0) this.write(action.kind, this.claims[action.n % this.claims.length]!)
    }
  }

  private do<Name extends OperationName>(name: Name, input: Input<Name>): Output<Name> {
    this.nowMs = this.clock.at(this.wallMs)
    return this.store.run(name, input, this.nowMs)
  }

  /** Everything that the model knows is so in the store, and no invariant is broken. */
  private compare(operation: string) {
    const facts = this.store.facts()
    const broken = [...violations(facts), ...forbidden(this.before, facts, { operation, nowMs: this.nowMs })]
    ensure(broken.length === 0, `after ${operation}: ${broken.join("; ")}`)
    for (const run of this.runs) {
      const row = facts.runs.find(({ id }) => id === run.id)
      equal([row?.state, row?.desired], [run.state, run.desired], `${operation}: state and wish of ${run.id}`)
      for (const { ordinal: _, ...rollout } of run.rollouts) {
        const found = facts.rollouts.find(({ id }) => id === rollout.id)
        for (const [key, value] of Object.entries(rollout)) {
          equal(found?.[key as keyof typeof found], value, `${operation}: ${key} of ${rollout.id}`)
        }
      }
    }
    equal(facts.control.length, this.verbs, `I14 lines in the control log after ${operation}`)
    equal(
      facts.resources.find(({ isLatest }) => isLatest === 1)?.version ?? 0,
      this.latest,
      `${operation}: the latest version`
    )
    equal(
      facts.spans.map(({ attemptId, late }) => `${attemptId} ${late}`),
      this.calls.toSorted(),
      `I11 spans after ${operation}`
    )
    this.before = facts
  }

  private begin() {
    // Another process, whose clock knows nothing of what this one's was set to.
    this.clock = new StoreClock(() => this.monotonicMs)
    const processId = `process-${++this.processes}`
    this.do("startProcess", { id: processId, pid: process.pid, kind: "run" })
    const begun = this.do("beginRun", {
      configHash: "c0ffee",
      config: "{}",
      configPath: "config.json",
      modelRef: "sim/arithmetic",
      processId,
      resources: null,
      rollouts: Array.from({ length: rolloutsPerRun }, (_, n) => ({ mode: "train" as const, input: `{"n":${n}}` })),
      attemptsMax,
      command: null
    })
    const last = this.runs.at(-1)
    if (last !== undefined && (last.state === "running" || last.state === "paused") && last.desired === "cancel") {
      this.cancelAll()
      last.state = "cancelled"
    }
    if (last === undefined || last.state === "completed" || last.state === "cancelled") this.create()
    else {
      const held = last.rollouts.filter(isHeld)
      equal(begun.requeued, held.length, "put back at the start")
      for (const rollout of held) this.crash(rollout, 0)
      for (const rollout of last.rollouts.filter(isWaiting)) {
        if (rollout.runAtMs > this.nowMs + (rollout.status === "queuing" ? 0 : pauseMaxMs)) rollout.runAtMs = this.nowMs
      }
      last.state = "running"
      last.desired = "run"
      last.isWorkedOn = true
    }
    equal(begun.runId, this.run.id, "the run taken up")
    this.compare("beginRun")
  }

  private create() {
    const id = `run-${String(this.runs.length + 1).padStart(4, "0")}-c0ffee`
    if (this.latest === 0) {
      this.texts.push("{}")
      this.latest = 1
    }
    const rollouts = Array.from({ length: rolloutsPerRun }, (_, ordinal): Modelled => ({
      id: `${id}-train-${String(ordinal + 1).padStart(4, "0")}`,
      ordinal,
      status: "queuing",
      epoch: 0,
      attempts: 0,
      failures: 0,
      crashes: 0,
      priority: 0,
      runAtMs: this.nowMs,
      leaseUntilMs: null,
      resourcesVersion: this.latest
    }))
    this.runs.push({ id, state: "running", desired: "run", isWorkedOn: true, rollouts })
  }

  private claim(n: number, limit: number) {
    const claimed = this.do("claim", { runId: this.run.id, workerId: `w${n % 3}`, leaseMs, limit })
    const due = this.run.rollouts.filter((rollout) => isWaiting(rollout) && rollout.runAtMs <= this.nowMs)
    const expected = this.run.desired === "run"
      ? due.toSorted((a, b) => b.priority - a.priority || a.runAtMs - b.runAtMs || a.ordinal - b.ordinal).slice(
        0,
        limit
      )
      : []
    equal(claimed.map(({ rolloutId }) => rolloutId), expected.map(({ id }) => id), "I27 claimed, in this order")
    for (const rollout of expected) {
      rollout.status = "preparing"
      rollout.epoch += 1
      rollout.attempts += 1
      rollout.leaseUntilMs = this.nowMs + leaseMs
    }
    for (const { attemptId, epoch, rolloutId } of claimed) this.claims.push({ rolloutId, attemptId, epoch })
    this.compare("claim")
  }

  /** The rollout of a claim, if the claim is still the last one. */
  private heldBy({ epoch, rolloutId }: Claimed): Modelled | undefined {
    return this.runs.flatMap(({ rollouts }) => rollouts).find((rollout) =>
      rollout.id === rolloutId && rollout.epoch === epoch && isHeld(rollout)
    )
  }

  private write(kind: Exclude<Action["kind"], "claim">, claim: Claimed) {
    const rollout = this.heldBy(claim)
    if (kind === "call") return this.call(claim, rollout !== undefined)
    const failure = { error: "e", brokenBy: null, stderrTail: null, permanent: kind === "giveUp" }
    const refusal = kind === "start"
      ? this.do("start", claim)
      : kind === "succeed"
      ? this.do("succeed", { ...claim, ...success })
      : kind === "succeedAtOnce"
      ? this.do("succeed", { ...claim, ...success, starts: true })
      : kind === "release"
      ? this.do("release", claim)
      : kind === "abandon"
      ? this.do("abandon", { ...claim, why: "broken" })
      : this.do("fail", { ...claim, ...failure, status: kind === "timeout" ? "timeout" : "failed" })
    const expected = rollout === undefined
      ? "LeaseLost"
      : kind === "succeed" && rollout.status !== "running"
      ? "IllegalMove"
      : null
    equal(refusal?._tag ?? null, expected, `I12 ${kind} of ${claim.attemptId}`)
    if (rollout !== undefined && expected === null) {
      if (kind === "start") rollout.status = "running"
      else if (kind === "succeed" || kind === "succeedAtOnce") this.end(rollout, "succeeded")
      else if (kind === "release") this.putBack(rollout, 0, 0)
      else if (kind === "abandon") this.crash(rollout, rollout.crashes + 1)
      else {
        rollout.failures += 1
        if (kind === "giveUp" || rollout.failures >= attemptsMax) this.end(rollout, "failed")
        else this.putBack(rollout, rollout.failures, rollout.failures)
      }
    }
    this.compare(kind === "timeout" || kind === "giveUp" ? "fail" : kind)
  }

  private end(rollout: Modelled, status: RolloutStatus) {
    rollout.status = status
    rollout.leaseUntilMs = null
  }

  /** The pause doubles with each failure and is up to half as long again: how much, the store decides. */
  private putBack(rollout: Modelled, failures: number, pauses: number) {
    this.end(rollout, "requeuing")
    const runAtMs = this.store.facts().rollouts.find(({ id }) => id === rollout.id)!.runAtMs
    const base = pauses === 0 ? 0 : Math.min(30_000, 250 * 2 ** (failures - 1))
    const pauseMs = runAtMs - this.nowMs
    ensure(pauseMs >= base && pauseMs <= 1.5 * base, `I19 a pause of ${pauseMs} ms after ${failures} failures`)
    rollout.runAtMs = runAtMs
  }

  private crash(rollout: Modelled, pauses: number) {
    rollout.crashes += 1
    if (rollout.crashes >= crashesMax) this.end(rollout, "failed")
    else this.putBack(rollout, rollout.crashes, pauses)
  }

  private chosen(mask: number): ReadonlyArray<Claimed> {
    return this.claims.filter((_, index) => (mask >> index % 8 & 1) === 1)
  }

  private renew(claims: ReadonlyArray<Claimed>): ReadonlyArray<string> {
    const kept = claims.filter((claim) => this.heldBy(claim) !== undefined)
    for (const claim of kept) {
      const rollout = this.heldBy(claim)!
      rollout.leaseUntilMs = Math.max(rollout.leaseUntilMs!, this.nowMs + leaseMs)
    }
    return kept.map(({ epoch, rolloutId }) => `${rolloutId}@${epoch}`)
  }

  private heartbeat(mask: number) {
    const leases = this.chosen(mask)
    const kept = this.do("heartbeat", { processId: `process-${this.processes}`, leaseMs, leases })
    equal(kept.toSorted(), this.renew(leases).toSorted(), "I18 the leases kept")
    this.compare("heartbeat")
  }

  private rescue(mask: number) {
    const own = this.chosen(mask)
    const swept = this.do("rescue", { runId: this.run.id, leaseMs, own })
    this.renew(own)
    const expired = this.run.rollouts.filter((rollout) => isHeld(rollout) && rollout.leaseUntilMs! < this.nowMs)
    equal(swept.toSorted(), expired.map(({ id }) => id), "I13 put back")
    for (const rollout of expired) this.crash(rollout, rollout.crashes + 1)
    this.compare("rescue")
  }

  private call({ attemptId, rolloutId }: Claimed, isLive: boolean) {
    const spanId = `span-${this.calls.length}`
    this.do("closeSpan", { ...emptySpan, spanId, rolloutId, attemptId })
    this.calls = [...this.calls, `${attemptId} ${isLive ? 0 : 1}`]
    this.compare("closeSpan")
  }

  private stop() {
    const { run } = this
    if (run.state === "cancelled") return
    const isDone = run.rollouts.every(isTerminal)
    const state = isDone ? "completed" : "paused"
    this.do("endRun", {
      runId: run.id,
      processId: `process-${this.processes}`,
      state,
      stopReason: isDone ? null : "signal"
    })
    run.state = state
    run.isWorkedOn = false
    this.compare("endRun")
  }

  private cancelAll() {
    for (const rollout of this.run.rollouts) {
      if (isTerminal(rollout)) continue
      rollout.epoch += 1
      this.end(rollout, "cancelled")
    }
  }

  private publish(text: string) {
    const known = this.texts.indexOf(text)
    if (known === -1) this.latest = this.texts.push(text)
    equal(
      this.do("publishResources", { resources: text, author: "test" }),
      known === -1 ? this.latest : known + 1,
      "I22 the version"
    )
    this.compare("publishResources")
  }

  private control(verb: ControlChange, n: number) {
    const version = n % 4
    const applied = this.do("applyControl", {
      verb,
      actionKey: `control:rl:${verb}`,
      principal: "test",
      decision: "allowed",
      resourcesVersion: verb === "rollback" ? version : null,
      rollbackCheckpoint: null,
      checkpointSource: null
    })
    this.verbs += 1
    const { run } = this
    const isUnfinished = run.state === "running" || run.state === "paused"
    if (verb === "rollback") {
      const exists = version >= 1 && version <= this.texts.length
      equal(applied.refused, !exists, `rollback to ${version}`)
      if (exists) this.latest = version
    } else if (isUnfinished && run.desired !== "cancel") {
      run.desired = verb === "resume" ? "run" : verb
    }
    if (verb === "cancel" && isUnfinished) {
      this.cancelAll()
      if (!run.isWorkedOn) run.state = "cancelled"
    }
    this.compare("applyControl")
  }
}
