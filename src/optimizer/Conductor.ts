/**
 * Drives a search: keeps what was answered, so that no rollout is asked for twice; reserves the budget of a batch before it is
 * carried out; stops a search that has nothing new to ask. It carries nothing out itself, and knows no clock: what depends on
 * time and on tokens is told to it.
 */
import { counted } from "../domain/Figures.js"
import {
  type Answer,
  type Ask,
  type Evaluate,
  keyOf,
  type Outcome,
  type Reflect,
  type Reflection,
  SearchStopped,
  type Split,
  type Steps,
  type TaskExample,
  type Texts
} from "./Search.js"

/** A rollout that nobody asked for before. */
export interface Fresh {
  readonly key: string
  readonly texts: Texts
  readonly split: Split
  readonly example: TaskExample
  readonly sample: number
}

/** What a batch needs done before the search can go on. */
export interface Work {
  /** Number of the batch, from 0. */
  readonly n: number
  readonly asks: ReadonlyArray<Ask>
  readonly rollouts: ReadonlyArray<Fresh>
  readonly reflections: ReadonlyArray<Reflect>
  /** Keys of the rollouts of which the search wants to know what the agent did, and does not yet. */
  readonly traces: ReadonlyArray<string>
  /** What the same asks need done after it, in batches of their own. */
  readonly rest: { readonly rollouts: number; readonly reflections: number }
}

export type Turn<A> = { readonly done: false; readonly work: Work } | { readonly done: true; readonly value: A }

export interface ConductorOptions {
  /** The most rollouts of this search, over its whole life. */
  readonly rolloutsMax: number
  readonly reflectionsMax: number
  /** Iterations in a row that asked for no new rollout before the search is stopped. */
  readonly stallMax: number
  /** Number of the first batch: a search may follow another. */
  readonly from?: number
  /** False draws afresh whenever an example is asked for again. */
  readonly cached?: boolean
  /**
   * How many times what was carried out before a batch may hold; one rollout and one reflection it always may. So what they
   * take shows in a few before it is spent on many. Without it, all that is asked for at once is one batch.
   */
  readonly growthMax?: number
}

/** What a batch came to: outcomes by key of the fresh rollouts, reflections in the order of the work. */
export interface Done {
  readonly outcomes: ReadonlyMap<string, Outcome>
  readonly reflections: ReadonlyArray<Reflection>
  readonly traces: ReadonlyMap<string, string>
}

/** All that is asked for at once. */
interface Pending extends Pick<Work, "asks" | "rollouts" | "reflections" | "traces"> {
  readonly keys: ReadonlyMap<Evaluate, ReadonlyArray<string>>
  /** In the order of `reflections`, as far as they are there. */
  readonly reflected: Array<Reflection>
  /** How many of its rollouts have ended. */
  ended: number
}

export class Conductor<A> {
  private readonly memo = new Map<string, Outcome>()
  /** Samples drawn so far of what is not kept. */
  private readonly drawn = new Map<string, number>()
  private n: number
  private rollouts = 0
  private reflections = 0
  private idle = 0
  private pending: Pending | null = null
  private work: Work | null = null
  private turn: IteratorResult<ReadonlyArray<Ask>, A> | null = null

  constructor(private readonly steps: Steps<A>, private readonly options: ConductorOptions) {
    this.n = options.from ?? 0
  }

  get spent(): { readonly rollouts: number; readonly reflections: number } {
    return { rollouts: this.rollouts, reflections: this.reflections }
  }

  /** The first batch. */
  begin(): Turn<A> {
    this.turn = this.steps.next()
    return this.advance()
  }

  /** The next batch, given what the last one came to. */
  resume({ outcomes, reflections, traces }: Done): Turn<A> {
    const pending = this.pending!
    const { rest, rollouts } = this.work!
    for (const { key } of rollouts) {
      const outcome = outcomes.get(key)
      if (outcome === undefined) throw new Error(`no outcome for ${key}`)
      this.memo.set(key, outcome)
    }
    for (const [key, trace] of traces) this.memo.set(key, { ...this.memo.get(key)!, trace })
    pending.ended += rollouts.length
    pending.reflected.push(...reflections)
    if (rest.rollouts + rest.reflections > 0) return this.nextOf(pending)
    const { asks, keys } = pending
    const reflected = new Map(pending.reflections.map((ask, index) => [ask, pending.reflected[index]!]))
    this.work = null
    this.turn = this.steps.next(asks.map((ask): Answer => {
      switch (ask._tag) {
        case "Evaluate":
          return keys.get(ask)!.map((key) => this.memo.get(key)!)
        case "Reflect":
          return reflected.get(ask)!
        case "Note":
          return null
      }
    }))
    return this.advance()
  }

  /** Ends the search instead of answering it: what it returns is the next turn. */
  stop(stopped: SearchStopped): Turn<A> {
    if (this.work !== null) {
      const { reflections, rest, rollouts } = this.work
      this.rollouts -= rollouts.length + rest.rollouts
      this.reflections -= reflections.length + rest.reflections
      this.work = null
    }
    this.turn = this.steps.throw(stopped)
    return this.advance()
  }

  private advance(): Turn<A> {
    while (true) {
      const { done, value } = this.turn!
      if (done === true) return { done: true, value }
      const pending = this.pendingOf(value)
      const stopped = this.refusal(pending)
      if (stopped === null) {
        this.rollouts += pending.rollouts.length
        this.reflections += pending.reflections.length
        this.pending = pending
        return this.nextOf(pending)
      }
      this.turn = this.steps.throw(stopped)
    }
  }

  /** The batch that comes next of what is asked for: the first one has the asks, the last one the traces. */
  private nextOf(pending: Pending): Turn<A> {
    const { asks, ended, reflected, traces } = pending
    const rollouts = pending.rollouts.slice(ended)
    const reflections = pending.reflections.slice(reflected.length)
    const now = {
      rollouts: rollouts.slice(0, this.batchMax(this.rollouts - rollouts.length)),
      reflections: reflections.slice(0, this.batchMax(this.reflections - reflections.length))
    }
    const rest = {
      rollouts: rollouts.length - now.rollouts.length,
      reflections: reflections.length - now.reflections.length
    }
    const work: Work = {
      n: this.n,
      asks: ended + reflected.length === 0 ? asks : [],
      ...now,
      traces: rest.rollouts + rest.reflections === 0 ? traces : [],
      rest
    }
    this.n += 1
    this.work = work
    return { done: false, work }
  }

  private batchMax(before: number): number {
    const { growthMax } = this.options
    return growthMax === undefined ? Infinity : Math.max(1, growthMax * before)
  }

  private pendingOf(asks: ReadonlyArray<Ask>): Pending {
    const rollouts = new Map<string, Fresh>()
    const keys = new Map<Evaluate, ReadonlyArray<string>>()
    const traces = new Set<string>()
    for (const ask of asks) {
      if (ask._tag !== "Evaluate") continue
      const wanted = ask.examples.map((example) => {
        const sample = this.sampleOf(ask, example)
        const key = rolloutKey(ask.texts, example.id, sample)
        const known = this.memo.get(key)
        if (known === undefined) rollouts.set(key, { key, texts: ask.texts, split: ask.split, example, sample })
        if (ask.withTraces && known?.trace == null) traces.add(key)
        return key
      })
      keys.set(ask, wanted)
    }
    return {
      asks,
      keys,
      rollouts: [...rollouts.values()],
      reflections: asks.filter((ask): ask is Reflect => ask._tag === "Reflect"),
      traces: [...traces],
      reflected: [],
      ended: 0
    }
  }

  private sampleOf({ sample, texts }: Evaluate, { id }: TaskExample): number {
    if (this.options.cached !== false) return sample
    const place = rolloutKey(texts, id, sample)
    const drawn = this.drawn.get(place) ?? 0
    this.drawn.set(place, drawn + 1)
    return sample + drawn
  }

  /** What is asked for at once is begun only where all of it fits. */
  private refusal({ asks, reflections, rollouts }: Pending): SearchStopped | null {
    const { reflectionsMax, rolloutsMax, stallMax } = this.options
    if (this.rollouts + rollouts.length > rolloutsMax) {
      return new SearchStopped(
        "rollouts",
        `${counted(rollouts.length, "more rollout")} would exceed the budget of ${rolloutsMax}`
      )
    }
    if (this.reflections + reflections.length > reflectionsMax) {
      return new SearchStopped(
        "reflections",
        `${counted(reflections.length, "more reflection")} would exceed the budget of ${reflectionsMax}`
      )
    }
    if (rollouts.length > 0) this.idle = 0
    else this.idle += asks.filter((ask) => ask._tag === "Note" && ask.event.type === "iteration").length
    return this.idle > stallMax
      ? new SearchStopped("stalled", `${stallMax} iterations in a row asked for nothing new`)
      : null
  }
}

/** The same key is the same rollout. */
const rolloutKey = (texts: Texts, exampleId: string, sample: number): string =>
  JSON.stringify([keyOf(texts), exampleId, sample])
