/** Failures that a run does not go on over, and how the next start of it tries them anew. */
import { isHopeless, isNoEvaluation, isNoSearch, isSilent, latestSteps } from "../../domain/Noise.js"
import { GenAi } from "../../openai/GenAi.js"
import type { Db } from "./Database.js"
import { crashesMax, lastAttempt, retry } from "./rollouts.js"
import { allCounted } from "./runCounts.js"
import { askedAtOnce } from "./searchChain.js"
import { isUnanswered } from "./unanswered.js"

/** What its runner noted of the last attempt of a rollout named `r`. */
const lastBrokenBy = `(SELECT a.broken_by FROM attempts a WHERE a.id = ${lastAttempt})`

const lastTimedOut = `(SELECT a.status = 'timeout' FROM attempts a WHERE a.id = ${lastAttempt})`

const broken = "'upstream_cut', 'upstream_error', 'timeout', 'refused'"

/** A model's answer of a good status that no client can read: the page of a gateway, JSON that ends in the middle, or no choice. */
export const isUnreadable = (span: string) =>
  `(${span}.kind = 'llm' AND ${span}.status_code < 400 AND ${span}.attributes ->> '$."${GenAi.responseTruncated}"' IS NULL
  AND ${span}.attributes ->> '$."${GenAi.unassembled}"' IN ('response: not JSON', 'response: empty', 'response: not a JSON object',
    'response: no choices'))`

/** Want of capacity or connection. */
const isAway = (span: string) =>
  `(${span}.state IN (${broken}) OR ${span}.status_code = 429 OR ${span}.status_code >= 500)`

/** Want of a key or an account that is good, or of an answer that can be read. */
const isRefused = (span: string) => `(${span}.status_code IN (401, 402, 403) OR ${isUnreadable(span)})`

const isFault = (span: string) => `((${isAway(span)} OR ${isRefused(span)}) AND ${isUnanswered(span)})`

/** A state, a status or `unreadable`. */
const causeOf = (span: string) =>
  `CASE WHEN ${span}.state IN (${broken}) THEN ${span}.state WHEN ${span}.status_code < 400 THEN 'unreadable'
   ELSE CAST(${span}.status_code AS TEXT) END`

/** Its client left before there was any of an answer. */
const gotNothing = (span: string) => `(${span}.state = 'client_cancel' AND ${span}.status_code IS NULL)`

/** How long its client had got nothing more of an answer that had begun, when it left. */
const silentMs = (span: string) => `${span}.attributes ->> '$."${GenAi.silentMs}"'`

const nothingWentWellAfter = (span: string) =>
  `NOT EXISTS (SELECT 1 FROM spans later
   WHERE later.attempt_id = ${span}.attempt_id AND later.sequence_id > ${span}.sequence_id AND later.status_code < 400)`

/**
 * For more than half of its time an attempt named `a` waited in vain for answers that had not begun when it was ended, or stood still:
 * since it was answered last, and once where it asked several at a time. Who asks two and takes the first answer waits for none in vain.
 */
const waitedInVain = `(SELECT sum(max(0, until - max(since, passed))) FROM (
   SELECT since, until, max(
     coalesce((SELECT max(good.end_time_us) FROM spans good
       WHERE good.attempt_id = a.id AND good.status_code < 400 AND ${silentMs("good")} IS NULL), 0),
     coalesce(max(until) OVER (ORDER BY since ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)) AS passed
   FROM (
     SELECT iif(${gotNothing("s")}, s.start_time_us, s.end_time_us - 1000 * ${
  silentMs("s")
}) AS since, s.end_time_us AS until
     FROM spans s WHERE s.attempt_id = a.id AND s.kind = 'llm' AND s.state = 'client_cancel'
   ) WHERE since IS NOT NULL)
  ) > 500 * (a.ended_at_ms - a.started_at_ms)`

/**
 * What broke a failed rollout named `r`: `scorer` that could not judge, or what came of the last of its calls that failed for
 * want of capacity, connection, a key or account that is good, or an answer that can be read, and whose answer was not fetched
 * later: a state, a status or `unreadable`;
 * else `agent`, that could not be started or whose server did not answer or had no capacity; else `timeout` where most of its
 * time went by in calls that got nothing, or nothing more. Null for a failure of its agent. A refusal, or an answer, that a call
 * went well after was of that call alone, and so was what its client tried again with another end, unless time ran out over it.
 */
export const brokenBy =
  `CASE WHEN r.status <> 'failed' THEN NULL WHEN ${lastBrokenBy} = 'scorer' THEN 'scorer' ELSE coalesce((
  SELECT ${causeOf("s")}
  FROM spans s WHERE s.attempt_id = ${lastAttempt}
    AND (${isAway("s")} AND (s.retried_by IS NULL OR ${lastTimedOut}) OR ${isRefused("s")} AND ${
    nothingWentWellAfter("s")
  })
    AND ${isUnanswered("s")}
  ORDER BY s.sequence_id DESC LIMIT 1), ${lastBrokenBy},
  (SELECT 'timeout' FROM attempts a WHERE a.id = ${lastAttempt} AND ${waitedInVain})) END`

/**
 * What came of the last model call of an attempt (`?`) none of whose model calls was answered for such want. No row where one was,
 * and where there was none.
 */
export const unheard = `SELECT ${causeOf("s")} AS cause FROM spans s
   WHERE s.attempt_id = ? AND s.kind = 'llm' AND ${isFault("s")} AND NOT EXISTS (
     SELECT 1 FROM spans other WHERE other.attempt_id = s.attempt_id AND other.kind = 'llm'
       AND (${gotNothing("other")} OR ${isFault("other")}) IS NOT TRUE)
   ORDER BY s.sequence_id DESC LIMIT 1`

/** Whether a rollout named `r` failed without a word of a scorer. */
export const isUnjudged =
  `(r.status = 'failed' AND NOT EXISTS (SELECT 1 FROM rewards w WHERE w.attempt_id = ${lastAttempt}))`

interface Failed {
  readonly id: string
  readonly mode: string
  readonly ordinal: number
  readonly crashes: number
  readonly brokenBy: string | null
  readonly isUnjudged: 0 | 1
}

interface Step {
  readonly rollouts: number
  readonly chain: string
}

const madeIn = (steps: ReadonlyArray<Step>): number => steps.reduce((sum, { rollouts }) => sum + rollouts, 0)

/**
 * What the run stopped at is put back, with all its attempts before it: of an evaluation the broken rollouts, of a search those
 * of its last step and of the steps that the same was asked with, for its other steps were decided on and stay as they are.
 * Nothing where the run did not, and will not, stop for them: what it goes on over must not change when it is killed.
 */
export const retryBroken = (db: Db, runId: string): number => {
  const failed = db.prepare(
    `SELECT r.id, r.mode, r.ordinal, r.crashes, ${brokenBy} AS brokenBy, ${isUnjudged} AS isUnjudged
     FROM rollouts r WHERE r.run_id = ? AND r.status = 'failed'`
  ).all(runId) as ReadonlyArray<Failed>
  if (failed.length === 0) return 0
  const modes = db.prepare(
    `SELECT mode, sum(${allCounted}) AS rollouts
     FROM run_counts WHERE run_id = ? GROUP BY mode`
  ).all(runId) as ReadonlyArray<{ mode: string; rollouts: number }>
  const rollouts = modes.reduce((sum, mode) => sum + mode.rollouts, 0)
  const broken = failed.filter((rollout) => rollout.brokenBy !== null)
  const steps = db.prepare("SELECT rollouts, chain FROM search_steps WHERE run_id = ? ORDER BY n DESC").all(
    runId
  ) as ReadonlyArray<Step>
  const latest = madeIn(steps.slice(0, latestSteps(steps.map((step) => step.rollouts))))
  const isOfLast = (made: number) => ({ ordinal }: Failed) => ordinal >= rollouts - made
  const unjudged = failed.filter((rollout) => rollout.isUnjudged === 1).length
  const tallies = modes.map(({ mode, rollouts }) => ({
    rollouts,
    broken: broken.filter((rollout) => rollout.mode === mode).length
  }))
  /** A step with nothing of the kind is one that the search went on over. */
  const ofLastAsked = (stoppedFor: ReadonlyArray<Failed>) =>
    stoppedFor.some(isOfLast(madeIn(steps.slice(0, 1)))) ? stoppedFor.filter(isOfLast(madeIn(askedAtOnce(steps)))) : []
  const stoppedAt = steps.length === 0
    ? isNoEvaluation(tallies) ? broken : []
    : ofLastAsked(
      isNoSearch(
          { rollouts, broken: broken.length },
          { rollouts: latest, broken: broken.filter(isOfLast(latest)).length }
        )
        ? broken
        : isHopeless({ rollouts, unjudged })
        ? failed
        : []
    )
  // Who kills its workers stays where it is.
  const retried = stoppedAt.filter(({ crashes }) => crashes < crashesMax)
  for (const { id } of retried) retry(db, id)
  return retried.length
}

/**
 * The same for a search that lost its reflection model: the reflections of its last step, which all failed, are asked for again.
 * Answers how many.
 */
export const retrySilent = (db: Db, runId: string): number => {
  const reflections = db.prepare(
    `SELECT step, failure, step = (SELECT max(n) FROM search_steps WHERE run_id = ?) AS isLast
     FROM search_reflections WHERE run_id = ? ORDER BY n`
  ).all(runId, runId) as ReadonlyArray<{ step: number; failure: string | null; isLast: 0 | 1 }>
  if (reflections.at(-1)?.isLast !== 1) return 0
  const answered = reflections.findLast(({ failure }) => failure === null)?.step ?? -1
  if (!isSilent(reflections.flatMap(({ failure, step }) => failure !== null && step > answered ? [failure] : []))) {
    return 0
  }
  return db.prepare(
    "UPDATE search_reflections SET failure = NULL WHERE run_id = ? AND step = ? AND failure IS NOT NULL"
  )
    .run(runId, reflections.at(-1)!.step).changes
}
