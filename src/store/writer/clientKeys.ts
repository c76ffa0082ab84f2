import type { Db } from "./Database.js"

export interface NewClientKey {
  readonly id: string
  readonly name: string
  /** Hex SHA-256 of the secret, which itself is nowhere in the store. */
  readonly secretSha256: string
  /** `capture`, or the id of a run. */
  readonly scope: string
  readonly expiresAtMs: number | null
}

export const createClientKey = (db: Db, { expiresAtMs, id, name, scope, secretSha256 }: NewClientKey): null => {
  db.prepare(
    "INSERT INTO client_keys (id, name, secret_sha256, scope, created_at_ms, expires_at_ms) VALUES (?, ?, ?, ?, ?, ?)"
  ).run(id, name, secretSha256, scope, db.now, expiresAtMs)
  return null
}

/** Whether there is such a key. One that was revoked before stays as it was. */
export const revokeClientKey = (db: Db, { id }: { readonly id: string }): boolean =>
  db.prepare("UPDATE client_keys SET revoked_at_ms = coalesce(revoked_at_ms, ?) WHERE id = ?").run(db.now, id)
    .changes === 1

export const noteKeysUsed = (db: Db, { ids }: { readonly ids: ReadonlyArray<string> }): null => {
  for (const id of ids) db.prepare("UPDATE client_keys SET last_used_at_ms = ? WHERE id = ?").run(db.now, id)
  return null
}
