/** The binomial distribution: k successes in n draws of probability p. */
import { incompleteBeta, logGamma } from "./Gamma.js"

/** P(K = k). */
export const binomialMass = (k: number, n: number, p: number): number => {
  if (k < 0 || k > n) return 0
  if (p === 0) return k === 0 ? 1 : 0
  if (p === 1) return k === n ? 1 : 0
  const choose = logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1)
  return Math.exp(choose + k * Math.log(p) + (n - k) * Math.log1p(-p))
}

/** P(K ≥ k). */
export const binomialTail = (k: number, n: number, p: number): number => {
  if (k <= 0) return 1
  return k > n ? 0 : incompleteBeta(p, k, n - k + 1, 1 - p)
}
