/** Everything a person is told of a search, as data. The other files of this folder say it in text, JSON and a picture. */
import type { GuardRail } from "../GuardRails.js"
import type { Change, Texts } from "../Search.js"

/** Bounds of a mean at 95 %. */
export interface Bounds {
  readonly low: number
  readonly high: number
}

export interface ReportedCandidate {
  /** From 0, which is the seed, in the order in which they were proposed. */
  readonly n: number
  /** Lower numbers; none for the seed. The first is the one that was changed. */
  readonly parents: ReadonlyArray<number>
  /** Null for the seed. */
  readonly change: Change | null
  /** `undecided` only while the search is under way, or where it was stopped in between. */
  readonly state: "undecided" | "accepted" | "rejected" | "winner"
  /** Why it was rejected; null otherwise. */
  readonly reason: string | null
  /** Over `examples` examples; null when it was rejected before it had a score. */
  readonly mean: number | null
  readonly examples: number
  readonly interval: Bounds | null
  /** Of the resources in the store; null where its texts were never run. */
  readonly resourcesVersion: number | null
  /** Rollouts that the search had spent when this one was decided on. */
  readonly rollouts: number
}

/** The best so far, from so many rollouts on. */
export interface Incumbent extends Bounds {
  readonly rollouts: number
  readonly mean: number
}

export interface Spent {
  readonly spent: number
  /** Null where there is none. */
  readonly limit: number | null
}

export interface Budget {
  /** `gate` of the limit are kept back for the gate, and no search may spend them; null while the search is under way. */
  readonly rollouts: Spent & { readonly gate: number | null }
  readonly reflections: Spent
  readonly tokens: Spent
  /**
   * Without calls of a model that nobody knows the price of, `unpriced` names the first of them, and without those that do not
   * say what they used.
   */
  readonly usd: Spent & {
    readonly unpriced: string | null
    readonly unpricedCalls: number
    readonly unmeteredCalls: number
  }
  readonly seconds: Spent
}

/** How seed and winner did on one example; null where it was not run. */
export interface ExampleScores {
  readonly id: string
  /** What the agent was given. */
  readonly input: string
  readonly seed: number | null
  readonly winner: number | null
  /** What the scorers said of the winner's answer; null for a hit. */
  readonly feedback: string | null
}

export interface SliceScore extends Bounds {
  readonly mean: number
}

/** A part of the examples, or all of them. */
export interface Slice {
  readonly name: string
  readonly n: number
  readonly seed: SliceScore | null
  readonly winner: SliceScore | null
}

/** What the gate decided over its own examples. */
export interface GateOutcome {
  /** That of the gate's verdict, `overtaken` or `forced`. */
  readonly decision: string
  /** The same in one plain sentence. */
  readonly sentence: string
  /** The version of the resources that it held the winner against; null for the search's own seed. */
  readonly incumbent: number | null
  readonly n: number
  readonly wins: number
  readonly losses: number
  readonly gain: number | null
  readonly interval: Bounds | null
  readonly p: number | null
  /** What gave `p`: the test of the planned end, or the evidence of a gate that ended before it. */
  readonly test: string | null
  /** What the gain was not to be bought with. */
  readonly guardRails: ReadonlyArray<GuardRail>
  /** How often the gate's examples were looked at, this time included; 0 where no gate was opened. */
  readonly opening: number
  /** How often more they may be. */
  readonly openingsLeft: number
  /** Examples that were left out because an earlier search had seen them, or earlier gates have worn them out. */
  readonly leftOut: { readonly seen: number; readonly wornOut: number }
}

export interface SearchReport {
  readonly runId: string
  readonly algorithm: string
  /** Of the search's random numbers. */
  readonly randomSeed: number
  /** Why the search ended; null before it has. */
  readonly ended: string | null
  /** Why nothing works on a search that has not ended: `crashed`, `paused`, `stopped` or the run's stop reason; null else. */
  readonly stopped: string | null
  readonly configPath: string
  readonly seed: Texts
  /** Null when nothing could be scored. */
  readonly winner: Texts | null
  readonly candidates: ReadonlyArray<ReportedCandidate>
  /** Number of the candidate that `examples` and `slices` call the winner: while the search is under way, the best so far. */
  readonly best: number
  readonly incumbents: ReadonlyArray<Incumbent>
  readonly budget: Budget
  readonly examples: ReadonlyArray<ExampleScores>
  readonly slices: ReadonlyArray<Slice>
  /** Null when there is no gate, or it has not decided yet. */
  readonly gate: GateOutcome | null
  readonly openGate: OpenGate | null
  /** What the reflection model brought to nothing, by kind, most first: `8 reflection: the model answered 401`. */
  readonly troubles: ReadonlyArray<{ readonly kind: string; readonly n: number; readonly last: string }>
  /** Why the last reflection failed of a search that ended without an answer to any, and has only its seed; null else. */
  readonly unanswered: string | null
  /** The version that the run made the latest; null when it made none. */
  readonly promotedVersion: number | null
}

/** The pairs of a gate that is open: planned, seen, won and lost. */
export interface OpenGate {
  readonly pairs: number
  readonly n: number
  readonly wins: number
  readonly losses: number
}

export interface WinsAndLosses {
  /** Examples that the winner answered better than the seed, those it answered worse, and those it answered alike. */
  readonly wins: ReadonlyArray<ComparedExample>
  readonly losses: ReadonlyArray<ComparedExample>
  readonly ties: number
}

export interface ComparedExample extends ExampleScores {
  readonly seed: number
  readonly winner: number
}

/** Over the examples that both were run on, the largest difference first. */
export const winsAndLosses = ({ examples }: Pick<SearchReport, "examples">): WinsAndLosses => {
  const compared = examples.filter((one): one is ComparedExample => one.seed !== null && one.winner !== null)
  const gain = ({ seed, winner }: ComparedExample) => winner - seed
  const wins = compared.filter((one) => gain(one) > 0).toSorted((a, b) => gain(b) - gain(a))
  const losses = compared.filter((one) => gain(one) < 0).toSorted((a, b) => gain(a) - gain(b))
  return { wins, losses, ties: compared.length - wins.length - losses.length }
}

/** A component's text; empty where there is none. Names are a config's own: `constructor` is one like any other. */
export const textAt = (texts: Texts, name: string): string => Object.hasOwn(texts, name) ? texts[name]! : ""

/** The candidate that won, or is the best so far; null when the seed is not beaten. */
export const bestOf = ({ best, candidates }: Pick<SearchReport, "best" | "candidates">): ReportedCandidate | null =>
  candidates.find(({ n }) => n === best && n > 0) ?? null

/** From the seed to a candidate, each one the first parent of the next. */
export const ancestry = (
  candidates: ReadonlyArray<ReportedCandidate>,
  last: ReportedCandidate
): ReadonlyArray<ReportedCandidate> => {
  const byNumber = new Map(candidates.map((candidate) => [candidate.n, candidate]))
  const line = [last]
  for (let at = parentOf(byNumber, last); at !== undefined; at = parentOf(byNumber, at)) line.push(at)
  return line.toReversed()
}

/** The first parent; numbers that do not fall lead nowhere, so that no line goes round in a circle. */
export const parentOf = (
  byNumber: ReadonlyMap<number, ReportedCandidate>,
  { n, parents: [first] }: ReportedCandidate
): ReportedCandidate | undefined => first !== undefined && first < n ? byNumber.get(first) : undefined
