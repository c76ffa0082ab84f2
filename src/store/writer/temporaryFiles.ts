/** The files that stand beside another while it is written, and what a kill leaves of them. */
import { randomBytes } from "node:crypto"
import { readdir, rm, stat } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { isAlive } from "./pids.js"

/** A name for what is to take the place of the file, of this process alone. */
export const temporaryOf = (file: string): string => `${file}.${process.pid}.${randomBytes(4).toString("hex")}.tmp`

/** Removes what writers of this file left that were killed before it took its place. Nothing of what cannot be removed is told. */
export const removeLeftoversOf = async (file: string): Promise<void> => {
  const [folder, name] = [dirname(file), basename(file)]
  for (const found of await readdir(folder).catch(() => [])) {
    const pid = found.startsWith(`${name}.`) ? ending.exec(found.slice(name.length))?.[1] : undefined
    if (pid === undefined) continue
    const path = join(folder, found)
    // In a container the next process may well have the pid of the one that was killed.
    const isOver = Number(pid) === process.pid
      ? await stat(path).then(({ mtimeMs }) => mtimeMs < performance.timeOrigin, () => false)
      : !isAlive(Number(pid))
    if (isOver) await rm(path, { force: true }).catch(() => undefined)
  }
}

const ending = /^\.([1-9]\d{0,9})\.[0-9a-f]{8}\.tmp$/
