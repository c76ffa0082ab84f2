import { counted } from "../../domain/Figures.js"
import { brokenRemedy, brokenText, isHopeless, isNoise, isNoSearch, isSilent, latestSteps } from "../../domain/Noise.js"
import { SearchFailed } from "../../domain/SearchFailed.js"
import type { SearchOutcome } from "../../store/SearchStore.js"
import type { Reflection } from "../Search.js"

/**
 * Counts what failed of a search for want of a model, a scorer or the agent: rollouts and reflections. What the search stops at,
 * the next start of the run tries anew: it asks the store by the same rules.
 */
export class FailureWatch {
  /** Of each step that made rollouts, the latest first, what broke them. */
  private readonly steps: Array<{ readonly rollouts: number; readonly brokenBy: ReadonlyArray<string> }> = []
  private unjudged = 0
  /** Failures of reflections since the last step that had an answer to one. */
  private silence: ReadonlyArray<string> = []

  /** Takes the outcomes of a step, the last of `rollouts` in all. Why the search must not go on; null when it may. */
  see(outcomes: ReadonlyArray<SearchOutcome>, rollouts: number): SearchFailed | null {
    this.steps.unshift({
      rollouts: outcomes.length,
      brokenBy: outcomes.flatMap(({ brokenBy }) => brokenBy === null ? [] : [brokenBy])
    })
    this.unjudged += outcomes.filter(({ isUnjudged }) => isUnjudged).length
    const all = tallyOf(this.steps, rollouts)
    const steps = this.steps.slice(0, latestSteps(this.steps.map((step) => step.rollouts)))
    const latest = tallyOf(steps, steps.reduce((sum, step) => sum + step.rollouts, 0))
    const { causes } = all
    const example = outcomes.find(({ brokenBy }) => brokenBy !== null)
    // After a step without one the model is back, and the next start would find nothing to try anew.
    if (example !== undefined && isNoSearch(all, latest)) {
      const error = example.error ?? "unknown"
      const text = isNoise(all)
        ? brokenText(causes, String(rollouts), error)
        : brokenText(latest.causes, `the last ${latest.rollouts}`, error)
      return new SearchFailed({
        reason: "infrastructure",
        detail: `${text}: a search would optimize noise; ${brokenRemedy(causes)}`
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

  /** Takes the reflections of a step. Why the search must not go on; null when it may. */
  hear(reflections: ReadonlyArray<Reflection>): SearchFailed | null {
    if (reflections.length === 0) return null
    const failures = reflections.flatMap((reflection) => "failure" in reflection ? [reflection.failure] : [])
    this.silence = failures.length < reflections.length ? [] : [...this.silence, ...failures]
    if (!isSilent(this.silence)) return null
    const { length } = this.silence
    return new SearchFailed({
      reason: "infrastructure",
      detail:
        `${length === 1 ? "the last reflection" : `the last ${length} reflections`} failed (${this.silence.at(-1)}): `
        + "without its reflection model a search finds nothing; mend that and run the same command again to go on"
    })
  }
}

const tallyOf = (steps: ReadonlyArray<{ readonly brokenBy: ReadonlyArray<string> }>, rollouts: number) => {
  const causes = steps.flatMap(({ brokenBy }) => brokenBy.map((cause) => ({ brokenBy: cause, rollouts: 1 })))
  return { rollouts, broken: causes.length, causes }
}

const mostFrequentError = (outcomes: ReadonlyArray<SearchOutcome>): readonly [string, ReadonlyArray<string>] => {
  const alike = new Map<string, Array<string>>()
  for (const { error, id } of outcomes) alike.set(error ?? "unknown", [...alike.get(error ?? "unknown") ?? [], id])
  return [...alike].reduce((most, one) => one[1].length > most[1].length ? one : most)
}
