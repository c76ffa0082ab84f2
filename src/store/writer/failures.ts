/** What went wrong with the store, in the words of `StoreError`, from what SQLite and the file system throw. */
import { fileTrouble } from "../../domain/FileTrouble.js"
import { RefusedFile } from "./Database.js"
import type { Failure, StoreFailureReason } from "./protocol.js"

export const codeOf = (error: unknown): string => {
  const code = (error as { readonly code?: unknown } | null)?.code
  return typeof code === "string" ? code : ""
}

const reasons: ReadonlyArray<readonly [RegExp, StoreFailureReason]> = [
  [/^SQLITE_(BUSY|LOCKED)/, "locked"],
  [/^(SQLITE_FULL|SQLITE_IOERR_SHMSIZE|ENOSPC)/, "full"],
  [/^SQLITE_(CORRUPT|NOTADB|IOERR_CORRUPTFS)/, "corrupt"],
  [/^(SQLITE_IOERR|EIO)/, "io"],
  [/^(SQLITE_READONLY|SQLITE_CANTOPEN|EACCES|EROFS|EPERM)/, "read-only"]
]

export const failureOf = (error: unknown): Failure => {
  if (error instanceof RefusedFile) return { reason: error.reason, message: error.message }
  const code = codeOf(error)
  return { reason: reasons.find(([pattern]) => pattern.test(code))?.[1] ?? "other", message: messageOf(error, code) }
}

/** SQLite's words leave out its code, those of the file system do not. */
const messageOf = (error: unknown, code: string): string => {
  const message = error instanceof Error ? error.message : String(error)
  const path = (error as { readonly path?: unknown } | null)?.path
  if (typeof path === "string") return `${path}: ${fileTrouble({ code, message })}`
  return code === "" ? message : `${message} (${code})`
}
