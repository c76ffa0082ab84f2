/** The files that stand beside another while it is written, and what a kill leaves of them. */
import { randomBytes } from "node:crypto"
import { readdir, rm, stat } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { isAlive } from "./pids.js"

/** A name for what is to take the place of the file, of this process alone. */
export const temporaryOf = (file: string): string => `${file}.${process.pid}.${randomBytes(4).toString("hex")}.tmp`

/** Removes the files of a folder that are leftovers. Nothing is told of what cannot be read or removed. */
export const removeFrom = async (
  folder: string,
  isLeftover: (name: string, path: string) => boolean | Promise<boolean>
): Promise<void> => {
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name)
    if (await isLeftover(name, path)) await rm(path, { force: true }).catch(() => undefined)
  }
}

/** Removes what writers of this file left that were killed before it took its place. */
export const removeLeftoversOf = (file: string): Promise<void> => {
  const name = basename(file)
  return removeFrom(dirname(file), (found, path) => {
    const pid = found.startsWith(`${name}.`) ? ending.exec(found.slice(name.length))?.[1] : undefined
    if (pid === undefined) return false
    // In a container the next process may well have the pid of the one that was killed.
    return Number(pid) === process.pid
      ? stat(path).then(({ mtimeMs }) => mtimeMs < performance.timeOrigin, () => false)
      : !isAlive(Number(pid))
  })
}

const ending = /^\.([1-9]\d{0,9})\.[0-9a-f]{8}\.tmp$/
