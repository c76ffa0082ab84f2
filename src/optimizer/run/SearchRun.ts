/**
 * Carries a search out over the store. Each batch of asks is a row before it is an action; what was answered before is read,
 * not asked again. So a search that is begun anew after a crash goes through its old steps at once, and on from there.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { counted } from "../../domain/Figures.js"
import type { RunId } from "../../domain/Ids.js"
import { brokenRemedy, brokenText, isHopeless, isNoise } from "../../domain/Noise.js"
import type { ResourceValues } from "../../domain/Resources.js"
import type { Example } from "../../domain/Rollout.js"
import { SearchFailed } from "../../domain/SearchFailed.js"
import { canonicalJson } from "../../store/canonicalJson.js"
import { RunStore } from "../../store/RunStore.js"
import { type SearchOutcome, SearchStore } from "../../store/SearchStore.js"
import type { StoreError } from "../../store/StoreError.js"
import type { SearchRollout, SearchStep, TakenStep } from "../../store/writer/search.js"
import { Conductor, type ConductorOptions, type Fresh, type Turn, type Work } from "../Conductor.js"
import {
  type Ask,
  keyOf,
  type Outcome,
  type Reflection,
  type SearchEvent,
  SearchStopped,
  type Split,
  type Steps,
  type Texts
} from "../Search.js"
import { reflectionId, Reflector } from "./Reflector.js"
import type { Spending } from "./Spending.js"
import { traceText } from "./traceText.js"

export interface SearchRunOptions {
  readonly runId: RunId
  /** All resources of the run: a candidate replaces some of their texts. */
  readonly resources: ResourceValues
  readonly seed: Texts
  /** Every example of the run by its id. */
  readonly examples: ReadonlyMap<string, Example>
  /** What the search is called, with its version: another one does not go on with its steps. */
  readonly optimizer: string
  readonly attemptsMax: number
  readonly spending: Spending
  /** Told when something has come of the search: whoever waits for it need not give up. */
  readonly onProgress: () => void
  /** Told of what the search notes, as it goes. */
  readonly onEvent: (event: SearchEvent) => void
  /** Wakes the runners. */
  readonly onEnqueued: () => void
}

/** Reflections that are asked for at the same time. */
const reflectionsAtOnce = 8
const pollMinMs = 3
const pollMaxMs = 50
const heldPollMs = 100
const tickMs = 1_000

/** A search in progress: several programs may follow each other, and share its numbers and its spending. */
export class SearchRun {
  private readonly candidates = new Map<string, number>()
  private readonly versioned = new Set<number>()
  private chain: string
  private steps = 0
  private events = 0
  private reflections = 0
  private rollouts = 0
  /** Rollouts by what broke them. */
  private readonly broken = new Map<string, number>()
  private unjudged = 0
  /** When the first step was taken; null before. */
  private begunAtMs: number | null = null

  constructor(private readonly options: SearchRunOptions) {
    this.chain = sha256(options.optimizer)
  }

  get spent() {
    return { rollouts: this.rollouts, reflections: this.reflections, steps: this.steps }
  }

  /** Number of a candidate that the search has seen. */
  numberOf(texts: Texts): number {
    return this.candidates.get(keyOf(texts))!
  }

  /** Whether so many rollouts may be begun now. */
  affords(rollouts: number): Effect.Effect<boolean, StoreError, SearchStore> {
    return Effect.map(
      this.elapsedSecs(),
      (elapsed) => this.options.spending.refusal({ rollouts, reflections: 0 }, elapsed) === null
    )
  }

  private elapsedSecs() {
    return Effect.gen(this, function*() {
      this.begunAtMs ??= yield* Effect.flatMap(SearchStore, (store) => store.begunAt(this.options.runId))
      return this.begunAtMs === null ? 0 : ((yield* Clock.currentTimeMillis) - this.begunAtMs) / 1_000
    })
  }

  /** Runs a program to its end. `reserved` rollouts are kept back for what follows it. */
  run<A>(
    steps: Steps<A>,
    limits: Omit<ConductorOptions, "from">,
    reserved = 0
  ): Effect.Effect<A, SearchFailed | StoreError, SearchStore | RunStore | Reflector> {
    return Effect.gen(this, function*() {
      const conductor = new Conductor(steps, { ...limits, from: this.steps })
      let turn: Turn<A> = conductor.begin()
      while (!turn.done) turn = yield* this.step(conductor, turn.work, reserved)
      return turn.value
    })
  }

  private step<A>(conductor: Conductor<A>, work: Work, reserved: number) {
    return Effect.gen(this, function*() {
      const store = yield* SearchStore
      const elapsedSecs = yield* this.elapsedSecs()
      const more = { rollouts: work.rollouts.length, reflections: work.reflections.length }
      const refused = more.rollouts + more.reflections === 0
        ? null
        : this.options.spending.refusal(more, elapsedSecs, reserved)
      const planned = this.plan(work, refused)
      const taken = yield* takenWhenFree(store.take(planned.row))
      if (taken._tag === "changed") {
        return yield* new SearchFailed({
          reason: "changed",
          detail:
            `step ${work.n} of the search differs from the one on record: the optimizer changed since this run began; ` +
            "start a new run, or go on with the version that began it"
        })
      }
      this.steps += 1
      this.chain = planned.row.chain
      if (taken.stop !== null) {
        return conductor.stop(new SearchStopped(taken.stop.reason as SearchStopped["reason"], taken.stop.detail))
      }
      this.settle(work, planned)
      for (const ask of work.asks) if (ask._tag === "Note") this.options.onEvent(ask.event)
      const ids = planned.row.rollouts.map(({ id }) => id)
      if (ids.length > 0) this.options.onEnqueued()
      const [outcomes, reflections] = yield* Effect.all([
        this.outcomes(ids),
        Effect.forEach(planned.row.reflections, ({ n }, index) => this.reflect(n, work.reflections[index]!), {
          concurrency: reflectionsAtOnce
        })
      ], { concurrency: "unbounded" })
      this.options.onProgress()
      const byId = new Map(outcomes.map((outcome) => [outcome.id, outcome]))
      yield* this.watch(outcomes)
      const traces = yield* Effect.forEach(
        work.traces,
        (key) => Effect.map(store.conversation(this.ids.get(key)!), (talk) => [key, traceText(talk)] as const)
      )
      return conductor.resume({
        outcomes: new Map(work.rollouts.map((fresh, index) => [fresh.key, outcomeOf(fresh, byId.get(ids[index]!)!)])),
        reflections,
        traces: new Map(traces)
      })
    })
  }

  /** Ids of the rollouts by the conductor's key. */
  private readonly ids = new Map<string, string>()

  /** What a batch means for the store. Changes nothing: a step may be refused. */
  private plan(work: Work, refused: SearchStopped | null) {
    const { attemptsMax, examples, optimizer, resources, runId } = this.options
    const fresh = new Map<string, number>()
    const numberOf = (texts: Texts): number => {
      const key = keyOf(texts)
      const known = this.candidates.get(key) ?? fresh.get(key)
      if (known !== undefined) return known
      const n = this.candidates.size + fresh.size
      fresh.set(key, n)
      return n
    }
    const candidates: Array<SearchStep["candidates"][number]> = []
    const see = (
      texts: Texts,
      from: { parents: ReadonlyArray<number>; change: string | null; path: string }
    ): number => {
      const before = this.candidates.size + fresh.size
      const n = numberOf(texts)
      if (n === before) candidates.push({ n, texts: JSON.stringify(texts), ...from })
      return n
    }
    // The seed is candidate 0.
    see(this.options.seed, { parents: [], change: null, path: "seed" })
    const events = work.asks.flatMap((ask) => ask._tag === "Note" ? [eventJson(ask.event, see)] : [])
    const versions = new Map<number, string>()
    const rollouts = work.rollouts.map(({ example, key, sample, split, texts }) => {
      const candidate = see(texts, { parents: [], change: null, path: `step/${work.n}` })
      if (!this.versioned.has(candidate)) versions.set(candidate, canonicalJson({ ...resources, ...texts }))
      const rollout: SearchRollout = {
        id: `${runId}-c${pad(candidate)}-${example.id}${sample === 0 ? "" : `-s${sample}`}`,
        mode: modeOf(split),
        input: JSON.stringify(examples.get(example.id)),
        candidate,
        example: example.id,
        sample
      }
      return { key, rollout }
    })
    const row: SearchStep = {
      runId,
      n: work.n,
      chain: sha256(`${this.chain}\n${JSON.stringify(work.asks.map(askJson))}`),
      stop: refused === null ? null : { reason: refused.reason, detail: refused.detail },
      candidates,
      versions: [...versions].map(([n, resources]) => ({ n, resources })),
      rollouts: rollouts.map(({ rollout }) => rollout),
      reflections: work.reflections.map(({ path, prompt }, index) => ({
        n: this.reflections + index,
        path,
        promptSha256: sha256(prompt)
      })),
      events,
      eventsFrom: this.events,
      attemptsMax,
      author: optimizer.split("@")[0]!
    }
    return { row, fresh, ids: rollouts.map(({ key, rollout }) => [key, rollout.id] as const) }
  }

  /** The step has been taken. */
  private settle(work: Work, { fresh, ids, row }: ReturnType<SearchRun["plan"]>) {
    for (const [key, n] of fresh) this.candidates.set(key, n)
    for (const { n } of row.versions) this.versioned.add(n)
    for (const [key, id] of ids) this.ids.set(key, id)
    this.events += row.events.length
    this.reflections += work.reflections.length
    this.rollouts += work.rollouts.length
  }

  /** Waits until all rollouts have ended: whatever else the run has enqueued has ended before. */
  private outcomes(ids: ReadonlyArray<string>) {
    const { onProgress, runId, spending } = this.options
    return Effect.gen(function*() {
      if (ids.length === 0) return []
      const runs = yield* RunStore
      const store = yield* SearchStore
      let pauseMs = pollMinMs
      let finished = 0
      while (!(yield* runs.outlook(runId)).isFinished) {
        yield* Effect.sleep(pauseMs)
        pauseMs = Math.min(pollMaxMs, pauseMs * 1.5)
        const progress = pauseMs < pollMaxMs ? null : yield* runs.progress(runId)
        if (progress === null || progress.finished === finished) continue
        finished = progress.finished
        onProgress()
      }
      const outcomes = yield* store.outcomes(ids)
      for (const { usage } of outcomes) spending.addRollout(usage)
      return outcomes
    })
  }

  private reflect(
    n: number,
    ask: Work["reflections"][number]
  ): Effect.Effect<Reflection, StoreError, Reflector | SearchStore> {
    const { onProgress, runId, spending } = this.options
    return Effect.gen(function*() {
      // It has limits of its own for each try.
      const ticking = Effect.forever(Effect.delay(Effect.sync(onProgress), tickMs))
      const reflection = yield* Effect.raceFirst(
        Effect.flatMap(Reflector, (reflector) => reflector.reflect(runId, n, ask)),
        ticking
      )
      spending.addReflection(yield* Effect.flatMap(SearchStore, (store) => store.usage(reflectionId(runId, n))))
      return reflection
    })
  }

  /** What the search stops at, the next start of the run tries anew: it asks the store by the same rules. */
  private watch(outcomes: ReadonlyArray<SearchOutcome>) {
    for (const { brokenBy, isUnjudged } of outcomes) {
      if (brokenBy !== null) this.broken.set(brokenBy, (this.broken.get(brokenBy) ?? 0) + 1)
      if (isUnjudged) this.unjudged += 1
    }
    const { rollouts, unjudged } = this
    const causes = [...this.broken].map(([brokenBy, rollouts]) => ({ brokenBy, rollouts }))
    if (isNoise({ rollouts, broken: causes.reduce((sum, cause) => sum + cause.rollouts, 0) })) {
      const example = outcomes.find(({ brokenBy }) => brokenBy !== null)?.error ?? "unknown"
      return new SearchFailed({
        reason: "infrastructure",
        detail: `${brokenText(causes, rollouts, example)}: a search would optimize noise; ${brokenRemedy(causes)}`
      })
    }
    if (isHopeless({ rollouts, unjudged })) {
      const [error, alike] = mostFrequentError(outcomes)
      const remedy = causes.length === 0
        ? "mend the agent and run the same command again to go on"
        : brokenRemedy(causes)
      return new SearchFailed({
        reason: "agent",
        detail: `none of the seed's ${counted(rollouts, "rollout")} succeeded, and there is nothing to learn from: ` +
          `${alike.length} failed with "${error}", ${alike[0]} say; ${remedy}`
      })
    }
    return Effect.void
  }
}

const mostFrequentError = (outcomes: ReadonlyArray<SearchOutcome>): readonly [string, ReadonlyArray<string>] => {
  const alike = new Map<string, Array<string>>()
  for (const { error, id } of outcomes) alike.set(error ?? "unknown", [...alike.get(error ?? "unknown") ?? [], id])
  return [...alike].reduce((most, one) => one[1].length > most[1].length ? one : most)
}

/** A paused run takes no step, and a cancelled one never will: whoever cancels it also ends this wait. */
const takenWhenFree = (take: Effect.Effect<TakenStep, StoreError>) =>
  Effect.gen(function*() {
    while (true) {
      const taken = yield* take
      if (taken._tag !== "held") return taken
      yield* Effect.sleep(heldPollMs)
    }
  })

const modeOf = (split: Split) => split === "train" ? "train" as const : "val" as const

const pad = (n: number) => String(n).padStart(4, "0")

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex")

/** An ask as far as it decides what is done. */
const askJson = (ask: Ask): unknown =>
  ask._tag === "Evaluate" ? { ...ask, texts: keyOf(ask.texts), examples: ask.examples.map(({ id }) => id) } : ask

type See = (texts: Texts, from: { parents: ReadonlyArray<number>; change: string | null; path: string }) => number

/** An event with candidates as their numbers. */
const eventJson = (event: SearchEvent, see: See): string => {
  const unknown = { parents: [], change: null, path: "" }
  switch (event.type) {
    case "iteration":
    case "gate_looked":
      return JSON.stringify(event)
    case "proposed": {
      const { candidate, change, parents, path } = event
      const from = parents.map((parent) => see(parent, unknown))
      const n = see(candidate, { parents: from, change: JSON.stringify(change), path })
      return JSON.stringify({ ...event, candidate: n, parents: from })
    }
    default:
      return JSON.stringify({ ...event, candidate: event.candidate === null ? null : see(event.candidate, unknown) })
  }
}

const outcomeOf = ({ example }: Fresh, stored: SearchOutcome): Outcome => {
  // What a judge takes is not the agent's.
  const tokens = stored.usage.reduce(
    (sum, { inputTokens, isJudge, outputTokens }) => isJudge === 1 ? sum : sum + inputTokens + outputTokens,
    0
  )
  if (stored.status !== "succeeded") {
    return {
      example,
      score: 0,
      failed: true,
      feedback: `the agent failed: ${stored.error ?? stored.status}`,
      output: stored.output,
      trace: null,
      tokens
    }
  }
  return {
    example,
    score: stored.score ?? 0,
    failed: false,
    feedback: feedbackText(stored.feedback),
    output: stored.output,
    trace: null,
    tokens
  }
}

/** With one scorer what it says; with several, each by its name. */
const feedbackText = (rewards: SearchOutcome["feedback"]): string => {
  const said = rewards.filter(({ feedback }) => feedback !== null && feedback !== "")
  return said.map(({ feedback, name }) => rewards.length === 1 ? feedback : `${name}: ${feedback}`).join("\n")
}
