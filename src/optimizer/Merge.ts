/** GEPA's crossover: of two candidates with a common ancestor, each component from the one that changed it. */
import { sum } from "../statistics/Moments.js"
import { type FrontOrder, type Stream, undominatedOf } from "./ParetoFront.js"
import type { Candidate, Pool } from "./Pool.js"
import { rounded } from "./Records.js"
import { type Change, evaluate, note, type Steps, type Task, type Texts } from "./Search.js"

/** Selection examples that a merge is tried on before it is evaluated in full. */
const trialSize = 5
const attemptsMax = 10

export interface MergeOptions {
  /** The most merges of a search that come to a full evaluation. */
  readonly mergesMax: number
  readonly at: (path: string) => Stream
  readonly order: FrontOrder
}

interface Pair {
  readonly one: Candidate
  readonly other: Candidate
  readonly ancestor: Candidate
}

interface Merged extends Pair {
  readonly texts: Texts
}

export class Merge {
  private accepted = 0
  private fresh = false
  private readonly pairs = new Set<string>()
  private readonly choices = new Set<string>()

  constructor(private readonly task: Task, private readonly pool: Pool, private readonly options: MergeOptions) {}

  /** A proposal joined the pool: the next iteration may merge. */
  schedule(): void {
    this.fresh = true
  }

  /** Merges if one is due. Whether a merge was tried, which makes the iteration one of merging. */
  *attempt(path: string): Steps<boolean> {
    const due = this.fresh && this.accepted < this.options.mergesMax
    this.fresh = false
    if (!due) return false
    const stream = this.options.at(path)
    const merged = this.draw(stream)
    if (merged === null) return false
    const { ancestor, one, other, texts } = merged
    this.pairs.add(pairKey(one, other, ancestor))
    const components = Object.keys(texts).filter((component) => texts[component] !== one.texts[component])
    const change: Change = { component: components.join(", "), kind: "merge", edits: [], hypotheses: [] }
    yield* note({ type: "proposed", candidate: texts, parents: [one.texts, other.texts], change, path })
    const positions = trialPositions(one, other, stream)
    const trial = yield* evaluate(texts, "selection", positions.map((position) => this.task.selection[position]!))
    const after = sum(trial.map(({ score }) => score))
    const rival = Math.max(...[one, other].map(({ scores }) => sum(positions.map((position) => scores[position]!))))
    if (after < rival) {
      const detail = `${rounded(after)} against ${rounded(rival)} on ${positions.length} selection examples`
      yield* note({ type: "rejected", candidate: texts, reason: "merge", detail })
      return true
    }
    const outcomes = yield* evaluate(texts, "selection", this.task.selection)
    const parents = [one.index, other.index]
    yield* note(...this.pool.join({ texts, parents }, outcomes.map(({ score }) => score), outcomes))
    this.accepted += 1
    return true
  }

  private draw(stream: Stream): Merged | null {
    const candidates = this.pool.candidates
    const members = this.options.order([...new Set(undominatedOf(candidates, this.options.order).flat())])
    if (members.length < 2 || candidates.length < 3) return null
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const pair = this.drawPair(members, stream)
      if (pair === null) continue
      const { choices, texts } = combined(pair, stream)
      const key = JSON.stringify([pair.one.index, pair.other.index, choices])
      if (this.choices.has(key)) continue
      this.choices.add(key)
      // The same texts again would be the same rollouts, and a second entry in every front.
      if (!this.pool.has(texts)) return { ...pair, texts }
    }
    return null
  }

  private drawPair(members: ReadonlyArray<number>, stream: Stream): Pair | null {
    const candidates = this.pool.candidates
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const [first, second] = sampled(members, 2, stream).toSorted((a, b) => a - b)
      const [one, other] = [candidates[first!]!, candidates[second!]!]
      const lines = [this.pool.lineage(one.index), this.pool.lineage(other.index)] as const
      if (lines[0].has(other.index) || lines[1].has(one.index)) continue
      const ancestors = [...lines[0]].filter((index) => lines[1].has(index)).toSorted((a, b) => a - b)
        .map((index) => candidates[index]!)
        .filter((ancestor) => this.suits({ one, other, ancestor }))
      if (ancestors.length > 0) return { one, other, ancestor: weighted(ancestors, stream) }
    }
    return null
  }

  private suits(pair: Pair): boolean {
    const { ancestor, one, other } = pair
    return !this.pairs.has(pairKey(one, other, ancestor)) && ancestor.mean <= one.mean && ancestor.mean <= other.mean &&
      Object.keys(ancestor.texts).some((component) => changedInOne(pair, component))
  }
}

const pairKey = (one: Candidate, other: Candidate, ancestor: Candidate): string =>
  [one, other, ancestor].map(({ index }) => index).join(" ")

const changedInOne = ({ ancestor, one, other }: Pair, component: string): boolean => {
  const [a, b, before] = [one.texts[component], other.texts[component], ancestor.texts[component]]
  return a !== b && (a === before || b === before)
}

/** The texts, and for each component whose it is. */
const combined = (pair: Pair, stream: Stream): { readonly texts: Texts; readonly choices: ReadonlyArray<number> } => {
  const { ancestor, one, other } = pair
  const taken = Object.keys(ancestor.texts).map((component): readonly [string, Candidate] => {
    const [a, b, before] = [one.texts[component], other.texts[component], ancestor.texts[component]]
    if (changedInOne(pair, component)) return [component, a === before ? other : one]
    if (a === before || b === before || one.mean > other.mean) return [component, one]
    return [component, other.mean > one.mean || stream.below(2) === 1 ? other : one]
  })
  return {
    texts: Object.fromEntries(taken.map(([component, { texts }]) => [component, texts[component]!])),
    choices: taken.map(([, { index }]) => index)
  }
}

/** Where the one wins, where the other does, ties: two of each as far as there are, the rest at random. */
const trialPositions = (one: Candidate, other: Candidate, stream: Stream): ReadonlyArray<number> => {
  const positions = [...one.scores.keys()]
  const sign = (position: number) => Math.sign(one.scores[position]! - other.scores[position]!)
  const chosen: Array<number> = []
  for (const side of [1, -1, 0]) {
    const there = positions.filter((position) => sign(position) === side)
    const take = Math.min(there.length, Math.ceil(trialSize / 3), trialSize - chosen.length)
    if (take > 0) chosen.push(...sampled(there, take, stream))
  }
  const missing = trialSize - chosen.length
  const unused = positions.filter((position) => !chosen.includes(position))
  return [...chosen, ...sampled(unused, Math.min(missing, unused.length), stream)]
}

/** So many of the items, none twice, as CPython's `random.sample` draws them from few. */
const sampled = <A>(items: ReadonlyArray<A>, count: number, stream: Stream): ReadonlyArray<A> => {
  const rest = [...items]
  return Array.from({ length: count }, (_, drawn) => {
    const at = stream.below(rest.length - drawn)
    const item = rest[at]!
    rest[at] = rest[rest.length - drawn - 1]!
    return item
  })
}

/** One of them, by mean score. */
const weighted = (candidates: ReadonlyArray<Candidate>, stream: Stream): Candidate => {
  const total = sum(candidates.map(({ mean }) => mean))
  let left = stream.uniform() * total
  for (const candidate of candidates) {
    left -= candidate.mean
    if (left < 0) return candidate
  }
  return candidates.at(-1)!
}
