/** How large a difference is, apart from how sure it is. All are positive when the second arm is the larger. */
import { mean, variance } from "./Moments.js"
import { checkCount, checkSample } from "./SampleInvalid.js"

/** Cohen's d of two samples: the difference in pooled standard deviations. 0 for equal means, infinite without spread. */
export const cohensD = (first: ReadonlyArray<number>, second: ReadonlyArray<number>): number => {
  const difference = mean(second) - mean(first)
  const spread = (sample: ReadonlyArray<number>) => sample.length > 1 ? variance(sample) * (sample.length - 1) : 0
  const pooled = (spread(first) + spread(second)) / Math.max(1, first.length + second.length - 2)
  return difference === 0 ? 0 : difference / Math.sqrt(pooled)
}

/** Cohen's dz of pairs: the mean difference in standard deviations of the differences. */
export const cohensDz = (differences: ReadonlyArray<number>): number => {
  const centre = mean(differences)
  if (centre === 0) return 0
  return centre / (differences.length > 1 ? Math.sqrt(variance(differences)) : 0)
}

/** Odds of a win among the pairs that disagree, with half a pair added to each side where one of them is empty. */
export const pairedOddsRatio = (wins: number, losses: number): number => {
  checkCount(wins, "wins")
  checkCount(losses, "losses")
  return wins > 0 && losses > 0 ? wins / losses : (wins + 0.5) / (losses + 0.5)
}

/** Cliff's delta: how much more often a value of the second sample is the larger of two than the smaller. In [−1, 1]. */
export const cliffsDelta = (first: ReadonlyArray<number>, second: ReadonlyArray<number>): number => {
  checkSample(first, "first")
  checkSample(second, "second")
  const sorted = first.toSorted((one, other) => one - other)
  let below = 0
  let notAbove = 0
  let total = 0
  for (const value of second.toSorted((one, other) => one - other)) {
    while (below < sorted.length && sorted[below]! < value) below += 1
    while (notAbove < sorted.length && sorted[notAbove]! <= value) notAbove += 1
    total += below + notAbove - sorted.length
  }
  return total / (first.length * second.length)
}
