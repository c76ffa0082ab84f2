const baseMs = 250
const stepMaxMs = 30_000
/** The longest pause there is: what a model may ask for. The last step with its whole spread is less. */
export const pauseMaxMs = 60_000

/**
 * Doubles with each failure, and lasts up to half as long again: rollouts that failed together do not come back together.
 * The spread follows from the id and the count, so that equal runs make equal decisions.
 */
export const backoffMs = (rolloutId: string, failures: number): number =>
  Math.floor(Math.min(stepMaxMs, baseMs * 2 ** (failures - 1)) * (1 + spread(`${rolloutId}#${failures}`) / 2))

/** In [0, 1), far apart also for texts that differ in one digit: FNV-1a, mixed as MurmurHash3 ends. */
const spread = (text: string): number => {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b)
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2ae35)
  return ((hash ^ hash >>> 16) >>> 0) / 2 ** 32
}
