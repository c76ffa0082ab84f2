const { timeOrigin } = performance

/** Unix microseconds. */
export const nowUs = (): number => Math.round((timeOrigin + performance.now()) * 1000)
