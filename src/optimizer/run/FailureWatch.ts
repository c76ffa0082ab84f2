import { counted } from "../../domain/Figures.js"
import { brokenRemedy, brokenText, isHopeless, isNoise } from "../../domain/Noise.js"
import { SearchFailed } from "../../domain/SearchFailed.js"
import type { SearchOutcome } from "../../store/SearchStore.js"

/**
 * Counts the rollouts of a search that failed for want of their model, their scorer or their agent. What the search stops at, the
 * next start of the run tries anew: it asks the store by the same rules.
 */
export class FailureWatch {
  /** Rollouts by what broke them. */
  private readonly broken = new Map<string, number>()
  private unjudged = 0

  /** Takes the outcomes of a step, the last of `rollouts` in all. Why the search must not go on; null when it may. */
  see(outcomes: ReadonlyArray<SearchOutcome>, rollouts: number): SearchFailed | null {
    for (const { brokenBy, isUnjudged } of outcomes) {
      if (brokenBy !== null) this.broken.set(brokenBy, (this.broken.get(brokenBy) ?? 0) + 1)
      if (isUnjudged) this.unjudged += 1
    }
    const causes = [...this.broken].map(([brokenBy, rollouts]) => ({ brokenBy, rollouts }))
    if (isNoise({ rollouts, broken: causes.reduce((sum, cause) => sum + cause.rollouts, 0) })) {
      const example = outcomes.find(({ brokenBy }) => brokenBy !== null)?.error ?? "unknown"
      return new SearchFailed({
        reason: "infrastructure",
        detail: `${brokenText(causes, rollouts, example)}: a search would optimize noise; ${brokenRemedy(causes)}`
      })
    }
    if (isHopeless({ rollouts, unjudged: this.unjudged })) {
      const [error, alike] = mostFrequentError(outcomes)
      const remedy = causes.length === 0
        ? "mend the agent and run the same command again to go on"
        : brokenRemedy(causes)
      return new SearchFailed({
        reason: "agent",
        detail: `none of the seed's ${counted(rollouts, "rollout")} succeeded, and there is nothing to learn from: ` +
          `${alike.length} failed with "${error}", ${alike[0]} say; ${remedy}`
      })
    }
    return null
  }
}

const mostFrequentError = (outcomes: ReadonlyArray<SearchOutcome>): readonly [string, ReadonlyArray<string>] => {
  const alike = new Map<string, Array<string>>()
  for (const { error, id } of outcomes) alike.set(error ?? "unknown", [...alike.get(error ?? "unknown") ?? [], id])
  return [...alike].reduce((most, one) => one[1].length > most[1].length ? one : most)
}
