/** The standard normal distribution. */
import { erfc } from "./Gamma.js"

/** P(Z ≤ x). */
export const normalCdf = (x: number): number => erfc(-x / Math.SQRT2) / 2

/** The value below which the share p lies; infinite for 0 and 1. A rational start (Abramowitz, Stegun 26.2.23), then Halley. */
export const normalQuantile = (p: number): number => {
  if (!(p >= 0 && p <= 1)) return Number.NaN
  if (p > 0.5) return -normalQuantile(1 - p)
  if (p === 0) return Number.NEGATIVE_INFINITY
  const t = Math.sqrt(-2 * Math.log(p))
  let x = (2.515517 + 0.802853 * t + 0.010328 * t * t) /
      (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t ** 3) - t
  for (let step = 0; step < 4; step += 1) {
    const error = (normalCdf(x) - p) * Math.sqrt(2 * Math.PI) * Math.exp(x * x / 2)
    x -= error / (1 + x * error / 2)
  }
  return x
}
