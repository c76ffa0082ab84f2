import type { FinishedSpan, RewriteOutcome } from "../store/writer/spans.js"

/** What few calls have to say of themselves. */
type Peculiarity = Pick<FinishedSpan, "replayOf" | "hasDiverged" | "rewrite" | "usageAsked" | "wasReadOn" | "silentMs">

/** Shorter pauses are part of every stream. */
export const silentMsMin = 100

/** What is there of it, for a span; null for the many calls that have nothing of it, whose spans need no copy. */
export const peculiarityOf = (
  replayOf: string | null,
  hasDiverged: boolean,
  rewrite: RewriteOutcome | null,
  usageAsked: boolean,
  wasReadOn: boolean,
  silentMs: number
): Peculiarity | null => {
  const isSilent = silentMs >= silentMsMin
  if (replayOf === null && !hasDiverged && rewrite === null && !usageAsked && !wasReadOn && !isSilent) return null
  return {
    ...(replayOf !== null && { replayOf }),
    ...(hasDiverged && { hasDiverged }),
    ...(rewrite !== null && { rewrite }),
    ...(usageAsked && { usageAsked }),
    ...(wasReadOn && { wasReadOn }),
    ...(isSilent && { silentMs: Math.round(silentMs) })
  }
}
