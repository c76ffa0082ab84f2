/** Opens the one writing connection of a process: pragmas, identity of the file, migrations, cached statements. */
import Sqlite from "better-sqlite3"
import { hash } from "node:crypto"
import { chmodSync, existsSync, statSync } from "node:fs"
import { dirname } from "node:path"
import { migrations } from "./migrations.js"
import { refuseLink, writePrivateFile } from "./PrivateFile.js"
import { makePrivateFolder } from "./PrivateFolder.js"
import { isPresent, openEntries } from "./processes.js"

/** "tau1" in ASCII: tells our files from any other SQLite application's. */
export const applicationId = 0x74617531

/** A file we refuse to touch, with the words for its owner. `reason` is one of `StoreError`'s. */
export class RefusedFile extends Error {
  constructor(readonly reason: "corrupt" | "foreign" | "read-only" | "other", message: string) {
    super(message)
  }
}

/** The connection, its statements by text, and the time. */
export interface Db {
  readonly connection: Sqlite.Database
  readonly prepare: (sql: string) => Sqlite.Statement
  /** The time of the operation under way, Unix milliseconds; never earlier than an earlier operation's (`StoreClock.ts`). */
  now: number
}

/** The file that says that a store held data. */
export const markerOf = (path: string): string => `${path}.initialised`

/** What is told of a store that is not there although its marker is. */
export const lostWords = (path: string): string =>
  `${path} is empty or gone, but ${
    markerOf(path)
  } says it held data: restore it from a backup, or remove the marker to start anew`

/** What is told of a file without a table whose marker is there: all it held stood in its write-ahead log. */
export const logLostWords = (path: string): string =>
  `${path} holds nothing, but ${
    markerOf(path)
  } says it held data: put ${path}-wal back beside it, restore a backup, or remove the marker to start anew`

/** What is told of a folder that is given for a store. */
export const folderWords = (path: string): string => `${path} is a folder; give the store's file`

/** A file that does not begin as SQLite's do, and never was a store: a config, say. One that was is damaged. */
export const isOfAnotherKind = (path: string, error: unknown): boolean =>
  (error as { readonly code?: unknown }).code === "SQLITE_NOTADB" && !existsSync(markerOf(path))

/** What is told of such a file. */
export const otherKindWords = (path: string): string => `${path} is no SQLite file`

/** `bytesMax` is the largest size of the file; null leaves it to the disk. */
export const open = (path: string, bytesMax: number | null = null): Db => {
  const marker = markerOf(path)
  if (existsSync(path) && statSync(path).isDirectory()) {
    throw new RefusedFile("foreign", folderWords(path))
  }
  const isNew = !existsSync(path) || statSync(path).size === 0
  if (isNew && existsSync(marker)) throw new RefusedFile("corrupt", lostWords(path))
  makeFolderOf(path)
  // A link to a store is its owner's way to keep it elsewhere; one that leads nowhere may be anybody's.
  if (!existsSync(path)) refuseLink(path)
  const connection = new Sqlite(path, { timeout: 60_000 })
  try {
    if (isNew) chmodSync(path, 0o600)
    connection.pragma("journal_mode = WAL")
    for (const pragma of pragmas) connection.pragma(pragma)
    // For migrations: SQLite itself has no SHA-256.
    connection.function("sha256", { deterministic: true }, (text) => hash("sha256", String(text), "hex"))
    if (!isCurrent(connection)) migrate(connection, path)
    if (bytesMax !== null) {
      const pageBytes = connection.pragma("page_size", { simple: true }) as number
      connection.pragma(`max_page_count = ${Math.max(1, Math.floor(bytesMax / pageBytes))}`)
    }
    // Long waits are for start-up only: afterwards a lock held elsewhere is waited for in short steps, with retries.
    connection.pragma("busy_timeout = 100")
  } catch (error) {
    connection.close()
    throw isOfAnotherKind(path, error) ? new RefusedFile("foreign", otherKindWords(path)) : error
  }
  // A link that leads nowhere counts as none.
  if (!existsSync(marker)) {
    writePrivateFile(marker, "A tau store lives beside this file. It guards against a store emptied by accident.\n")
  }
  const statements = new Map<string, Sqlite.Statement>()
  return {
    connection,
    now: 0,
    prepare: (sql) => {
      let statement = statements.get(sql)
      if (statement === undefined) statements.set(sql, statement = connection.prepare(sql))
      return statement
    }
  }
}

/** A full disk and missing rights are told of as they are of the file itself. */
const makeFolderOf = (path: string) => {
  try {
    makePrivateFolder(dirname(path))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== "ENOENT" && code !== "ENOTDIR" && code !== "EEXIST") throw error
    throw new RefusedFile("read-only", `its folder ${dirname(path)} cannot be made there`)
  }
}

/** FULL: an acknowledged commit survives power loss; group commit pays for it. better-sqlite3's own WAL default is NORMAL. */
const pragmas = [
  "synchronous = FULL",
  "foreign_keys = ON",
  // See Checkpoints.ts.
  "wal_autocheckpoint = 0",
  "journal_size_limit = 67108864",
  "cell_size_check = ON",
  "trusted_schema = OFF",
  "temp_store = MEMORY",
  "mmap_size = 0",
  // KiB. The ends of a few trees are written; what is older is the operating system's to remember.
  "cache_size = -6000"
]

/** A file with nothing to migrate is opened without its write lock, which a process that was stopped may hold for ever. */
const isCurrent = (connection: Sqlite.Database): boolean => {
  if (connection.pragma("application_id", { simple: true }) !== applicationId) return false
  const done = connection.prepare("SELECT sha256 FROM migrations ORDER BY n").pluck().all()
  return done.length === migrations.length && migrations.every(({ sql }, index) => done[index] === sha256Of(sql))
}

const sha256Of = (sql: string) => hash("sha256", sql, "hex")

const migrate = (connection: Sqlite.Database, path: string) => {
  const run = connection.transaction(() => {
    const id = connection.pragma("application_id", { simple: true })
    const tables = connection.prepare("SELECT count(*) AS n FROM sqlite_schema").get() as { n: number }
    if (id !== applicationId && tables.n > 0) {
      throw new RefusedFile("foreign", `${path} is a SQLite file of another application`)
    }
    if (tables.n === 0 && existsSync(markerOf(path))) throw new RefusedFile("corrupt", logLostWords(path))
    connection.pragma(`application_id = ${applicationId}`)
    connection.exec(`CREATE TABLE IF NOT EXISTS migrations
      (n INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL) STRICT`)
    const done = connection.prepare("SELECT n, name, sha256 FROM migrations ORDER BY n").all() as ReadonlyArray<
      { n: number; name: string; sha256: string }
    >
    if (done.length > migrations.length) {
      throw new RefusedFile(
        "other",
        `${path} was written by a newer version of tau (schema ${done.length}, this version knows ${migrations.length})`
      )
    }
    if (done.length > 0 && done.length < migrations.length) refuseBesideOlder(connection, path)
    for (const [index, { name, sql }] of migrations.entries()) {
      const sha256 = sha256Of(sql)
      const earlier = done[index]
      if (earlier !== undefined) {
        if (earlier.sha256 === sha256) continue
        throw new RefusedFile("other", `${path}: migration ${earlier.name} differs from the one this version knows`)
      }
      connection.exec(sql)
      connection.prepare("INSERT INTO migrations (n, name, sha256) VALUES (?, ?, ?)").run(index + 1, name, sha256)
    }
  })
  // IMMEDIATE: two processes that start at once must not both find an empty file.
  run.immediate()
}

/** A process of the version that wrote the store has statements of its schema: under another one it records nothing more. */
const refuseBesideOlder = (connection: Sqlite.Database, path: string) => {
  const nowMs = connection.prepare("SELECT unixepoch() * 1000").pluck().get() as number
  const present = openEntries(connection).find((entry) => isPresent(entry, nowMs))
  if (present === undefined) return
  throw new RefusedFile(
    "other",
    `${path} has an older schema, and a process of that version works on it ` +
      `(${present.kind}, pid ${present.pid} on ${present.host}): stop it first`
  )
}
