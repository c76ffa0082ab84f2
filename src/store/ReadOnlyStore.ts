/**
 * A store for those who only ask: no thread, no lock, no migration, and nothing is written. Works beside a live process and
 * where the file system cannot be written.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { hash } from "node:crypto"
import type { Stats } from "node:fs"
import { accessSync, constants, copyFileSync, existsSync, mkdtempSync, rmSync, statfsSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { isAbsolute, join } from "node:path"
import * as Sqlite from "./Sqlite.js"
import { StoreError } from "./StoreError.js"
import {
  applicationId,
  folderWords,
  isOfAnotherKind,
  logLostWords,
  lostWords,
  markerOf,
  otherKindWords
} from "./writer/Database.js"
import { migrations } from "./writer/migrations.js"
import { logPathOf } from "./writer/realPath.js"

/** Fails when there is no store, when it is another application's file, or when its schema is not this version's. */
export const layer = (path: string): Layer.Layer<SqlClient.SqlClient, StoreError> =>
  Layer.unwrapScoped(Effect.map(openable(path), (file) => Sqlite.readOnly(file)))

/** The name under which the file can be opened, once it is known that it can be read: its own, or that of a copy. */
export const openable = (path: string, busyMs = Sqlite.readerBusyMs): Effect.Effect<string, StoreError, Scope.Scope> =>
  Effect.gen(function*() {
    const place = yield* seen(path)
    if (place?.isFile() !== true) return yield* absent(path)
    if (place.size === 0) return yield* problem("corrupt", `${path} is empty`)
    const found = look(path, path, busyMs)
    if (found === null) return path
    if (!found.isUnwritable) return yield* found.error
    // Reading needs files of SQLite's own beside the store: only a copy can have them where nothing can be written.
    const copy = yield* copied(path)
    const misfit = look(copy, path, busyMs)
    return misfit === null ? copy : yield* misfit.error
  })

/** What is at the path, if anything, once it is known that `refuseUnseen` need not refuse it. */
const seen = (path: string): Effect.Effect<Stats | undefined, StoreError> =>
  Effect.suspend(() => {
    if (isForbidden(path)) return problem("other", `${path} cannot be read: permission denied`)
    const place = placeAt(path)
    if (place?.isDirectory() === true) return problem("foreign", folderWords(path))
    return place === undefined && existsSync(markerOf(path))
      ? problem("corrupt", lostWords(path))
      : Effect.succeed(place)
  })

/**
 * Fails when this user may not see the file, when it is a folder, and when there is none although there was one with data in it:
 * none of them is a store that nobody made yet.
 */
export const refuseUnseen = (path: string): Effect.Effect<void, StoreError> => Effect.asVoid(seen(path))

/** The same, and where nobody made one. For those who open a store to write, which would make it. */
export const refuseAbsent = (path: string): Effect.Effect<void, StoreError> =>
  Effect.flatMap(seen(path), (place) => place === undefined ? absent(path) : Effect.void)

/** A path that begins nowhere in particular is of the folder that the command was given in, maybe the wrong one. */
const absent = (path: string) =>
  problem("other", `there is no store at ${path}${isAbsolute(path) ? "" : ` in ${process.cwd()}`}`)

const problem = (reason: StoreError["reason"], detail: string) =>
  new StoreError({ operation: "opening the store", reason, detail })

/** Somebody else's file, or in a folder of theirs. */
const isForbidden = (path: string): boolean => {
  try {
    accessSync(path, constants.R_OK)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EACCES"
  }
}

/** Below a file, behind links in a circle, or by a name that is too long there is nothing, as where nothing was made. */
const nowhere = new Set(["ENOTDIR", "ELOOP", "ENAMETOOLONG"])

const placeAt = (path: string): Stats | undefined => {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    if (nowhere.has((error as NodeJS.ErrnoException).code ?? "")) return undefined
    throw error
  }
}

const sizeOf = (path: string): number | null => {
  const place = placeAt(path)
  return place?.isFile() === true ? place.size : null
}

interface Refusal {
  readonly error: StoreError
  /** SQLite wanted to make its files beside the store and could not. */
  readonly isUnwritable: boolean
}

/** Null when the file is a store of this version's schema. */
const look = (file: string, path: string, busyMs: number): Refusal | null => {
  const refused = (error: StoreError) => ({ error, isUnwritable: false })
  try {
    const connection = new Database(file, { readonly: true, fileMustExist: true, timeout: busyMs })
    try {
      const id = connection.pragma("application_id", { simple: true })
      const tables = connection.prepare("SELECT count(*) FROM sqlite_schema").pluck().get()
      if (tables === 0 && existsSync(markerOf(path))) return refused(problem("corrupt", logLostWords(path)))
      if (id !== applicationId) return refused(problem("foreign", path))
      const done = connection.prepare("SELECT name, sha256 FROM migrations ORDER BY n").all() as ReadonlyArray<Step>
      const misfit = schemaMisfit(done)
      return misfit === null ? null : refused(problem("other", `${path} ${misfit}`))
    } finally {
      connection.close()
    }
  } catch (error) {
    if (isOfAnotherKind(path, error)) return refused(problem("foreign", otherKindWords(path)))
    const code = (error as { readonly code?: string }).code ?? ""
    const reason = /^SQLITE_(CORRUPT|NOTADB)/.test(code)
      ? "corrupt"
      : code.startsWith("SQLITE_BUSY")
      ? "locked"
      : "other"
    return {
      error: problem(reason, `${path}: ${error instanceof Error ? error.message : String(error)}`),
      isUnwritable: /^SQLITE_(CANTOPEN|READONLY|IOERR)/.test(code)
    }
  }
}

interface Step {
  readonly name: string
  readonly sha256: string
}

const schemaMisfit = (done: ReadonlyArray<Step>): string | null => {
  if (done.length > migrations.length) {
    return `was written by a newer version of tau (schema ${done.length}, this version knows ${migrations.length})`
  }
  const changed = done.find(({ sha256 }, index) => hash("sha256", migrations[index]!.sql, "hex") !== sha256)
  if (changed !== undefined) return `has a migration ${changed.name} that differs from the one this version knows`
  return done.length === migrations.length
    ? null
    : `has an older schema (${done.length}, this version reads ${migrations.length}); ` +
      "the next run, proxy or control verb that works on it brings it up to date"
}

/** A copy of the store and its write-ahead log in the system's folder for temporary files, removed with the scope. */
const copied = (path: string): Effect.Effect<string, StoreError, Scope.Scope> =>
  Effect.acquireRelease(
    attempted(() => mkdtempSync(join(tmpdir(), "tau-reading-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  ).pipe(Effect.flatMap((folder) =>
    attempted(() => {
      const log = logPathOf(path)
      const logBytes = sizeOf(log) ?? 0
      const wanted = (sizeOf(path) ?? 0) + logBytes
      const { bavail, bsize } = statfsSync(folder)
      if (wanted > bavail * bsize) {
        throw new Error(
          `${path} cannot be opened where it is, and a copy of ${wanted} bytes does not fit into ${tmpdir()}`
        )
      }
      const copy = join(folder, "store.sqlite")
      copyFileSync(path, copy)
      if (logBytes > 0) copyFileSync(log, `${copy}-wal`)
      return copy
    })
  ))

const attempted = <A>(step: () => A): Effect.Effect<A, StoreError> =>
  Effect.try({
    try: step,
    catch: (error) => problem("read-only", error instanceof Error ? error.message : String(error))
  })
