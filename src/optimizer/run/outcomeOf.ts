import type { SearchOutcome } from "../../store/SearchStore.js"
import type { Fresh } from "../Conductor.js"
import type { Outcome } from "../Search.js"

/** What a rollout came to, as the store has it, for the search that asked for it. */
export const outcomeOf = ({ example }: Fresh, stored: SearchOutcome): Outcome => {
  const failed = stored.status !== "succeeded"
  return {
    example,
    score: failed ? 0 : stored.score ?? 0,
    failed,
    // Who ran out of time may have been made to think for too long by its text.
    isBroken: failed && stored.brokenBy !== null && stored.brokenBy !== "timeout",
    feedback: failed ? failureText(stored) : feedbackText(stored.feedback),
    output: stored.output,
    trace: null,
    // What a judge takes is not the agent's.
    tokens: stored.usage.reduce(
      (sum, { inputTokens, isJudge, outputTokens }) => isJudge === 1 ? sum : sum + inputTokens + outputTokens,
      0
    )
  }
}

/** A text is not to be mended for what its scorer could not do, or for an agent or a model that was away. */
const failureText = ({ brokenBy, error, status }: SearchOutcome): string =>
  `${whatFailed(brokenBy)}: ${error ?? status}`

const whatFailed = (brokenBy: string | null): string => {
  switch (brokenBy) {
    case null:
      return "the agent failed"
    case "scorer":
      return "not scored"
    case "agent":
      return "not tried, for the agent was not there, which no text can mend"
    // Of a text that makes it think for too long, or of nothing of the kind.
    case "timeout":
      return "broken off, for the model did not answer in time"
    default:
      return "broken off, for the model was not there, which no text can mend"
  }
}

/** With one scorer what it says; with several, each by its name. */
const feedbackText = (rewards: SearchOutcome["feedback"]): string => {
  const said = rewards.filter(({ feedback }) => feedback !== null && feedback !== "")
  return said.map(({ feedback, name }) => rewards.length === 1 ? feedback : `${name}: ${feedback}`).join("\n")
}
