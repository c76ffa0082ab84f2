/**
 * Drives a search: keeps what was answered, so that no rollout is asked for twice; reserves the budget of a batch before it is
 * carried out; stops a search that has nothing new to ask. It carries nothing out itself, and knows no clock: what depends on
 * time and on tokens is told to it.
 */
import {
  type Answer,
  type Ask,
  type Evaluate,
  keyOf,
  type Outcome,
  type Reflect,
  SearchStopped,
  type Steps,
  type Texts
} from "./Search.js"

/** A rollout that nobody asked for before. */
export interface Fresh {
  readonly key: string
  readonly texts: Texts
  readonly ask: Evaluate
  readonly exampleId: string
}

/** What a batch needs done before the search can go on. */
export interface Work {
  /** Number of the batch, from 0. */
  readonly n: number
  readonly asks: ReadonlyArray<Ask>
  readonly rollouts: ReadonlyArray<Fresh>
  readonly reflections: ReadonlyArray<Reflect>
}

export type Turn<A> = { readonly done: false; readonly work: Work } | { readonly done: true; readonly value: A }

export interface ConductorOptions {
  /** The most rollouts of this search, over its whole life. */
  readonly rolloutsMax: number
  readonly reflectionsMax: number
  /** Iterations in a row that asked for no new rollout before the search is stopped. */
  readonly stallMax: number
}

/** What a batch came to: outcomes by key of the fresh rollouts, reflections in the order of the work. */
export interface Done {
  readonly outcomes: ReadonlyMap<string, Outcome>
  readonly reflections: ReadonlyArray<Exclude<Answer, null | ReadonlyArray<Outcome>>>
}

export class Conductor<A> {
  private readonly memo = new Map<string, Outcome>()
  private n = 0
  private rollouts = 0
  private reflections = 0
  private idle = 0
  private work: Work | null = null
  private turn: IteratorResult<ReadonlyArray<Ask>, A> | null = null

  constructor(private readonly steps: Steps<A>, private readonly options: ConductorOptions) {}

  get spent(): { readonly rollouts: number; readonly reflections: number } {
    return { rollouts: this.rollouts, reflections: this.reflections }
  }

  /** The first batch. */
  begin(): Turn<A> {
    this.turn = this.steps.next()
    return this.advance()
  }

  /** The next batch, given what the last one came to. */
  resume({ outcomes, reflections }: Done): Turn<A> {
    const { asks, reflections: asked, rollouts } = this.work!
    for (const { key } of rollouts) {
      const outcome = outcomes.get(key)
      if (outcome === undefined) throw new Error(`no outcome for ${key}`)
      this.memo.set(key, outcome)
    }
    const reflected = new Map(asked.map((ask, index) => [ask, reflections[index]!]))
    this.turn = this.steps.next(asks.map((ask): Answer => {
      switch (ask._tag) {
        case "Evaluate":
          return ask.examples.map(({ id }) => this.memo.get(rolloutKey(ask, id))!)
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
    this.turn = this.steps.throw(stopped)
    return this.advance()
  }

  private advance(): Turn<A> {
    while (true) {
      const { done, value } = this.turn!
      if (done === true) return { done: true, value }
      const work = this.workOf(value)
      const stopped = this.refusal(work)
      if (stopped === null) {
        this.rollouts += work.rollouts.length
        this.reflections += work.reflections.length
        this.n += 1
        this.work = work
        return { done: false, work }
      }
      this.turn = this.steps.throw(stopped)
    }
  }

  private workOf(asks: ReadonlyArray<Ask>): Work {
    const rollouts = new Map<string, Fresh>()
    for (const ask of asks) {
      if (ask._tag !== "Evaluate") continue
      for (const { id } of ask.examples) {
        const key = rolloutKey(ask, id)
        if (!this.memo.has(key)) rollouts.set(key, { key, texts: ask.texts, ask, exampleId: id })
      }
    }
    return {
      n: this.n,
      asks,
      rollouts: [...rollouts.values()],
      reflections: asks.filter((ask): ask is Reflect => ask._tag === "Reflect")
    }
  }

  /** A batch is carried out whole or not at all. */
  private refusal({ asks, reflections, rollouts }: Work): SearchStopped | null {
    const { reflectionsMax, rolloutsMax, stallMax } = this.options
    if (this.rollouts + rollouts.length > rolloutsMax) {
      return new SearchStopped("rollouts", `${rollouts.length} more rollouts would exceed the budget of ${rolloutsMax}`)
    }
    if (this.reflections + reflections.length > reflectionsMax) {
      return new SearchStopped(
        "reflections",
        `${reflections.length} more reflections would exceed the budget of ${reflectionsMax}`
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
export const rolloutKey = (
  { sample, texts }: Pick<Evaluate, "sample" | "texts">,
  exampleId: string
): string => JSON.stringify([keyOf(texts), exampleId, sample])
