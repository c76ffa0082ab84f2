/** Student's t distribution, central and not. */
import { incompleteBeta, logGamma } from "./Gamma.js"
import { normalCdf, normalQuantile } from "./Normal.js"

/** P(T ≤ t) on `df` degrees of freedom, which need not be whole. */
export const studentTCdf = (t: number, df: number): number => {
  const square = t * t
  const tail = incompleteBeta(df / (df + square), df / 2, 0.5, square / (df + square)) / 2
  return t > 0 ? 1 - tail : tail
}

/** The upper tail, P(T ≥ t), without the loss of 1 − P(T < t). */
export const studentTTail = (t: number, df: number): number => studentTCdf(-t, df)

/** Found by bisection between bounds that double until they hold it. */
export const studentTQuantile = (p: number, df: number): number => {
  if (!(p >= 0 && p <= 1)) return Number.NaN
  if (p === 0.5) return 0
  if (p > 0.5) return -studentTQuantile(1 - p, df)
  if (p === 0) return Number.NEGATIVE_INFINITY
  let high = 0
  let low = Math.min(-1, normalQuantile(p))
  while (studentTCdf(low, df) > p) {
    high = low
    low *= 2
  }
  for (let middle = (low + high) / 2; middle > low && middle < high; middle = (low + high) / 2) {
    if (studentTCdf(middle, df) > p) high = middle
    else low = middle
  }
  return (low + high) / 2
}

const termsMax = 10_000

/** P(T ≤ t) when the mean is shifted by `shift` standard errors. Lenth 1989, Applied Statistics 38 (AS 243). */
export const noncentralTCdf = (t: number, df: number, shift: number): number => {
  if (t < 0) return 1 - noncentralTCdf(-t, df, -shift)
  if (shift === 0) return studentTCdf(t, df)
  const x = t * t / (df + t * t)
  const half = shift * shift / 2
  let total = 0
  let mass = 0
  for (let j = 0; j < termsMax; j += 1) {
    const even = Math.exp(j * Math.log(half) - half - logGamma(j + 1))
    const odd = shift / Math.SQRT2 * Math.exp(j * Math.log(half) - half - logGamma(j + 1.5))
    const complement = df / (df + t * t)
    total += even * incompleteBeta(x, j + 0.5, df / 2, complement) + odd * incompleteBeta(x, j + 1, df / 2, complement)
    mass += even
    if (j > half && 1 - mass < 1e-15) break
    if (j > half && even < 1e-18) break
  }
  return Math.min(1, Math.max(0, normalCdf(-shift) + total / 2))
}
