/**
 * What must be true of a store, whatever happened: of each state it is seen in, and of each step from one to the next. Pure
 * functions over plain rows, so that every backend is held to the same.
 */
import { type AttemptStatus, canMoveAttempt, canMoveRollout, type RolloutStatus } from "../../src/domain/Lifecycle.js"

export interface RolloutRow {
  readonly id: string
  readonly runId: string
  readonly ordinal: number
  readonly status: RolloutStatus
  readonly priority: number
  readonly runAtMs: number
  readonly epoch: number
  readonly owner: string | null
  readonly leaseUntilMs: number | null
  readonly attempts: number
  readonly attemptsMax: number
  readonly failures: number
  readonly crashes: number
  readonly resourcesVersion: number
  readonly output: string | null
  readonly endedAtMs: number | null
}

export interface AttemptRow {
  readonly id: string
  readonly rolloutId: string
  readonly n: number
  readonly epoch: number
  readonly workerId: string
  readonly status: AttemptStatus
  readonly resourcesVersion: number
  readonly startedAtMs: number
  readonly endedAtMs: number | null
  readonly error: string | null
}

export interface Facts {
  readonly rollouts: ReadonlyArray<RolloutRow>
  readonly attempts: ReadonlyArray<AttemptRow>
  readonly runs: ReadonlyArray<{ readonly id: string; readonly state: string; readonly desired: string }>
  readonly rewards: ReadonlyArray<{ readonly attemptId: string; readonly name: string; readonly value: number }>
  readonly resources: ReadonlyArray<{
    readonly version: number
    readonly sha256: string
    readonly parentVersion: number | null
    readonly isLatest: number
  }>
  /** One line per verb, in order. */
  readonly control: ReadonlyArray<string>
  readonly spans: ReadonlyArray<{ readonly attemptId: string; readonly sequenceId: number; readonly late: number }>
  /** How many rollouts of a run have a status, as the store keeps count of it. */
  readonly counts: ReadonlyArray<{ readonly runId: string; readonly status: RolloutStatus; readonly rollouts: number }>
}

/** What was done between two states, as far as the invariants must know. */
export interface Step {
  /** `succeedAtOnce` is a success that writes the attempt's start as well. */
  readonly operation: string
  /** The store's time. */
  readonly nowMs: number
}

/** More crashes than this, and the rollout ends failed. */
export const crashesMax = 20
/** Longest pause before a rollout is tried again. */
export const pauseMaxMs = 60_000

const isHeld = ({ status }: { readonly status: string }) => status === "preparing" || status === "running"
const isTerminal = ({ status }: { readonly status: string }) =>
  status === "succeeded" || status === "failed" || status === "cancelled"

/** Whatever is wrong with a state, each with the name of the invariant it breaks. */
export const violations = (facts: Facts): ReadonlyArray<string> => [
  ...facts.rollouts.flatMap((rollout) => rolloutViolations(rollout, facts)),
  ...resourcesViolations(facts),
  ...facts.runs.flatMap(({ id, state }) =>
    (state === "cancelled" || state === "completed") &&
      facts.rollouts.some((rollout) => rollout.runId === id && !isTerminal(rollout))
      ? [`${id} is ${state} with unfinished rollouts`]
      : []
  ),
  ...duplicates(facts.rollouts.map(({ ordinal, runId }) => `${runId}#${ordinal}`)).map((key) =>
    `I16 two rollouts for ${key}`
  ),
  ...facts.runs.filter(({ id }) => countedIn(id, facts) !== keptCountOf(id, facts)).map(({ id }) =>
    `counted: of ${id} there are ${countedIn(id, facts)}, and its counts say ${keptCountOf(id, facts)}`
  ),
  ...facts.rewards.filter(({ attemptId }) => facts.attempts.find(({ id }) => id === attemptId)?.status !== "succeeded")
    .map(({ attemptId }) => `I12 a reward for ${attemptId}, which did not succeed`)
]

const countedIn = (run: string, { rollouts }: Facts): string => {
  const counts = new Map<string, number>()
  for (const { runId, status } of rollouts) if (runId === run) counts.set(status, (counts.get(status) ?? 0) + 1)
  return [...counts].map(([status, count]) => `${count} ${status}`).toSorted().join(", ")
}

const keptCountOf = (run: string, { counts }: Facts): string =>
  counts.filter(({ runId }) => runId === run).map(({ rollouts, status }) => `${rollouts} ${status}`).toSorted().join(
    ", "
  )

const rolloutViolations = (rollout: RolloutRow, facts: Facts): ReadonlyArray<string> => {
  const attempts = facts.attempts.filter(({ rolloutId }) => rolloutId === rollout.id).toSorted((a, b) => a.n - b.n)
  const live = attempts.filter(isHeld)
  const won = attempts.filter(({ status }) => status === "succeeded")
  const last = attempts.at(-1)
  const ended = (...statuses: ReadonlyArray<AttemptStatus>) =>
    attempts.filter(({ status }) => statuses.includes(status)).length
  const says = (holds: boolean, what: string) => holds ? [] : [`${what} (${rollout.id})`]
  return [
    ...says(live.length <= 1, "I1 two live attempts"),
    ...says((rollout.owner !== null) === isHeld(rollout), "I6 an owner exactly while it is held"),
    ...says((rollout.leaseUntilMs !== null) === isHeld(rollout), "I6 a lease exactly while it is held"),
    ...says(rollout.failures <= rollout.attemptsMax, "I7 more failures than allowed"),
    ...says(rollout.crashes <= crashesMax, "I7 more crashes than allowed"),
    ...says(
      isTerminal(rollout) || rollout.failures < rollout.attemptsMax && rollout.crashes < crashesMax,
      "I7 goes on though its attempts are used up"
    ),
    ...says(rollout.failures <= ended("failed", "timeout"), "I7 a failure without a failed attempt"),
    ...says(rollout.crashes === ended("unresponsive"), "I7 crashes are the attempts that became unresponsive"),
    ...says(
      (rollout.status === "succeeded") === (won.length === 1) && won.every(({ epoch }) => epoch === rollout.epoch),
      "I8 succeeded is one success, of the last epoch"
    ),
    ...says(rollout.status === "succeeded" || rollout.output === null, "I8 an output without success"),
    ...says(live.length === 0 || isHeld(rollout), "I9 a live attempt of a rollout that does not run"),
    ...says(live.every(({ epoch }) => epoch === rollout.epoch), "I10 a live attempt of an old epoch"),
    ...says(
      !isHeld(rollout) ||
        live.length === 1 && live[0]!.status === rollout.status && live[0]!.workerId === rollout.owner &&
          live[0]!.id === last?.id,
      "I9 a held rollout has one live attempt, its last, of its owner"
    ),
    ...says(rollout.attempts === attempts.length, "I17 the count of attempts"),
    ...says(attempts.every(({ n }, index) => n === index + 1), "I17 attempts are numbered from 1"),
    ...says(
      attempts.every(({ epoch }, index) => epoch > (attempts[index - 1]?.epoch ?? 0)) &&
        (last?.epoch ?? 0) <= rollout.epoch,
      "I2 each attempt has a higher epoch"
    ),
    ...says(
      attempts.every(({ resourcesVersion }) => resourcesVersion === rollout.resourcesVersion),
      "I22 each attempt runs under its rollout's resources"
    ),
    ...says(
      facts.resources.some(({ version }) => version === rollout.resourcesVersion),
      "I22 a version that is not there"
    ),
    ...says(isTerminal(rollout) === (rollout.endedAtMs !== null), "ended exactly when it is terminal"),
    ...says(
      attempts.every((attempt) => isHeld(attempt) === (attempt.endedAtMs === null)),
      "an attempt has ended exactly when it is not live"
    ),
    ...attempts.flatMap(({ id }) => spanViolations(id, facts))
  ]
}

const spanViolations = (id: string, { spans }: Facts): ReadonlyArray<string> => {
  const sequence = spans.filter(({ attemptId }) => attemptId === id).map(({ sequenceId }) => sequenceId).toSorted((
    a,
    b
  ) => a - b)
  return sequence.every((sequenceId, index) => sequenceId === index + 1)
    ? []
    : [`I21 spans of ${id} are numbered ${sequence.join()}`]
}

const resourcesViolations = ({ resources }: Facts): ReadonlyArray<string> => {
  const latest = resources.filter(({ isLatest }) => isLatest === 1)
  return [
    ...(resources.length > 0 && latest.length !== 1 ? [`I22 ${latest.length} versions are the latest`] : []),
    ...(resources.every(({ version }, index) => version === index + 1) ? [] : ["I22 versions have gaps"]),
    ...(resources.every(({ parentVersion, version }) =>
        version === 1 ? parentVersion === null : parentVersion! < version
      )
      ? []
      : ["I22 a version without an earlier parent"])
  ]
}

const duplicates = (keys: ReadonlyArray<string>) => keys.filter((key, index) => keys.indexOf(key) !== index)

/** Whatever is wrong with the step from one state to the next. */
export const forbidden = (before: Facts, after: Facts, step: Step): ReadonlyArray<string> => [
  ...before.rollouts.flatMap((was) => {
    const is = after.rollouts.find(({ id }) => id === was.id)
    return is === undefined ? [`${was.id} is gone`] : rolloutStep(was, is, before, after, step)
  }),
  ...before.attempts.flatMap((was) => {
    const is = after.attempts.find(({ id }) => id === was.id)
    if (is === undefined) return [`${was.id} is gone`]
    if (!canMoveAttempt(was.status, is.status)) return [`${was.id} moved from ${was.status} to ${is.status}`]
    return isHeld(was) || same(was, is) ? [] : [`I24 ${was.id} changed after its end`]
  }),
  ...kept(before.rewards, after.rewards, "I12 a reward changed"),
  ...kept(before.control, after.control, "I14 the control log changed"),
  ...kept(before.resources.map(fixed), after.resources.map(fixed), "I22 a version changed")
]

const rolloutStep = (
  was: RolloutRow,
  is: RolloutRow,
  before: Facts,
  after: Facts,
  { nowMs, operation }: Step
): ReadonlyArray<string> => {
  const says = (holds: boolean, what: string) => holds ? [] : [`${what} (${is.id}, ${operation})`]
  const hasNewEpoch = is.epoch !== was.epoch
  const started = is.attempts > was.attempts
  const desired = before.runs.find(({ id }) => id === is.runId)?.desired
  const isPutBack = isHeld(was) && is.status === "requeuing"
  const isRetried = operation === "beginRun" && was.status === "failed" && is.status === "requeuing"
  return [
    ...says(is.epoch >= was.epoch, "I2 the epoch fell"),
    ...says(
      canMoveRollout(was.status, is.status) ||
        operation === "succeedAtOnce" && was.status === "preparing" && is.status === "succeeded",
      `I3 a move from ${was.status} to ${is.status}`
    ),
    ...says(!isTerminal(was) || same(was, is) || isRetried, "I3 changed after its end"),
    ...says(was.owner === null || is.owner === null || was.owner === is.owner, "I4 another owner without a requeue"),
    ...says(!(isHeld(was) && isHeld(is) && hasNewEpoch), "I5 a new epoch without a requeue"),
    ...says(!started || is.epoch === was.epoch + 1, "I2 a claim without a new epoch"),
    ...says(!started || isHeld(is) && is.owner !== null && was.runAtMs <= nowMs, "I19 claimed before it was due"),
    ...says(!started || desired === "run", "I23 claimed while its run is not to run"),
    ...says(
      operation !== "rescue" || !isHeld(was) || isHeld(is) || was.leaseUntilMs! < nowMs,
      "I13 a live lease was swept"
    ),
    ...says(
      !isPutBack || operation === "release" || operation === "beginRun" || is.runAtMs > nowMs,
      "I19 put back without a pause"
    ),
    ...says(
      is.status !== "requeuing" || was.status === "requeuing" || is.runAtMs <= nowMs + pauseMaxMs,
      "I19 the pause has no end"
    ),
    ...says(
      !isHeld(was) || !isHeld(is) || hasNewEpoch || is.leaseUntilMs! >= was.leaseUntilMs!,
      "I18 a lease became shorter"
    ),
    ...says(
      is.status !== "cancelled" || was.status === "cancelled" || is.epoch > was.epoch,
      "I24 cancelled without a fence"
    ),
    ...says(is.resourcesVersion === was.resourcesVersion, "I22 a rollout changed its resources"),
    ...says(
      is.failures === was.failures || operation === "fail" && is.failures === was.failures + 1 ||
        isRetried && is.failures === 0,
      "a failure that nobody reported"
    ),
    ...says(
      is.crashes === was.crashes ||
        ["rescue", "abandon", "beginRun"].includes(operation) && is.crashes === was.crashes + 1,
      "a crash that nobody saw"
    ),
    ...(isHeld(was) && !isHeld(is) && after.attempts.some((attempt) => attempt.rolloutId === is.id && isHeld(attempt))
      ? [`I9 its attempt goes on (${is.id})`]
      : [])
  ]
}

const same = (a: object, b: object) => JSON.stringify(a) === JSON.stringify(b)
const fixed = ({ parentVersion, sha256, version }: Facts["resources"][number]) => ({ version, sha256, parentVersion })
const kept = (before: ReadonlyArray<unknown>, after: ReadonlyArray<unknown>, what: string) => {
  const rows = new Set(after.map((row) => JSON.stringify(row)))
  return before.every((row) => rows.has(JSON.stringify(row))) ? [] : [what]
}
