import { bootstrapMean, type Bounds, unanimousBounds } from "./Bootstrap.js"
import { differenceOf } from "./Moments.js"
import { newcombe, pairCounts } from "./Newcombe.js"
import { checkSample, SampleInvalid } from "./SampleInvalid.js"

export interface PairedBounds extends Bounds {
  readonly method: "Newcombe 1998, method 10" | "paired bootstrap BCa" | "rule of three"
}

export interface PairedBoundsOptions {
  readonly level: number
  readonly seed: number
  readonly draws: number
}

/** The interval of the second arm's mean minus the first's, by what the values are: scores from 0 to 1, paired by position. */
export const pairedBounds = (
  first: ReadonlyArray<number>,
  second: ReadonlyArray<number>,
  { draws, level, seed }: PairedBoundsOptions
): PairedBounds => {
  checkSample(first, "first")
  if (first.length !== second.length) {
    throw new SampleInvalid(`expected pairs, found ${first.length} values and ${second.length}`)
  }
  const counts = pairCounts(first, second)
  if (counts !== null) return { ...newcombe(counts, level), method: "Newcombe 1998, method 10" }
  const differences = second.map((value, index) => value - first[index]!)
  const [one = 0] = differences
  return differences.every((difference) => differenceOf(one, difference) === 0)
    ? { ...unanimousBounds(one, differences.length, level), method: "rule of three" }
    : { ...bootstrapMean(differences, { draws, level, seed }), method: "paired bootstrap BCa" }
}
