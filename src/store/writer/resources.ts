import { hash } from "node:crypto"
import type { Db } from "./Database.js"
import { isDecided } from "./isDecided.js"

export interface PublishResources {
  /** Canonical JSON of the values. */
  readonly resources: string
  readonly author: string
}

/** The version that holds these resources. New text becomes a new version and the latest; known text keeps its version. */
export const publishResources = (db: Db, { author, resources }: PublishResources): number => {
  const { isNew, version } = versionOf(db, resources, () => ({ author, parent: latestVersion(db) }))
  if (isNew) makeLatest(db, version)
  return version
}

/**
 * The version a run works under: the given resources', else the latest, else an empty first version. What a config gives becomes
 * the latest until a gate or a person has decided which version is: a text that was only looked at replaces none that was chosen.
 */
export const useResources = (db: Db, resources: string | null, author: string): number => {
  if (resources === null) return latestVersion(db) ?? publishResources(db, { resources: "{}", author })
  const { version } = versionOf(db, resources, () => ({ author, parent: latestVersion(db) }))
  if (promotedVersion(db) === null) makeLatest(db, version)
  return version
}

/** The version with these resources: one that is there, else a new one, which does not become the latest. */
export const versionOf = (
  db: Db,
  resources: string,
  origin: () => { readonly author: string; readonly parent: number | null }
): { readonly version: number; readonly isNew: boolean } => {
  const sha256 = hash("sha256", resources, "hex")
  const known = db.prepare("SELECT version FROM resources WHERE sha256 = ?").get(sha256) as
    | { version: number }
    | undefined
  if (known !== undefined) return { version: known.version, isNew: false }
  const { author, parent } = origin()
  const { version } = db.prepare("SELECT coalesce(max(version), 0) + 1 AS version FROM resources").get() as {
    version: number
  }
  db.prepare(
    `INSERT INTO resources (version, resources_id, resources, sha256, parent_version, author, created_time, is_latest)
     VALUES (?, ?, ?, ?, ?, ?, ?, 0)`
  ).run(version, `resources-${version}-${sha256.slice(0, 8)}`, resources, sha256, parent, author, db.now)
  return { version, isNew: true }
}

/** Moves only the mark: versions are immutable, and rollouts keep the one they were enqueued with. */
export const makeLatest = (db: Db, version: number): void => {
  // In this order: at no moment may two versions be the latest.
  db.prepare("UPDATE resources SET is_latest = 0 WHERE is_latest = 1").run()
  db.prepare("UPDATE resources SET is_latest = 1 WHERE version = ?").run(version)
}

export const latestVersion = (db: Db): number | null =>
  (db.prepare("SELECT version FROM resources WHERE is_latest = 1").get() as { version: number } | undefined)?.version ??
    null

/** The latest, once a promotion or a rollback has decided that it is. */
export const promotedVersion = (db: Db): number | null =>
  (db.prepare(`SELECT version FROM resources WHERE is_latest = 1 AND ${isDecided}`).get() as
    | { version: number }
    | undefined)?.version ?? null
