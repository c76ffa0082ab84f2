/** Whose call a span records: the run's whose attempt it names. */
import { reflectionOfAttempt } from "../../domain/AttemptName.js"
import type { Db } from "./Database.js"

export interface Owner {
  readonly runId: string
  /** Null for the calls of a run's own optimizer. */
  readonly resourcesVersion: number | null
  readonly isLive: number
  readonly isReflection: number
}

/** The run that made this attempt; a call attributed from outside, by another harness, has none. */
export const ownerOf = (db: Db, attemptId: string): Owner | undefined =>
  attemptOwner(db, attemptId) ?? reflectionOwner(db, attemptId)

const reflectionOwner = (db: Db, attemptId: string): Owner | undefined => {
  const reflection = reflectionOfAttempt(attemptId)
  return reflection === null ? undefined : db.prepare(
    `SELECT run_id AS runId, NULL AS resourcesVersion, 1 AS isLive, 1 AS isReflection
     FROM search_reflections WHERE run_id = ? AND n = ?`
  ).get(reflection.runId, reflection.n) as Owner | undefined
}

const attemptOwner = (db: Db, attemptId: string): Owner | undefined =>
  db.prepare(
    `SELECT r.run_id AS runId, a.resources_version AS resourcesVersion, a.status IN ('preparing', 'running') AS isLive,
       0 AS isReflection
     FROM attempts a JOIN rollouts r ON r.id = a.rollout_id WHERE a.id = ?`
  ).get(attemptId) as Owner | undefined
