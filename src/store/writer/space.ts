/** Whether there is room for more. */
import { statfsSync } from "node:fs"
import { dirname } from "node:path"
import type { Db } from "./Database.js"
import { heartbeatProcess } from "./processes.js"

/** Fails with ENOSPC unless so many bytes fit, both into the file's quota and on the disk; otherwise a heartbeat. */
export const findRoom = (
  db: Db,
  { bytes, processId }: { readonly bytes: number; readonly processId: string }
): null => {
  const pragma = (name: string) => db.connection.pragma(name, { simple: true }) as number
  const pages = pragma("max_page_count") - pragma("page_count") + pragma("freelist_count")
  const { bavail, bsize } = statfsSync(dirname(db.connection.name))
  const left = pages * pragma("page_size")
  const free = bavail * bsize
  if (Math.min(left, free) < bytes) {
    const room = left < free ? `the largest size of the store leaves ${left} bytes` : `the disk has ${free} bytes free`
    throw Object.assign(new Error(`${room}, ${bytes} are needed`), { code: "ENOSPC" })
  }
  return heartbeatProcess(db, { id: processId })
}
