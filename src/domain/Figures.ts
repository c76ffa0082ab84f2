/** Durations and counts as people read them. */

/** `850 ms`, `12.3 s`, `4 min 05 s`, `2 h 04 min`. */
export const elapsed = (ms: number): string => {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`
  const minutes = Math.floor(ms / 60_000)
  return minutes < 60
    ? `${minutes} min ${pad(Math.floor(ms / 1_000) % 60)} s`
    : `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`
}

const pad = (n: number) => String(n).padStart(2, "0")

/** `950`, `12.3k`, `4.0M`. */
export const compact = (n: number): string => {
  if (n < 1_000) return `${n}`
  return n < 999_950 ? `${(n / 1_000).toFixed(1)}k` : `${(n / 1_000_000).toFixed(1)}M`
}

/** `$12.30`, `$0.0042`: below a cent, the first two digits that are not 0. */
export const dollars = (usd: number): string =>
  `$${usd.toFixed(usd > 0 && usd < 0.01 ? 1 - Math.floor(Math.log10(usd)) : 2)}`

/** For programs to read: sums of floats end in noise that no reader wants. */
export const rounded = (value: number): number => Math.round(value * 1e9) / 1e9

/** `+0.250`, `-0.250`: a change, with three decimals if nothing else is said. */
export const signed = (change: number, figure: (value: number) => string | number = threeDecimals): string =>
  `${change < 0 ? "" : "+"}${figure(change)}`

const threeDecimals = (value: number) => value.toFixed(3)

/** `1 example`, `2 examples`. */
export const counted = (n: number, one: string, more = `${one}s`): string => `${n} ${n === 1 ? one : more}`
