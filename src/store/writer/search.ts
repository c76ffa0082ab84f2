/** A search's steps. Each is a row before it is an action, with all that it starts in the same transaction. */
import { hash } from "node:crypto"
import type { Db } from "./Database.js"
import { latestVersion, makeLatest, promotedVersion, versionOf } from "./resources.js"

export interface SearchRollout {
  readonly id: string
  readonly mode: "train" | "val"
  readonly input: string
  /** Number of the candidate it runs. */
  readonly candidate: number
  readonly example: string
  readonly sample: number
}

export interface SearchStep {
  readonly runId: string
  readonly n: number
  /** See `chainOf`. */
  readonly chain: string
  /** Why the search must end instead of taking the step; what was decided the first time counts. */
  readonly stop: { readonly reason: string; readonly detail: string } | null
  /** Candidates first seen at this step. */
  readonly candidates: ReadonlyArray<
    {
      readonly n: number
      /** JSON of the texts by name. */
      readonly texts: string
      readonly parents: ReadonlyArray<number>
      readonly change: string | null
      readonly path: string
    }
  >
  /** Candidates first run at this step: canonical JSON of all resources. */
  readonly versions: ReadonlyArray<{ readonly n: number; readonly resources: string }>
  readonly rollouts: ReadonlyArray<SearchRollout>
  /** Reflections by their number in the run. */
  readonly reflections: ReadonlyArray<{ readonly n: number; readonly path: string; readonly promptSha256: string }>
  /** JSON objects, in order. */
  readonly events: ReadonlyArray<string>
  /** Number of the first event. */
  readonly eventsFrom: number
  readonly attemptsMax: number
  readonly author: string
}

export type TakenStep =
  /** The step as it stands, whether it was written now or before. */
  | { readonly _tag: "taken"; readonly stop: SearchStep["stop"] }
  /** Another step was written at this place: the optimizer, or what decides, has changed. */
  | { readonly _tag: "changed" }
  /** Not now: the run is paused, or is being cancelled. */
  | { readonly _tag: "held" }

export const takeSearchStep = (db: Db, step: SearchStep): TakenStep => {
  const known = db.prepare(
    "SELECT chain, stop_reason AS reason, stop_detail AS detail FROM search_steps WHERE run_id = ? AND n = ?"
  )
    .get(step.runId, step.n) as { chain: string; reason: string | null; detail: string | null } | undefined
  if (known !== undefined) {
    if (known.chain !== step.chain) return { _tag: "changed" }
    return { _tag: "taken", stop: known.reason === null ? null : { reason: known.reason, detail: known.detail ?? "" } }
  }
  const { desired } = db.prepare("SELECT desired FROM runs WHERE id = ?").get(step.runId) as { desired: string }
  if (desired !== "run") return { _tag: "held" }
  db.prepare(
    `INSERT INTO search_steps (run_id, n, chain, stop_reason, stop_detail, rollouts, reflections, at_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
  ).run(
    step.runId,
    step.n,
    step.chain,
    step.stop?.reason ?? null,
    step.stop?.detail ?? null,
    step.stop === null ? step.rollouts.length : 0,
    step.stop === null ? step.reflections.length : 0,
    db.now
  )
  if (step.stop === null) takeActions(db, step)
  return { _tag: "taken", stop: step.stop }
}

const takeActions = (db: Db, step: SearchStep) => {
  const { runId } = step
  for (const { change, n, parents, path, texts } of step.candidates) {
    db.prepare(
      "INSERT INTO search_candidates (run_id, n, step, texts, parents, change, path) VALUES (?, ?, ?, ?, ?, ?, ?)"
    )
      .run(runId, n, step.n, texts, JSON.stringify(parents), change, path)
  }
  for (const { n, resources } of step.versions) {
    db.prepare("UPDATE search_candidates SET resources_version = ? WHERE run_id = ? AND n = ?")
      .run(candidateVersion(db, step, n, resources), runId, n)
  }
  const { from } = db.prepare("SELECT coalesce(max(ordinal), -1) + 1 AS \"from\" FROM rollouts WHERE run_id = ?").get(
    runId
  ) as {
    from: number
  }
  const insert = db.prepare(
    `INSERT INTO rollouts (id, run_id, mode, ordinal, status, input, input_sha256, resources_version, run_at_ms, attempts_max,
                           created_at_ms, candidate, example, sample)
     VALUES (?, ?, ?, ?, 'queuing', ?, ?, (SELECT resources_version FROM search_candidates WHERE run_id = ? AND n = ?), ?, ?, ?,
             ?, ?, ?)`
  )
  for (const [index, rollout] of step.rollouts.entries()) {
    const sha256 = hash("sha256", rollout.input, "hex")
    insert.run(
      rollout.id,
      runId,
      rollout.mode,
      from + index,
      rollout.input,
      sha256,
      runId,
      rollout.candidate,
      db.now,
      step.attemptsMax,
      db.now,
      rollout.candidate,
      rollout.example,
      rollout.sample
    )
  }
  for (const { n, path, promptSha256 } of step.reflections) {
    db.prepare("INSERT INTO search_reflections (run_id, n, step, path, prompt_sha256) VALUES (?, ?, ?, ?, ?)")
      .run(runId, n, step.n, path, promptSha256)
  }
  for (const [index, data] of step.events.entries()) {
    db.prepare("INSERT INTO search_events (run_id, n, step, data) VALUES (?, ?, ?, ?)")
      .run(runId, step.eventsFrom + index, step.n, data)
  }
}

const candidateVersion = (db: Db, { author, runId }: SearchStep, n: number, resources: string): number =>
  versionOf(db, resources, () => {
    const { parent, path } = db.prepare(
      `SELECT c.path, coalesce(
         (SELECT p.resources_version FROM search_candidates p WHERE p.run_id = c.run_id AND p.n = c.parents ->> 0),
         (SELECT resources_version FROM runs WHERE id = c.run_id)) AS parent
       FROM search_candidates c WHERE c.run_id = ? AND c.n = ?`
    ).get(runId, n) as { path: string; parent: number }
    return { author: `${author} ${runId} ${path}`, parent }
  }).version

export interface BeginReflection {
  readonly runId: string
  readonly n: number
}

/** Counts one more try of a reflection, and answers its number: the attempt's id names it. */
export const beginReflection = (db: Db, { n, runId }: BeginReflection): number =>
  (db.prepare("UPDATE search_reflections SET attempts = attempts + 1 WHERE run_id = ? AND n = ? RETURNING attempts")
    .get(
      runId,
      n
    ) as { attempts: number }).attempts

export interface EndReflection {
  readonly runId: string
  readonly n: number
  /** The model's text, or why there is none. */
  readonly answer: string | null
  readonly failure: string | null
}

export const endReflection = (db: Db, { answer, failure, n, runId }: EndReflection): null => {
  db.prepare(
    "UPDATE search_reflections SET answer = ?, failure = ? WHERE run_id = ? AND n = ? AND answer IS NULL AND failure IS NULL"
  ).run(answer, failure, runId, n)
  return null
}

export interface OpenGate {
  readonly runId: string
  /** Which examples the gate holds: hex SHA-256 over their sorted ids. */
  readonly gateSet: string
  /** Gates of other runs that were opened over any of these examples. */
  readonly usedBefore: number
}

/** How often a gate has been opened, and what was the latest version then. */
export interface Opening {
  readonly k: number
  readonly incumbent: number
}

/** This run's opening of the gate: a run opens it once, however often it is resumed. */
export const openGate = (db: Db, { gateSet, runId, usedBefore }: OpenGate): Opening => {
  db.prepare(
    `INSERT INTO gate_openings (gate_set, k, run_id, incumbent, at_ms)
     SELECT ?, max(coalesce((SELECT max(k) FROM gate_openings WHERE gate_set = ?), 0), ?) + 1, ?,
            (SELECT version FROM resources WHERE is_latest = 1), ?
     WHERE NOT EXISTS (SELECT 1 FROM gate_openings WHERE gate_set = ? AND run_id = ?)`
  ).run(gateSet, gateSet, usedBefore, runId, db.now, gateSet, runId)
  return db.prepare("SELECT k, incumbent FROM gate_openings WHERE gate_set = ? AND run_id = ?").get(
    gateSet,
    runId
  ) as Opening
}

export interface EndSearch {
  readonly runId: string
  /** JSON: what the search found and what the gate said. */
  readonly result: string
  /** The version that becomes the latest, and by whose decision; null when none does. */
  readonly promotion: {
    readonly version: number
    readonly decision: "gate" | "forced"
    readonly principal: string | null
  } | null
}

/**
 * The result, and with it the promotion. Where somebody made another version the latest while the gate was open, the gate says
 * nothing of that one: there is no promotion, and the result says so (`overtakenBy`). A search ends once: a second call changes
 * nothing. Answers the result as it is stored.
 */
export const endSearch = (db: Db, { promotion, result, runId }: EndSearch): string => {
  const overtakenBy = promotion?.decision === "gate" ? latestInsteadOf(db, runId) : null
  const { changes } = db.prepare(
    "INSERT INTO search_results (run_id, result, at_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
  )
    .run(
      runId,
      overtakenBy === null ? result : JSON.stringify({ ...JSON.parse(result), promotedVersion: null, overtakenBy }),
      db.now
    )
  if (changes === 1 && promotion !== null && overtakenBy === null) {
    recordPromotion(db, { runId, reason: null, ...promotion })
  }
  return db.prepare("SELECT result FROM search_results WHERE run_id = ?").pluck().get(runId) as string
}

/** What is the latest version now, where it is not the one that was when the run's gate opened. */
const latestInsteadOf = (db: Db, runId: string): number | null => {
  const latest = latestVersion(db)
  const opening = db.prepare("SELECT 1 FROM gate_openings WHERE run_id = ? AND incumbent = ?").get(runId, latest)
  return opening === undefined ? latest : null
}

export interface Promote {
  readonly runId: string
  readonly version: number
  readonly decision: "gate" | "forced"
  readonly principal: string | null
  readonly reason: string | null
}

/**
 * Makes a version the latest against the gate's verdict, or without one, and says who did. Answers whether it did: it changes nothing
 * where that was decided already, as when two people decide at once.
 */
export const promote = (db: Db, input: Promote): boolean => {
  if (promotedVersion(db) === input.version) return false
  recordPromotion(db, input)
  return true
}

const recordPromotion = (db: Db, { decision, principal, reason, runId, version }: Promote) => {
  const replaced = latestVersion(db)
  makeLatest(db, version)
  db.prepare(
    "INSERT INTO promotions (at_ms, run_id, version, replaced, decision, principal, reason) VALUES (?, ?, ?, ?, ?, ?, ?)"
  ).run(db.now, runId, version, replaced, decision, principal, reason)
}
