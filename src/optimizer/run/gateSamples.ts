/** Samples of the gate: far from those that a search draws. */
export const gateFirstSample = 1_000
