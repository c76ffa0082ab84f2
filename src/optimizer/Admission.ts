/** How a proposal joins the pool of `rgepa`, and what is remembered of those that do not. */
import { signed } from "../domain/Figures.js"
import { mean, variance } from "../statistics/Moments.js"
import type { Edit } from "./Edits.js"
import type { Candidate, Pool } from "./Pool.js"
import { race, type RaceSettings } from "./Race.js"
import { rounded } from "./Records.js"
import { type Change, evaluate, keyOf, note, type Steps, type Task, type Texts, together } from "./Search.js"

export interface AdmissionSettings extends RaceSettings {
  /** So many further samples of each selection example are bought for the two best when they are within a standard error. */
  readonly tieBreakSamples: number
}

/** The edits that make a candidate of its first parent. */
export interface Patch {
  readonly component: string
  readonly edits: ReadonlyArray<Edit>
}

export interface Proposal {
  readonly texts: Texts
  readonly parents: ReadonlyArray<Candidate>
  readonly change: Change
  /** Empty where the texts were written anew. */
  readonly patches: ReadonlyArray<Patch>
  readonly path: string
}

/** How many rejected edits of a parent are shown again. */
const rejectedShown = 5

export class Admission {
  private readonly seen = new Set<string>()
  private readonly rejected = new Map<number, Array<string>>()
  private readonly patches = new Map<number, ReadonlyArray<Patch>>()
  /** Candidates of which further samples were bought. */
  private readonly sampled = new Set<number>()
  /** One order of the selection examples for all races: so a candidate is compared with all others over the same blocks. */
  private readonly order: ReadonlyArray<number>

  constructor(
    private readonly task: Task,
    private readonly settings: AdmissionSettings,
    private readonly pool: Pool
  ) {
    this.order = task.chance.shuffled("selection", task.selection.map((_, position) => position))
    this.seen.add(keyOf(task.seed))
  }

  /** Puts a proposal on record, unless the same texts were proposed before. Whether it is new. */
  *propose({ change, parents, path, texts }: Proposal): Steps<boolean> {
    const fresh = !this.seen.has(keyOf(texts))
    this.seen.add(keyOf(texts))
    yield* note({ type: "proposed", candidate: texts, parents: parents.map(({ texts }) => texts), change, path })
    if (!fresh) {
      yield* note({ type: "rejected", candidate: texts, reason: "seen", detail: "these texts were proposed before" })
    }
    return fresh
  }

  /** Lets a proposal race against a rival, and into the pool if it gets to the end. */
  *admit(proposal: Proposal, rival: Candidate): Steps<void> {
    const { parents, patches, texts } = proposal
    const raced = yield* race(texts, rival, this.task.selection, this.order, this.settings)
    if (!raced.done) {
      const result = gainText(raced.sum, raced.n)
      this.remember(proposal, result)
      return yield* note({ type: "rejected", candidate: texts, reason: "race", detail: `${result} selection examples` })
    }
    const index = this.pool.candidates.length
    this.patches.set(index, patches)
    const scores = raced.outcomes.map(({ score }) => score)
    yield* note(
      ...this.pool.join({ texts, parents: parents.map(({ index }) => index) }, scores, raced.outcomes)
    )
    if (this.settings.tieBreakSamples > 0) yield* this.breakTie()
  }

  /** An edit that was measured to be no better. */
  remember({ change, parents }: Proposal, result: string): void {
    const parent = parents[0]!.index
    const lines = this.rejected.get(parent) ?? []
    for (const edit of change.edits) lines.push(`${edit} (${result})`)
    this.rejected.set(parent, lines.slice(-rejectedShown))
  }

  rejectedOf(parent: Candidate): ReadonlyArray<string> {
    return this.rejected.get(parent.index) ?? []
  }

  patchesOf(candidate: Candidate): ReadonlyArray<Patch> {
    return this.patches.get(candidate.index) ?? []
  }

  /** The two best within one standard error of each other: more samples of both, once each. */
  private *breakTie(): Steps<void> {
    const [first, second] = this.pool.candidates.toSorted((a, b) => b.mean - a.mean || a.index - b.index)
    if (first === undefined || second === undefined || first.scores.length < 2) return
    const differences = first.scores.map((score, at) => score - second.scores[at]!)
    if (mean(differences) > Math.sqrt(variance(differences) / differences.length)) return
    const open = [first, second].filter(({ index }) => !this.sampled.has(index))
    const samples = Array.from({ length: this.settings.tieBreakSamples }, (_, at) => at + 1)
    const answers = yield* together(
      open.flatMap(({ texts }) =>
        samples.map((sample) => evaluate(texts, "selection", this.task.selection, { sample }))
      )
    )
    for (const [position, candidate] of open.entries()) {
      const own = answers.slice(position * samples.length, (position + 1) * samples.length)
      const scores = candidate.scores.map((score, at) => mean([score, ...own.map((outcomes) => outcomes[at]!.score)]))
      this.sampled.add(candidate.index)
      yield* note(...this.pool.rescore(candidate.index, scores))
    }
  }
}

/** `+1.5 of 8`: what so many examples gained together. */
export const gainText = (gain: number, examples: number): string => `${signed(gain, rounded)} of ${examples}`
