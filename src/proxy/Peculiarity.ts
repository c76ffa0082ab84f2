import type { FinishedSpan } from "../store/writer/spans.js"

/** What few calls have to say of themselves. */
type Peculiarity = Pick<FinishedSpan, "replayOf" | "hasDiverged" | "rewrite" | "usageAsked" | "wasReadOn">

/** What is there of it, for a span; null for the many calls that have nothing of it, whose spans need no copy. */
export const peculiarityOf = (
  replayOf: string | null,
  hasDiverged: boolean,
  rewrite: FinishedSpan["rewrite"] | null,
  usageAsked: boolean,
  wasReadOn: boolean
): Peculiarity | null => {
  if (replayOf === null && !hasDiverged && rewrite === null && !usageAsked && !wasReadOn) return null
  return {
    ...(replayOf !== null && { replayOf }),
    ...(hasDiverged && { hasDiverged }),
    ...(rewrite !== null && rewrite !== undefined && { rewrite }),
    ...(usageAsked && { usageAsked }),
    ...(wasReadOn && { wasReadOn })
  }
}
