/**
 * What a search is made of. An optimizer is a generator: it yields what it wants to know, a batch at a time, and goes on with
 * the answers. It has no clock, no random numbers but those of its path, and no I/O, so the same answers make the same
 * decisions; whoever drives it may stop anywhere and run it again from the start.
 */
import { sum } from "../statistics/Moments.js"
import type { Chance } from "./Chance.js"

/** The texts under search by name of their resource: a candidate. */
export type Texts = Readonly<Record<string, string>>

/** An example as an optimizer sees it. */
export interface TaskExample {
  /** Unlike that of any other example of the run. */
  readonly id: string
  /** What the agent is given, as text. */
  readonly input: string
  /** The reference answer as text, for the guard against copying it; null where there is none. */
  readonly expected: string | null
}

/** `train` and `selection` are searched on; the gate keeps its own examples, which no search sees. */
export type Split = "train" | "selection" | "gate"

/** Run a candidate on examples and score what it answers: one rollout each, unless that rollout was asked for before. */
export interface Evaluate {
  readonly _tag: "Evaluate"
  readonly texts: Texts
  readonly split: Split
  readonly examples: ReadonlyArray<TaskExample>
  /** Same candidate, same example, same number: same rollout. Another number draws afresh. */
  readonly sample: number
  /** Whether the answer tells what the agent did. */
  readonly withTraces: boolean
}

/** Ask the reflection model. */
export interface Reflect {
  readonly _tag: "Reflect"
  /** Where in the search this is asked, `iter/17/reflect/0`: equal questions at two places are two calls. */
  readonly path: string
  readonly prompt: string
  /** Whether the answer should be a JSON object. */
  readonly json: boolean
  /** Whether the answer should be a whole text between fences. */
  readonly fenced?: boolean
  /** Sampling temperature, where the algorithm names one. */
  readonly temperature?: number
}

/** Put on record what was decided. */
export interface Note {
  readonly _tag: "Note"
  readonly event: SearchEvent
}

export type Ask = Evaluate | Reflect | Note

/** How one rollout ended. */
export interface Outcome {
  readonly example: TaskExample
  /** In [0, 1]; a rollout that failed counts as 0. */
  readonly score: number
  readonly failed: boolean
  /** It failed for what no text can mend: its model, its agent or its scorer was not there. */
  readonly isBroken?: boolean
  /** What the scorers said of a miss, or why the rollout failed; empty for a hit. */
  readonly feedback: string
  readonly output: string | null
  /** What the agent did, as text: its messages and tool calls in order. Null when it was not asked for. */
  readonly trace: string | null
  /** Tokens of all its model calls, in and out. */
  readonly tokens: number
}

/** What a reflection brought: the model's text, or why there is none. */
export type Reflection = { readonly text: string } | { readonly failure: string }

/** Outcomes in the order of the examples; null for a note. */
export type Answer = ReadonlyArray<Outcome> | Reflection | null

export type Steps<A> = Generator<ReadonlyArray<Ask>, A, ReadonlyArray<Answer>>

/** How a candidate's text came to be: edits of a line or two, or a new text as a whole. */
export interface Change {
  readonly component: string
  readonly kind: "edits" | "rewrite" | "merge" | "ablation" | "corpus"
  /** One line each, for people: `add after "…": …`. Empty for a rewrite. */
  readonly edits: ReadonlyArray<string>
  /** What the reflector thinks is wrong. */
  readonly hypotheses: ReadonlyArray<string>
}

export type SearchEvent =
  | { readonly type: "iteration"; readonly n: number }
  | {
    readonly type: "proposed"
    readonly candidate: Texts
    readonly parents: ReadonlyArray<Texts>
    readonly change: Change
    readonly path: string
  }
  /** It joined the pool. `mean` over `n` selection examples. */
  | { readonly type: "accepted"; readonly candidate: Texts; readonly mean: number; readonly n: number }
  /** Why a proposal went no further; without a candidate when no text came of it. */
  | {
    readonly type: "rejected"
    readonly candidate: Texts | null
    readonly reason: "reflection" | "parse" | "guard" | "seen" | "screen" | "race" | "merge" | "beam"
    readonly detail: string
  }
  /** The best so far; `low` and `high` bound its mean at 95 %. */
  | {
    readonly type: "incumbent"
    readonly candidate: Texts
    readonly mean: number
    readonly n: number
    readonly low: number
    readonly high: number
  }
  /** The gate opens for a candidate: how many pairs are planned, which opening of its examples this is, and at what level. */
  | {
    readonly type: "gate_opened"
    readonly candidate: Texts
    readonly pairs: number
    readonly opening: number
    readonly alpha: number
  }
  /** How it stands after `n` pairs that are not the last; `evidence` is the most there was so far. */
  | {
    readonly type: "gate_looked"
    readonly n: number
    readonly wins: number
    readonly losses: number
    readonly gain: number
    readonly evidence: number
  }
  /** `reason` is the verdict in a sentence; without pairs there is no gain. */
  | {
    readonly type: "gate_decided"
    readonly candidate: Texts
    readonly n: number
    readonly wins: number
    readonly losses: number
    readonly gain: number | null
    readonly decision: string
    readonly reason: string
  }

/** What an optimizer works on. */
export interface Task {
  readonly seed: Texts
  readonly train: ReadonlyArray<TaskExample>
  readonly selection: ReadonlyArray<TaskExample>
  readonly chance: Chance
}

/** What a search came to. */
export interface Found {
  readonly best: Texts
  /** Mean of the best over the selection examples; null when not even the seed could be evaluated. */
  readonly mean: number | null
  /** `target`, `perfect`, `finished`, or what the search was stopped for. */
  readonly reason: string
}

/** The search must end with what it has: a budget is used up, say. Thrown into the generator where it waits for answers. */
export class SearchStopped extends Error {
  constructor(
    readonly reason: "rollouts" | "reflections" | "tokens" | "usd" | "seconds" | "stalled" | "unmetered",
    readonly detail: string
  ) {
    super(detail)
  }
}

/** A search that has been told to stop ends with what it has. */
export function* untilStopped(steps: Steps<Found>, found: (reason: string) => Found): Steps<Found> {
  try {
    return yield* steps
  } catch (error) {
    if (!(error instanceof SearchStopped)) throw error
    return found(error.reason)
  }
}

export function* evaluate(
  texts: Texts,
  split: Split,
  examples: ReadonlyArray<TaskExample>,
  { sample = 0, withTraces = false }: { readonly sample?: number; readonly withTraces?: boolean } = {}
): Steps<ReadonlyArray<Outcome>> {
  if (examples.length === 0) return []
  const [answer] = yield [{ _tag: "Evaluate", texts, split, examples, sample, withTraces }]
  return answer as ReadonlyArray<Outcome>
}

export function* reflect(
  path: string,
  prompt: string,
  { json = false, ...more }: Partial<Pick<Reflect, "json" | "fenced" | "temperature">> = {}
): Steps<Reflection> {
  const ask: Reflect = { _tag: "Reflect", path, prompt, json, ...more }
  const [answer] = yield [ask]
  return answer as Reflection
}

export function* note(...events: ReadonlyArray<SearchEvent>): Steps<void> {
  yield events.map((event) => ({ _tag: "Note", event }))
}

/** Puts on record that no text came of a reflection that may be tried, and why. */
export function* refused(reason: "reflection" | "parse" | "guard", detail: string): Steps<null> {
  yield* note({ type: "rejected", candidate: null, reason, detail })
  return null
}

/** Branches that go on in step: what they ask at the same time is one batch. Answers come in the order of the branches. */
export function* together<A>(branches: ReadonlyArray<Steps<A>>): Steps<ReadonlyArray<A>> {
  const results: Array<A> = []
  let waiting = branches.map((steps, index) => ({ index, steps, turn: steps.next() }))
  try {
    while (true) {
      for (const { index, turn } of waiting) if (turn.done === true) results[index] = turn.value
      waiting = waiting.filter(({ turn }) => turn.done !== true)
      if (waiting.length === 0) return results
      const batches = waiting.map(({ turn }) => turn.value as ReadonlyArray<Ask>)
      const answers = yield batches.flat()
      let from = 0
      for (const [position, branch] of waiting.entries()) {
        const count = batches[position]!.length
        branch.turn = branch.steps.next(answers.slice(from, from + count))
        from += count
      }
    }
  } finally {
    for (const { steps } of waiting) steps.return(undefined as A)
  }
}

/** One name for equal candidates. */
export const keyOf = (texts: Texts): string =>
  JSON.stringify(Object.keys(texts).toSorted().map((name) => [name, texts[name]]))

/** Those that say something of their texts: what an outage broke teaches nothing. */
export const unbroken = (outcomes: ReadonlyArray<Outcome>): ReadonlyArray<Outcome> =>
  outcomes.filter(({ isBroken = false }) => !isBroken)

export const scoreSum = (outcomes: ReadonlyArray<Outcome>): number => sum(outcomes.map(({ score }) => score))
