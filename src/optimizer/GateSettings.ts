/** What the guard rails of a gate allow. */
export interface GuardRailSettings {
  /** Tokens per rollout of the candidate, as a multiple of the incumbent's. */
  readonly tokensRatioMax: number
  /** A rise by so many tokens per rollout is always allowed: a rule that is written down has its length, and short prompts grow. */
  readonly tokensRiseAllowed: number
  /** How much more often, as a share of all rollouts, the candidate may fail. */
  readonly failureRateRiseMax: number
  /** How much worse the candidate may be on one slice of the examples. */
  readonly sliceLossMax: number
  /** Slices of fewer gate examples are not guarded: nothing could be said of them. */
  readonly sliceExamplesMin: number
  /** The chance to call a rail broken that is not, and to call one kept that is not. */
  readonly alpha: number
}

/** How a candidate is tested before it becomes the latest version of the resources. */
export interface GateSettings {
  /** The chance to promote, in all openings of one gate together, a candidate that is no better. */
  readonly alpha: number
  /** Share of the `validate` examples that only the gate sees. */
  readonly fraction: number
  /** The gain that must have been seen, besides being more than luck. */
  readonly minRewardDelta: number
  /** Rollouts per example and arm; their scores are averaged. */
  readonly samples: number
  /** Pairs that are asked for at once. */
  readonly blockPairs: number
  /** The part of an opening's alpha that pays for looking after every pair; the rest is for the test at the planned end. */
  readonly peekingShare: number
  /** The gate ends when its chance to promote, going on as so far, is less. */
  readonly futilityPower: number
  /** The part of the planned pairs before which no gate ends for futility: early, bad luck looks like no gain. */
  readonly futilityFrom: number
  /** The share of pairs expected to disagree, for the power stated beforehand. */
  readonly discordantShare: number
  /** Sign patterns and resamples that are drawn for scores other than 0 and 1. */
  readonly draws: number
  readonly guardRails: GuardRailSettings
}

export const defaultGateSettings: GateSettings = {
  alpha: 0.05,
  fraction: 0.4,
  minRewardDelta: 0,
  samples: 1,
  blockPairs: 10,
  peekingShare: 0.2,
  futilityPower: 0.1,
  futilityFrom: 0.5,
  discordantShare: 0.35,
  draws: 9_999,
  guardRails: {
    tokensRatioMax: 1.2,
    tokensRiseAllowed: 500,
    failureRateRiseMax: 0.02,
    sliceLossMax: 0.05,
    sliceExamplesMin: 30,
    alpha: 0.05
  }
}
