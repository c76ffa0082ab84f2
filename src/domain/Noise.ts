/**
 * When the failures of a run tell of something else than its texts: of a model that is away, the reflection model among them, a
 * scorer that cannot judge, an agent that does not start. Plain functions: the store's worker thread asks them too.
 */

/** Of the rollouts of a run. */
export interface Tally {
  readonly rollouts: number
  /** Those that failed for want of their model or their scorer. */
  readonly broken: number
}

const brokenShareMax = 0.2
const brokenNowShareMax = 0.5
/** So that a single call that failed early on stops nothing. */
const rolloutsMin = 20

/** Whether so many rollouts are broken that whoever goes on decides by noise. */
export const isNoise = ({ broken, rollouts }: Tally): boolean =>
  broken > brokenShareMax * Math.max(rollouts, rolloutsMin)

/**
 * The same of a search: also when the model has gone only now, however much went well before. What is decided next, a gate say,
 * would be decided by that alone. `latest` are the rollouts of the latest steps.
 */
export const isNoSearch = (all: Tally, latest: Tally): boolean =>
  isNoise(all) || latest.broken > brokenNowShareMax * Math.max(latest.rollouts, rolloutsMin)

/** How many steps of a search are its latest ones: as few as have made enough rollouts. By the rollouts of each, the latest first. */
export const latestSteps = (rollouts: ReadonlyArray<number>): number => {
  let made = 0
  const enough = rollouts.findIndex((more) => (made += more) >= rolloutsMin)
  return enough === -1 ? rollouts.length : enough + 1
}

/** The same of an evaluation, by its modes: one of them that is broken as a whole has no score either. */
export const isNoEvaluation = (modes: ReadonlyArray<Tally>): boolean =>
  modes.some(({ broken, rollouts }) => broken > 0 && broken === rollouts) ||
  isNoise({
    rollouts: modes.reduce((sum, { rollouts }) => sum + rollouts, 0),
    broken: modes.reduce((sum, { broken }) => sum + broken, 0)
  })

/**
 * Whether nothing has come of any rollout: all failed, and no scorer has said anything of them. The first one alone does not count:
 * it may be the search's trial of what one costs.
 */
export const isHopeless = (
  { rollouts, unjudged }: { readonly rollouts: number; readonly unjudged: number }
): boolean => rollouts > 1 && unjudged === rollouts

/** Reflections in a row that a search goes on over: each was tried again before it failed. */
const silentMax = 5

/**
 * Whether a search has lost its reflection model, by the failures since the last step that had any answer: of refusals that no
 * repetition mends (a key, an empty account, a model that is not there) one is enough.
 */
export const isSilent = (failures: ReadonlyArray<string>): boolean =>
  failures.length >= silentMax || failures.some((failure) => /^the reflection model answered 40[1-4]\b/.test(failure))

/** What broke rollouts, by the words of the store: the state of a call, a status that answered it, `unreadable`, or the scorer. */
export interface BrokenBy {
  readonly brokenBy: string
  readonly rollouts: number
}

/** `12 of 54 rollouts failed because their model could not be reached (example)`; `among` is how many rollouts there were. */
export const brokenText = (causes: ReadonlyArray<BrokenBy>, among: string, example: string): string => {
  const said = beyond(causes, example)
  return `${brokenCounts(causes, `${among} rollouts`)}${said === "" ? "" : ` (${said})`}`
}

/** The same without an example: `1 of 1 rollout failed because its model answered 401`. */
export const brokenCounts = (causes: ReadonlyArray<BrokenBy>, among: string): string => {
  const counts = new Map<string, number>()
  for (const { brokenBy, rollouts } of causes) counts.set(brokenBy, (counts.get(brokenBy) ?? 0) + rollouts)
  const sorted = [...counts].map(([brokenBy, rollouts]) => ({ brokenBy, rollouts }))
    .toSorted((a, b) => b.rollouts - a.rollouts)
  const broken = sorted.reduce((sum, cause) => sum + cause.rollouts, 0)
  const why = sorted.length === 1
    ? ` because ${because(sorted[0]!)}`
    : `: ${sorted.map((cause) => `${cause.rollouts} because ${because(cause)}`).join(", ")}`
  return `${broken} of ${among} failed${why}`
}

/** What an error tells beyond the one cause: the model's status is not said twice. */
const beyond = (causes: ReadonlyArray<BrokenBy>, error: string): string => {
  const statuses = new Set(causes.map(({ brokenBy }) => `the model call was answered with ${brokenBy}`))
  const [status] = statuses
  return status === undefined || statuses.size > 1 || !error.startsWith(status)
    ? error
    : error.slice(status.length).replace(/^: /, "")
}

const because = ({ brokenBy, rollouts }: BrokenBy): string => {
  const whose = rollouts === 1 ? "its" : "their"
  switch (brokenBy) {
    case "upstream_error":
      return `${whose} model could not be reached`
    case "upstream_cut":
      return `${whose} model broke its answer off`
    case "timeout":
      return `${whose} model did not answer in time`
    case "unreadable":
      return `${whose} model's answer could not be read`
    case "refused":
      return `${whose} calls could not be passed on`
    case "scorer":
      return `${whose} scorer could not judge`
    case "agent":
      return `${whose} agent could not be started, or its server did not answer or had no capacity`
    default:
      return `${whose} model answered ${brokenBy}`
  }
}

/** Statuses that refuse a key, or whoever pays for it. */
export const refusals: ReadonlySet<string> = new Set(["401", "402", "403"])

/** What to do about it, and then to begin again. */
export const brokenRemedy = (causes: ReadonlyArray<BrokenBy>): string => {
  const isAway = ({ brokenBy }: BrokenBy) => brokenBy !== "scorer" && brokenBy !== "agent" && !refusals.has(brokenBy)
  const mend = [
    ...(causes.some(isAway)
      ? [
        causes.some(({ brokenBy }) => brokenBy === "timeout")
          ? "bring the model back or raise attempt_timeout_secs"
          : "bring the model back"
      ]
      : []),
    ...(causes.some(({ brokenBy }) => refusals.has(brokenBy)) ? ["mend the model's key or its account"] : []),
    ...(causes.some(({ brokenBy }) => brokenBy === "agent") ? ["bring the agent or its server back"] : []),
    ...(causes.some(({ brokenBy }) => brokenBy === "scorer") ? ["mend the scorer"] : [])
  ]
  return `${mend.join(", ")} and run the same command again to go on`
}
