/** Where the control sockets of a store's live processes are. */
import { lstatSync, readlinkSync, rmdirSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"
import { filesIn } from "../store/writer/filesIn.js"
import { isAlive } from "../store/writer/pids.js"
import { realPathOf } from "../store/writer/realPath.js"

/** A socket whose name beside the store would be too long is in a folder of its own, which starts with this. */
export const farFolderPrefix = "tau-socket-"

export const socketPathOf = (storePath: string, pid: number): string => `${realPathOf(storePath)}.${pid}.sock`

/** A socket file beside a store. */
export interface SocketFile {
  readonly pid: number
  /** The name beside the store. */
  readonly path: string
  /** Where to connect: elsewhere when the name is too long for a socket. */
  readonly target: string
}

/** Those that belong to this user, or to anybody when it is root that asks. */
export const socketsOf = (storePath: string): ReadonlyArray<SocketFile> => {
  return named(storePath).flatMap(({ path, pid }) => {
    const target = targetOf(path)
    return target === null ? [] : [{ pid, path, target }]
  })
}

/** Removes the sockets of processes of this machine that are gone. */
export const removeStale = (storePath: string): void => {
  for (const { path, pid } of named(storePath)) {
    if (isAlive(pid)) continue
    const target = targetOf(path)
    rmSync(path, { force: true })
    if (target !== null && target !== path) removeFar(target)
  }
}

/** A link may lead anywhere: only an empty folder that looks like one of ours goes with its socket. */
const removeFar = (target: string) => {
  const folder = dirname(target)
  if (dirname(folder) !== tmpdir() || !basename(folder).startsWith(farFolderPrefix)) return
  rmSync(target, { force: true })
  try {
    rmdirSync(folder)
  } catch {
    // Something else is in it, which is not ours to remove.
  }
}

const named = (storePath: string): ReadonlyArray<{ readonly pid: number; readonly path: string }> => {
  const path = realPathOf(storePath)
  const folder = dirname(path)
  const prefix = `${basename(path)}.`
  return filesIn(folder).flatMap((name) => {
    const [, pid] = name.startsWith(prefix) ? /^(\d{1,10})\.sock$/.exec(name.slice(prefix.length)) ?? [] : []
    return pid === undefined ? [] : [{ pid: Number(pid), path: join(folder, name) }]
  })
}

const targetOf = (path: string): string | null => {
  try {
    const target = lstatSync(path).isSymbolicLink() ? readlinkSync(path) : path
    const { uid } = statSync(target)
    const user = process.getuid?.()
    return statSync(target).isSocket() && (user === undefined || user === 0 || uid === user) ? target : null
  } catch {
    return null
  }
}
