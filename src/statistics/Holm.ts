import { SampleInvalid } from "./SampleInvalid.js"

/**
 * The p-values of several tests, corrected so that the chance of even one false claim among them stays at the level
 * (Holm 1979, Scandinavian Journal of Statistics 6). In the order they were given.
 */
export const holm = (pValues: ReadonlyArray<number>): ReadonlyArray<number> => {
  for (const [index, p] of pValues.entries()) {
    if (!(p >= 0 && p <= 1)) throw new SampleInvalid(`pValues[${index}]: expected a number from 0 to 1, found ${p}`)
  }
  const order = pValues.map((p, index) => ({ p, index })).toSorted((a, b) => a.p - b.p)
  const adjusted = pValues.map(() => 0)
  let largest = 0
  for (const [rank, { index, p }] of order.entries()) {
    largest = Math.max(largest, Math.min(1, p * (pValues.length - rank)))
    adjusted[index] = largest
  }
  return adjusted
}
