const { timeOrigin } = performance

/** The two clocks are never read in the same instant, and the wall clock has coarser ticks. */
const apartMs = 100
let offsetMs = 0

/**
 * Unix microseconds. The wall clock is followed where it was set forward, or went on while the machine slept. One that was set
 * back is not, as the store's is not: no call ends before it begins.
 */
export const nowUs = (): number => {
  const monotonicMs = timeOrigin + performance.now()
  const aheadMs = Date.now() - monotonicMs
  if (aheadMs > offsetMs + apartMs) offsetMs = aheadMs
  return Math.round((monotonicMs + offsetMs) * 1000)
}
