/**
 * Who is worth changing: not only the best on average, but whoever is best at something. Agrawal et al. 2025 (arXiv 2507.19457),
 * algorithm 2.
 */
import type { Candidate } from "./Pool.js"

/** For each example, the positions of all that have the highest score on it. */
export type Fronts = ReadonlyArray<ReadonlyArray<number>>

/** `scores[candidate][example]`. */
export const instanceFronts = (scores: ReadonlyArray<ReadonlyArray<number>>): Fronts =>
  (scores[0] ?? []).map((_, example) => {
    let highest = Number.NEGATIVE_INFINITY
    let front: Array<number> = []
    for (const [position, row] of scores.entries()) {
      const score = row[example]!
      if (score > highest) {
        highest = score
        front = []
      }
      if (score === highest) front.push(position)
    }
    return front
  })

/**
 * The fronts without the dominated. A candidate is dominated if every front that holds it also holds another one that is left;
 * the lowest mean is looked at first, and of equal means the one that comes first in the fronts.
 */
export const undominated = (fronts: Fronts, means: ReadonlyArray<number>): Fronts => {
  const left = new Set(fronts.flat())
  const within = new Map<number, Array<number>>()
  for (const [example, front] of fronts.entries()) {
    for (const member of front) {
      const examples = within.get(member)
      if (examples === undefined) within.set(member, [example])
      else examples.push(example)
    }
  }
  // How many are left in each front: more than one means that every member has another beside it.
  const sizes = fronts.map((front) => front.length)
  const order = [...left].toSorted((a, b) => means[a]! - means[b]!)
  // Nobody becomes dominated because another goes, so one walk finds all that walks begun again after each would.
  for (const candidate of order) {
    const examples = within.get(candidate)!
    if (examples.some((example) => sizes[example]! < 2)) continue
    left.delete(candidate)
    for (const example of examples) sizes[example]! -= 1
  }
  return fronts.map((front) => front.filter((member) => left.has(member)))
}

export type Selector = "pareto" | "current_best" | "epsilon_greedy" | "top_k_pareto"

/** How often `epsilon_greedy` takes anyone. */
const epsilon = 0.1
/** How many of the best `top_k_pareto` looks at. */
const topK = 5

/** Where random numbers come from. */
export interface Stream {
  /** In [0, 1). */
  readonly uniform: () => number
  /** A whole number in [0, n). */
  readonly below: (n: number) => number
}

/** In which order the members of a front are looked at: as they joined, unless another program's choices are to be followed. */
export type FrontOrder = (front: ReadonlyArray<number>) => ReadonlyArray<number>

const asJoined: FrontOrder = (front) => front

/** Chooses whom to change. */
export const drawParent = (
  selector: Selector,
  candidates: ReadonlyArray<Candidate>,
  best: Candidate,
  stream: Stream,
  order: FrontOrder = asJoined
): Candidate => {
  switch (selector) {
    case "current_best":
      return best
    case "epsilon_greedy":
      return stream.uniform() < epsilon ? candidates[stream.below(candidates.length)]! : best
    case "pareto":
      return drawUndominated(candidates, stream, order)
    case "top_k_pareto":
      return drawUndominated(
        candidates.toSorted((a, b) => b.mean - a.mean || a.index - b.index).slice(0, topK),
        stream,
        order
      )
  }
}

/** Each as often as there are fronts that it remains in. */
const drawUndominated = (candidates: ReadonlyArray<Candidate>, stream: Stream, order: FrontOrder): Candidate => {
  const uses = new Map<number, number>()
  for (const member of undominatedOf(candidates, order).flat()) uses.set(member, (uses.get(member) ?? 0) + 1)
  const tickets = [...uses].flatMap(([member, count]) => Array.from({ length: count }, () => member))
  return candidates[tickets[stream.below(tickets.length)]!]!
}

/** The fronts of these candidates without the dominated, by position among them. */
export const undominatedOf = (candidates: ReadonlyArray<Candidate>, order: FrontOrder = asJoined): Fronts =>
  undominated(
    instanceFronts(candidates.map(({ scores }) => scores)).map(order),
    candidates.map(({ mean }) => mean)
  ).map(order)
