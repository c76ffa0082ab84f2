/** Uniform in [0, 1), the same sequence for the same seed (Marsaglia's xorshift). */
export const randomFrom = (seed: number) => {
  let state = Math.imul(seed + 1, 2_654_435_761) >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state = (state ^ state << 5) >>> 0
    return state / 2 ** 32
  }
}
