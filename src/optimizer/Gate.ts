/**
 * The test between a candidate and the latest resources: both arms run afresh on examples that no search saw, and only a gain
 * that luck does not explain is promoted. Hybrid: evidence that is looked at after every pair and may end the gate early, and
 * an exact test at a planned end.
 */
import { EProcess } from "../statistics/EProcess.js"
import { isAtMost } from "../statistics/Moments.js"
import { conditionalPower } from "../statistics/Power.js"
import type { Chance } from "./Chance.js"
import { type Arms, type GatePair, pairAsks, pairOf } from "./GatePair.js"
import { type GatePlan, mayOpen } from "./GatePlan.js"
import { futileBelow } from "./GatePower.js"
import type { GateSettings } from "./GateSettings.js"
import { type GateVerdict, verdictOf } from "./GateVerdict.js"
import { guardedSlices, type GuardRail, guardRails } from "./GuardRails.js"
import { keyOf, note, type Outcome, type SearchEvent, SearchStopped, type Steps, type TaskExample } from "./Search.js"

export interface GateTask extends Arms {
  /** The gate's examples, from `splitValidate`. */
  readonly examples: ReadonlyArray<TaskExample>
  /** From `gatePlan`, with as many pairs as there are examples. */
  readonly plan: GatePlan
  readonly settings: GateSettings
  /** The slices of an example by its id; examples without any may be missing. */
  readonly slices: ReadonlyMap<string, ReadonlyArray<string>>
  /** The samples of this gate are numbered from here on. No search and no opening before may have used these numbers. */
  readonly firstSample: number
  readonly chance: Chance
}

export function* gate(task: GateTask): Steps<GateVerdict> {
  const verdict = yield* tried(task)
  const { decision, gain, losses, n, reason, wins } = verdict
  yield* note({ type: "gate_decided", candidate: task.candidate, n, wins, losses, gain, decision, reason })
  return verdict
}

function* tried(task: GateTask): Steps<GateVerdict> {
  const { candidate, examples, incumbent, plan, settings } = task
  if (plan.pairs !== examples.length) throw new Error(`a plan for ${plan.pairs} pairs, but ${examples.length} examples`)
  const trial = new Trial(task)
  if (keyOf(candidate) === keyOf(incumbent)) return trial.verdict({ type: "identical" })
  if (examples.length === 0) return trial.verdict({ type: "untestable" })
  if (!mayOpen(settings.alpha, plan.opening)) return trial.verdict({ type: "worn out" })
  // The order of the config must not show: neighbours there are often alike.
  const order = task.chance.shuffled(
    `gate/${plan.opening}/order`,
    examples.toSorted((one, other) => one.id < other.id ? -1 : 1)
  )
  let told: SearchEvent = {
    type: "gate_opened",
    candidate,
    pairs: plan.pairs,
    opening: plan.opening,
    alpha: plan.alpha.opening
  }
  try {
    for (let from = 0; from < order.length; from += settings.blockPairs) {
      trial.take(yield* block(task, order.slice(from, from + settings.blockPairs), told))
      told = trial.look()
      const verdict = trial.ended()
      if (verdict !== null) return verdict
    }
  } catch (error) {
    if (!(error instanceof SearchStopped)) throw error
    return trial.verdict({ type: "stopped", why: error.detail })
  }
  return trial.atPlannedEnd()
}

/** Pairs in the order of the examples, whatever order their rollouts came in. */
function* block(
  task: GateTask,
  examples: ReadonlyArray<TaskExample>,
  told: SearchEvent
): Steps<ReadonlyArray<GatePair>> {
  const samples = Array.from({ length: task.settings.samples }, (_, index) => task.firstSample + index)
  const asked = pairAsks(task, examples, samples, task.chance)
  const [, ...answers] = yield [{ _tag: "Note", event: told }, ...asked.map(({ ask }) => ask)]
  const answered = asked.map(({ arm, exampleId }, index) => {
    const [outcome] = answers[index] as ReadonlyArray<Outcome>
    return { arm, exampleId, outcome: outcome! }
  })
  return examples.map(({ id }) => pairOf(id, answered.filter(({ exampleId }) => exampleId === id)))
}

/** The pairs so far and what they say. */
class Trial {
  private readonly pairs: Array<GatePair> = []
  private readonly evidence = new EProcess()
  private readonly slices: ReadonlyMap<string, ReadonlySet<string>>
  private wonAt: number | null = null

  constructor(private readonly task: GateTask) {
    this.slices = guardedSlices(
      task.slices,
      task.examples.map(({ id }) => id),
      task.settings.guardRails.sliceExamplesMin
    )
  }

  take(pairs: ReadonlyArray<GatePair>): void {
    for (const pair of pairs) {
      this.pairs.push(pair)
      this.evidence.observe(pair.difference)
      if (this.wonAt === null && this.evidence.max >= this.task.plan.evidenceNeeded) this.wonAt = this.pairs.length
    }
  }

  /** How it stands. */
  look(): SearchEvent {
    const wins = this.pairs.filter(({ difference }) => difference > 0).length
    const losses = this.pairs.filter(({ difference }) => difference < 0).length
    return {
      type: "gate_looked",
      n: this.pairs.length,
      wins,
      losses,
      gain: this.gain(),
      evidence: this.evidence.max
    }
  }

  /** The verdict if no further pair is worth its rollouts. */
  ended(): GateVerdict | null {
    const { plan, settings } = this.task
    if (this.pairs.length === plan.pairs) return null
    if (this.wonAt !== null) {
      return isAtMost(settings.minRewardDelta, this.gain()) && this.slicesSeen() && this.looksSafe()
        ? this.verdict({ type: "won early", at: this.wonAt })
        : null
    }
    const square = this.pairs.reduce((total, { difference }) => total + difference ** 2, 0)
    const z = square === 0 ? 0 : this.gain() * this.pairs.length / Math.sqrt(square)
    return z < futileBelow(this.pairs.length, plan.pairs, plan.alpha.test, settings)
      ? this.verdict({ type: "futile", power: conditionalPower(z, this.pairs.length / plan.pairs, plan.alpha.test) })
      : null
  }

  atPlannedEnd(): GateVerdict {
    return this.verdict({ type: "planned end", wonAt: this.wonAt })
  }

  verdict(ending: Parameters<typeof verdictOf>[0]["ending"]): GateVerdict {
    const { chance, plan, settings } = this.task
    return verdictOf({
      ending,
      plan,
      settings,
      pairs: this.pairs,
      evidence: this.evidence,
      rails: this.rails(),
      seed: chance.at(`gate/${plan.opening}/resamples`).bits()
    })
  }

  private gain(): number {
    return this.pairs.reduce((total, { difference }) => total + difference, 0) / this.pairs.length
  }

  /** A rail that looks broken is worth the pairs that tell. */
  private looksSafe(): boolean {
    return this.rails().every(({ state }) => state !== "broken" && state !== "suspect")
  }

  /** An early end must not be a way past the guard of a slice. */
  private slicesSeen(): boolean {
    const { sliceExamplesMin } = this.task.settings.guardRails
    return [...this.slices.values()].every((ids) =>
      this.pairs.filter(({ exampleId }) => ids.has(exampleId)).length >= Math.min(sliceExamplesMin, ids.size)
    )
  }

  private rails(): ReadonlyArray<GuardRail> {
    const { chance, plan, settings } = this.task
    return guardRails(this.pairs, this.slices, settings, chance.at(`gate/${plan.opening}/rails`).bits())
  }
}
