/** A search in memory: the conductor, and a world that answers at once. */
import { Chance } from "../../src/optimizer/Chance.js"
import { Conductor, type ConductorOptions, type Done, type Fresh, type Work } from "../../src/optimizer/Conductor.js"
import type {
  Evaluate,
  Found,
  Outcome,
  Reflect,
  Reflection,
  SearchEvent,
  SearchStopped,
  Steps,
  Task,
  TaskExample,
  Texts
} from "../../src/optimizer/Search.js"

/** What a rollout comes to, without what the driver knows. */
export type Answered = Pick<Outcome, "score"> & Partial<Omit<Outcome, "example" | "score">>

export interface World {
  readonly rollout: (texts: Texts, example: TaskExample, sample: number) => Answered
  readonly reflect: (prompt: string, path: string, ask: Reflect) => Reflection
}

export interface SearchOptions extends Partial<ConductorOptions> {
  /** In which order the rollouts of a batch are carried out: as asked, unless given. */
  readonly order?: (rollouts: ReadonlyArray<Fresh>) => ReadonlyArray<Fresh>
  /** Answers of an earlier life by key or path: they are not made again. */
  readonly journal?: Journal
  /** Stops the search instead of carrying out the batch. */
  readonly stop?: (work: Work) => SearchStopped | null
  /** Ends the driver before the batch of this number, as a crash would. */
  readonly crashAt?: number
}

export interface Journal {
  readonly outcomes: Map<string, Outcome>
  readonly reflections: Map<string, Reflection>
}

export const emptyJournal = (): Journal => ({ outcomes: new Map(), reflections: new Map() })

export interface Searched {
  /** Null after a crash. */
  readonly found: Found | null
  readonly events: ReadonlyArray<SearchEvent>
  /** Everything that was asked, batch by batch. */
  readonly works: ReadonlyArray<Work>
  readonly spent: { readonly rollouts: number; readonly reflections: number }
  /** Carried out in this life. */
  readonly carriedOut: { readonly rollouts: number; readonly reflections: number }
}

/** What a world answered, as an outcome. */
const outcomeOf = (example: TaskExample, answered: Answered): Outcome => ({
  example,
  failed: false,
  feedback: "",
  output: null,
  trace: null,
  tokens: 0,
  ...answered
})

/** Runs a search to its end. */
export const search = (steps: Steps<Found>, world: World, options: SearchOptions = {}): Searched => {
  const { crashAt = Infinity, journal = emptyJournal(), order = (rollouts) => rollouts, stop = () => null } = options
  const conductor = new Conductor(steps, { rolloutsMax: 1_000, reflectionsMax: 1_000, stallMax: 40, ...options })
  const events: Array<SearchEvent> = []
  const works: Array<Work> = []
  const carriedOut = { rollouts: 0, reflections: 0 }
  const carryOut = (work: Work): Done => {
    for (const { example, key, sample, texts } of order(work.rollouts)) {
      if (journal.outcomes.has(key)) continue
      const answered = world.rollout(texts, example, sample)
      journal.outcomes.set(key, outcomeOf(example, answered))
      carriedOut.rollouts += 1
    }
    const reflections = work.reflections.map((ask) => {
      const known = journal.reflections.get(ask.path)
      if (known !== undefined) return known
      const made = world.reflect(ask.prompt, ask.path, ask)
      journal.reflections.set(ask.path, made)
      carriedOut.reflections += 1
      return made
    })
    const traces = new Map(work.traces.map((key) => [key, journal.outcomes.get(key)!.trace ?? ""]))
    return { outcomes: journal.outcomes, reflections, traces }
  }
  let turn = conductor.begin()
  while (!turn.done) {
    const { work } = turn
    if (work.n >= crashAt) return { found: null, events, works, spent: conductor.spent, carriedOut }
    works.push(work)
    for (const ask of work.asks) if (ask._tag === "Note") events.push(ask.event)
    const stopped = stop(work)
    turn = stopped === null ? conductor.resume(carryOut(work)) : conductor.stop(stopped)
  }
  return { found: turn.value, events, works, spent: conductor.spent, carriedOut }
}

/** Examples `<split>-0` and so on. */
export const examplesOf = (
  split: string,
  n: number,
  input: (at: number) => string = (at) => `input ${at}`
): ReadonlyArray<TaskExample> =>
  Array.from({ length: n }, (_, at) => ({ id: `${split}-${at}`, input: input(at), expected: null }))

export const taskOf = (given: Partial<Omit<Task, "chance">> & { readonly chanceSeed?: number } = {}): Task => ({
  seed: given.seed ?? { system_prompt: "Answer." },
  train: given.train ?? examplesOf("train", 24),
  selection: given.selection ?? examplesOf("selection", 20),
  chance: new Chance(given.chanceSeed ?? 1)
})

/** Runs some steps of a search to their end. Answers what came of them, and the evaluations that they asked for, batch by batch. */
export const answered = <A>(steps: Steps<A>, rollout: (texts: Texts, example: TaskExample) => Answered) => {
  const batches: Array<ReadonlyArray<Evaluate>> = []
  let turn = steps.next()
  while (turn.done !== true) {
    batches.push(turn.value.filter((ask) => ask._tag === "Evaluate"))
    turn = steps.next(
      turn.value.map((ask) =>
        ask._tag !== "Evaluate" ? null : ask.examples.map((example) => outcomeOf(example, rollout(ask.texts, example)))
      )
    )
  }
  return { value: turn.value, batches }
}
