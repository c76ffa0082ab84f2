import { shown } from "../domain/shown.js"
import { areFlags } from "../openai/BoundedPatterns.js"

/** What is wrong with the flags of a pattern, or null. */
export const flagsProblem = (flags: string): string | null =>
  areFlags(flags) ? null : `expected flags among i, m, s and u, each once, found ${shown(flags)}`
