/** The special functions that distributions are made of, right to about 1e-14. */

/** Lanczos' series with Godfrey's coefficients for g = 607/128. */
const lanczos = [
  0.9999999999999971,
  57.15623566586292,
  -59.59796035547549,
  14.136097974741746,
  -0.4919138160976202,
  3.399464998481189e-05,
  4.652362892704858e-05,
  -9.837447530487956e-05,
  0.0001580887032249125,
  -0.00021026444172410488,
  0.00021743961811521265,
  -0.0001643181065367639,
  8.441822398385275e-05,
  -2.6190838401581408e-05,
  3.6899182659531625e-06
]

/** ln Γ(x) for x > 0. */
export const logGamma = (x: number): number => {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x)
  const series = lanczos.reduce(
    (total, coefficient, k) => total + (k === 0 ? coefficient : coefficient / (x - 1 + k)),
    0
  )
  const t = x + 607 / 128 - 0.5
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(series)
}

const stepsMax = 100_000
const precision = 1e-16
const tiny = 1e-300

/** Lentz' evaluation of a continued fraction b0 + a1/(b1 + a2/(b2 + …)); stops when a step changes nothing. */
const continuedFraction = (b0: number, term: (step: number) => readonly [a: number, b: number]): number => {
  let value = b0 === 0 ? tiny : b0
  let c = value
  let d = 0
  for (let step = 1; step <= stepsMax; step += 1) {
    const [a, b] = term(step)
    d = b + a * d
    d = 1 / (d === 0 ? tiny : d)
    c = b + a / c
    if (c === 0) c = tiny
    value *= c * d
    if (Math.abs(c * d - 1) <= precision) break
  }
  return value
}

/** The complementary error function, with full relative precision in the upper tail. */
export const erfc = (x: number): number => {
  if (x < 0) return 2 - erfc(-x)
  if (x < 1.5) {
    let term = x
    let total = x
    for (let n = 1; Math.abs(term) > precision * Math.abs(total) && n < stepsMax; n += 1) {
      term *= -x * x / n
      total += term / (2 * n + 1)
    }
    return 1 - 2 / Math.sqrt(Math.PI) * total
  }
  const fraction = continuedFraction(x, (step) => [step / 2, x])
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction)
}

/**
 * The regularized incomplete beta function I_x(a, b). `complement` is 1 − x, given apart because subtracting would lose the
 * digits that matter where x is close to 1.
 */
export const incompleteBeta = (x: number, a: number, b: number, complement = 1 - x): number => {
  if (x <= 0) return 0
  if (complement <= 0) return 1
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(complement, b, a, x)
  const front = Math.exp(
    logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(complement)
  ) / a
  const fraction = continuedFraction(1, (step) => {
    const m = Math.floor(step / 2)
    const numerator = step % 2 === 0
      ? m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
      : -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    return [numerator, 1]
  })
  return front / fraction
}
