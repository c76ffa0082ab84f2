import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { readFileSync, statSync } from "node:fs"
import { StoreBusy, StoreError } from "./StoreError.js"
import { failureOf } from "./writer/failures.js"
import { refuseLink, writePrivateFile } from "./writer/PrivateFile.js"
import { realPathOf } from "./writer/realPath.js"

/**
 * Holds `<store>.run-lock` until the scope closes: at most one live run per store, whatever links lead to it.
 *
 * An exclusive transaction on a tiny database of its own: the kernel frees it the moment the holder dies, however it dies,
 * so there are no stale locks to clean up. A note beside it names the holder.
 */
export const hold = (storePath: string, holder: string): Effect.Effect<void, StoreBusy | StoreError, Scope.Scope> =>
  Effect.zipRight(
    Effect.catchTag(
      lock(lockPath(storePath), "taking the run lock"),
      "LockHeld",
      () => new StoreBusy({ path: storePath, holder: noteOf(storePath) })
    ),
    Effect.try({
      try: () => writePrivateFile(notePath(storePath), holder),
      catch: refused("taking the run lock", notePath(storePath))
    })
  )

/** Another process has the lock now. */
export class LockHeld extends Schema.TaggedError<LockHeld>()("LockHeld", { file: Schema.String }) {}

/** Holds a file of its own as a lock until the scope closes, or fails at once. The file stays behind, empty. */
export const lock = (file: string, operation: string): Effect.Effect<void, LockHeld | StoreError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        refuseLink(file)
        const connection = new Sqlite(file, { timeout: 0 })
        try {
          connection.pragma("journal_mode = DELETE")
          connection.exec("BEGIN EXCLUSIVE")
        } catch (error) {
          connection.close()
          throw error
        }
        return connection
      },
      catch: (error) =>
        (error as { readonly code?: string }).code === "SQLITE_BUSY"
          ? new LockHeld({ file })
          : refused(operation, file)(error)
    }),
    (connection) => Effect.sync(() => connection.close())
  )

/** What is wrong with a file beside the store says nothing of the store: it is told by its own name. */
const refused = (operation: string, path: string) => (error: unknown): StoreError =>
  new StoreError({ operation, reason: "other", detail: failureOf(Object.assign(error as Error, { path })).message })

const lockPath = (storePath: string): string => `${realPathOf(storePath)}.run-lock`

const notePath = (storePath: string): string => `${lockPath(storePath)}.holder`

const noteOf = (storePath: string): string => {
  const path = notePath(storePath)
  try {
    if (statSync(path).isFile()) return readFileSync(path, "utf8")
  } catch {
    // It was never written, or is another's.
  }
  return "its holder left no note"
}
