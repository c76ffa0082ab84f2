/** What a test looks for: a difference in either direction, or one in the direction that its name says. */
export type Alternative = "two-sided" | "greater" | "less"

/** Twice the smaller tail, never more than 1: how a two-sided test is made of two one-sided ones. */
export const twoSided = (less: number, greater: number): number => Math.min(1, 2 * Math.min(less, greater))
