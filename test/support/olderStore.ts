import Database from "better-sqlite3"
import { hash } from "node:crypto"
import { applicationId } from "../../src/store/writer/Database.js"
import { migrations } from "../../src/store/writer/migrations.js"

/** A store as the version before the migration of this name made it, open to be filled and closed. */
export const storeBefore = (migration: string, path: string): Database.Database => {
  const store = new Database(path)
  store.pragma(`application_id = ${applicationId}`)
  const sha256 = (text: unknown) => hash("sha256", String(text), "hex")
  store.function("sha256", { deterministic: true }, sha256)
  store.exec("CREATE TABLE migrations (n INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL) STRICT")
  const end = migrations.findIndex(({ name }) => name === migration)
  if (end === -1) throw new Error(`there is no migration ${migration}`)
  for (const [index, { name, sql }] of migrations.slice(0, end).entries()) {
    store.exec(sql)
    store.prepare("INSERT INTO migrations VALUES (?, ?, ?)").run(index + 1, name, sha256(sql))
  }
  return store
}
