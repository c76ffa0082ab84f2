import { createHash } from "node:crypto"
import type { Db } from "./Database.js"

export interface PublishResources {
  /** Canonical JSON of the values. */
  readonly resources: string
  readonly author: string
}

/** The version that holds these resources. New text becomes a new version and the latest; known text keeps its version. */
export const publishResources = (db: Db, { author, resources }: PublishResources): number => {
  const sha256 = createHash("sha256").update(resources).digest("hex")
  const known = db.prepare("SELECT version FROM resources WHERE sha256 = ?").get(sha256) as
    | { version: number }
    | undefined
  if (known !== undefined) return known.version
  const latest = latestVersion(db)
  const { version } = db.prepare("SELECT coalesce(max(version), 0) + 1 AS version FROM resources").get() as {
    version: number
  }
  db.prepare("UPDATE resources SET is_latest = 0 WHERE is_latest = 1").run()
  db.prepare(
    `INSERT INTO resources (version, resources_id, resources, sha256, parent_version, author, created_time, is_latest)
     VALUES (?, ?, ?, ?, ?, ?, ?, 1)`
  ).run(version, `resources-${version}-${sha256.slice(0, 8)}`, resources, sha256, latest, author, db.now)
  return version
}

/** The version a run works under: the given resources', else the latest, else an empty first version. */
export const useResources = (db: Db, resources: string | null, author: string): number =>
  resources === null
    ? latestVersion(db) ?? publishResources(db, { resources: "{}", author })
    : publishResources(db, { resources, author })

const latestVersion = (db: Db): number | null =>
  (db.prepare("SELECT version FROM resources WHERE is_latest = 1").get() as { version: number } | undefined)?.version ??
    null
