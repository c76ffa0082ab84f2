/** How sure a mean of scores is. */
import type { Bounds } from "../statistics/Bootstrap.js"
import { unanimousBounds } from "../statistics/Bootstrap.js"
import { differenceOf, mean, sum, variance } from "../statistics/Moments.js"
import { studentTQuantile } from "../statistics/StudentT.js"
import { wilson } from "../statistics/Wilson.js"

const level = 0.95

/**
 * The 95 % interval of the mean of scores in [0, 1], one for each example: Wilson's for hits and misses, Student's t for anything
 * else, held within [0, 1]. Scores that are all the same still leave room for examples that did not show themselves.
 */
export const meanBounds = (scores: ReadonlyArray<number>): Bounds => {
  if (scores.every((score) => score === 0 || score === 1)) return wilson(sum(scores), scores.length, level)
  const [one = 0] = scores
  if (scores.every((score) => differenceOf(one, score) === 0)) return unanimousBounds(one, scores.length, level, 0)
  const centre = mean(scores)
  const half = studentTQuantile((1 + level) / 2, scores.length - 1) * Math.sqrt(variance(scores) / scores.length)
  return { low: Math.max(0, centre - half), high: Math.min(1, centre + half) }
}
