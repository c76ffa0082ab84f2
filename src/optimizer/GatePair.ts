/** One gate example under both arms. */
import { differenceOf, mean } from "../statistics/Moments.js"
import type { Chance } from "./Chance.js"
import type { Ask, Outcome, TaskExample, Texts } from "./Search.js"

export interface GateArm {
  /** Mean over the samples: the example is what counts, however often it is asked. */
  readonly score: number
  readonly failureRate: number
  readonly tokensPerRollout: number
}

export interface GatePair {
  readonly exampleId: string
  readonly incumbent: GateArm
  readonly candidate: GateArm
  /** The candidate's score minus the incumbent's. */
  readonly difference: number
}

export interface Arms {
  readonly incumbent: Texts
  readonly candidate: Texts
}

type ArmName = keyof Arms

/** The rollouts of some pairs, both arms of a sample side by side: a model that drifts in time hits both. */
export const pairAsks = (
  arms: Arms,
  examples: ReadonlyArray<TaskExample>,
  samples: ReadonlyArray<number>,
  chance: Chance
): ReadonlyArray<{ readonly arm: ArmName; readonly exampleId: string; readonly ask: Ask }> =>
  examples.flatMap((example) =>
    samples.flatMap((sample) => {
      const order: ReadonlyArray<ArmName> = chance.uniform(`gate/first/${sample}/${example.id}`) < 0.5
        ? ["incumbent", "candidate"]
        : ["candidate", "incumbent"]
      return order.map((arm) => ({
        arm,
        exampleId: example.id,
        ask: {
          _tag: "Evaluate",
          texts: arms[arm],
          split: "gate",
          examples: [example],
          sample,
          withTraces: false
        } as const
      }))
    })
  )

/** What one example came to, from the outcomes of its rollouts. */
export const pairOf = (
  exampleId: string,
  outcomes: ReadonlyArray<{ readonly arm: ArmName; readonly outcome: Outcome }>
): GatePair => {
  const incumbent = armOf(outcomes.filter(({ arm }) => arm === "incumbent").map(({ outcome }) => outcome))
  const candidate = armOf(outcomes.filter(({ arm }) => arm === "candidate").map(({ outcome }) => outcome))
  return { exampleId, incumbent, candidate, difference: differenceOf(incumbent.score, candidate.score) }
}

const armOf = (outcomes: ReadonlyArray<Outcome>): GateArm => ({
  score: mean(outcomes.map(({ score }) => score)),
  failureRate: mean(outcomes.map(({ failed }) => failed ? 1 : 0)),
  tokensPerRollout: mean(outcomes.map(({ tokens }) => tokens))
})
