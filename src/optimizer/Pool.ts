/** The candidates that were evaluated on all selection examples, in the order they joined. */
import { mean, sum } from "../statistics/Moments.js"
import { meanBounds } from "./MeanBounds.js"
import {
  evaluate,
  type Found,
  keyOf,
  note,
  type Outcome,
  type SearchEvent,
  type Steps,
  type Task,
  type Texts
} from "./Search.js"

export interface Candidate {
  /** Position in the pool. */
  readonly index: number
  readonly texts: Texts
  /** Positions of the candidates it came from; empty for the seed. */
  readonly parents: ReadonlyArray<number>
  /** One for each selection example, in the task's order. */
  readonly scores: ReadonlyArray<number>
  readonly mean: number
  /** What its selection rollouts cost. */
  readonly tokens: number
}

export interface Joining {
  readonly texts: Texts
  readonly parents: ReadonlyArray<number>
}

export class Pool {
  readonly candidates: Array<Candidate> = []
  private readonly positions = new Map<string, number>()
  /** For each candidate, which of its components is to be changed next. */
  private readonly turns: Array<number> = []
  private readonly components: ReadonlyArray<string>

  /** `ties` says who of two candidates with the same mean is the best: the earlier, or the one that used fewer tokens. */
  constructor(private readonly task: Task, private readonly ties: "earliest" | "tokens" = "earliest") {
    this.components = Object.keys(task.seed)
  }

  /** Evaluates the seed. Whether there is anything to search for. */
  *plant(): Steps<boolean> {
    const { seed, selection, train } = this.task
    if (selection.length === 0) return false
    const outcomes = yield* evaluate(seed, "selection", selection)
    yield* note(...this.join({ texts: seed, parents: [] }, outcomes.map(({ score }) => score), outcomes))
    return train.length > 0 && this.components.length > 0
  }

  /** Takes a candidate in. What there is to note of it. */
  join(
    { parents, texts }: Joining,
    scores: ReadonlyArray<number>,
    outcomes: ReadonlyArray<Outcome>
  ): ReadonlyArray<SearchEvent> {
    const before = this.best
    const candidate: Candidate = {
      index: this.candidates.length,
      texts,
      parents,
      scores,
      mean: mean(scores),
      tokens: sum(outcomes.map(({ tokens }) => tokens))
    }
    this.candidates.push(candidate)
    if (!this.has(texts)) this.positions.set(keyOf(texts), candidate.index)
    this.turns.push(Math.max(0, ...parents.map((parent) => this.turns[parent]!)))
    const accepted = { type: "accepted", candidate: texts, mean: candidate.mean, n: scores.length } as const
    return this.best === before ? [accepted] : [accepted, this.incumbent()]
  }

  /** New scores for a candidate whose examples were run again. What there is to note of it. */
  rescore(index: number, scores: ReadonlyArray<number>): ReadonlyArray<SearchEvent> {
    this.candidates[index] = { ...this.candidates[index]!, scores, mean: mean(scores) }
    return [this.incumbent()]
  }

  has(texts: Texts): boolean {
    return this.positions.has(keyOf(texts))
  }

  /** Where the candidate with these texts is, if there is one. */
  indexOf(texts: Texts): number | undefined {
    return this.positions.get(keyOf(texts))
  }

  /** The highest mean. Undefined until the seed was evaluated. */
  get best(): Candidate | undefined {
    return this.bestOf(this.candidates)
  }

  bestOf(candidates: ReadonlyArray<Candidate>): Candidate | undefined {
    let best = candidates[0]
    for (const candidate of candidates) {
      const cheaper = this.ties === "tokens" && candidate.mean === best!.mean && candidate.tokens < best!.tokens
      if (candidate.mean > best!.mean || cheaper) best = candidate
    }
    return best
  }

  /** The component of a candidate whose turn it is; the next one is next. */
  takeTurn(index: number): string {
    const turn = this.turns[index]!
    this.turns[index] = (turn + 1) % this.components.length
    return this.components[turn]!
  }

  /** A candidate and all it came from. */
  lineage(index: number): ReadonlySet<number> {
    const found = new Set<number>()
    const open = [index]
    while (open.length > 0) {
      const at = open.pop()!
      if (found.has(at)) continue
      found.add(at)
      open.push(...this.candidates[at]!.parents)
    }
    return found
  }

  /** Why there is nothing more to search for, if so. */
  ended(target: number | null): string | null {
    const best = this.best!
    if (best.scores.every((score) => score >= 1)) return "perfect"
    return target !== null && best.mean >= target ? "target" : null
  }

  found(reason: string): Found {
    const best = this.best
    return { best: best?.texts ?? this.task.seed, mean: best?.mean ?? null, reason }
  }

  private incumbent(): SearchEvent {
    const { mean, scores, texts } = this.best!
    return { type: "incumbent", candidate: texts, mean, n: scores.length, ...meanBounds(scores) }
  }
}
