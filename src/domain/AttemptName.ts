/** The ids of attempts, `<rollout>:attempt-<n>`, written and read; and those of the rollouts that reflections are recorded under. */

/** The id of the n-th attempt of a rollout, from 1. */
export const attemptName = (rolloutId: string, n: number): string => `${rolloutId}:attempt-${n}`

/** The rollout whose attempt an id names; null when it names none. */
export const rolloutOfAttempt = (attemptId: string): string | null => /^(.+):attempt-\d+$/s.exec(attemptId)?.[1] ?? null

/** Which attempt of its rollout an id names, from 1; 0 when it is none that a run has made. */
export const attemptNumberOf = (rolloutId: string, attemptId: string): number => {
  const beginning = `${rolloutId}:attempt-`
  if (!attemptId.startsWith(beginning)) return 0
  const number = attemptId.slice(beginning.length)
  return /^[1-9]\d{0,8}$/.test(number) ? Number(number) : 0
}

/** What the calls of a run's n-th reflection are attributed to. */
export const reflectionName = (runId: string, n: number): string => `${runId}-reflect-${String(n).padStart(4, "0")}`

/** The reflection whose attempt an id names; null when it names none. */
export const reflectionOfAttempt = (attemptId: string): { readonly runId: string; readonly n: number } | null => {
  const [, runId, n] = /^(.+)-reflect-(\d{4,}):attempt-\d+$/.exec(attemptId) ?? []
  return runId === undefined ? null : { runId, n: Number(n) }
}
