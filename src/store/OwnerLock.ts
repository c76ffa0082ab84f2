import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { readFileSync, writeFileSync } from "node:fs"
import { StoreBusy, StoreError } from "./StoreError.js"

/**
 * Holds `<store>.run-lock` until the scope closes: at most one live run per store.
 *
 * An exclusive transaction on a tiny database of its own: the kernel frees it the moment the holder dies, however it dies,
 * so there are no stale locks to clean up. A note beside it names the holder.
 */
export const hold = (storePath: string, holder: string): Effect.Effect<void, StoreBusy | StoreError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        const lock = new Sqlite(`${storePath}.run-lock`, { timeout: 0 })
        try {
          lock.pragma("journal_mode = DELETE")
          lock.exec("BEGIN EXCLUSIVE")
        } catch (error) {
          lock.close()
          throw error
        }
        writeFileSync(`${storePath}.run-lock.holder`, holder)
        return lock
      },
      catch: (error) =>
        (error as { readonly code?: string }).code === "SQLITE_BUSY"
          ? new StoreBusy({ path: storePath, holder: noteOf(storePath) })
          : new StoreError({ operation: "taking the run lock", reason: "other", detail: String(error) })
    }),
    (lock) => Effect.sync(() => lock.close())
  )

const noteOf = (storePath: string): string => {
  try {
    return readFileSync(`${storePath}.run-lock.holder`, "utf8")
  } catch {
    return "its holder left no note"
  }
}
