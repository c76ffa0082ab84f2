import { realpathSync } from "node:fs"
import { resolve } from "node:path"

/** Of a store, however a process spells it, over links too; of one that is not there, as it is spelt. */
export const realPathOf = (path: string): string => {
  try {
    return realpathSync(path)
  } catch {
    return resolve(path)
  }
}

/** SQLite keeps the write-ahead log beside the file itself, not beside a link to it. */
export const logPathOf = (storePath: string): string => `${realPathOf(storePath)}-wal`
