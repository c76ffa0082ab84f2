/**
 * Calls that have begun, noted in a file before they go anywhere: a commit takes milliseconds, and a call that a killed process had
 * under way must not be missing. A note is one write of some microseconds into a place that later calls use again.
 *
 * The file is in memory where the system has a folder for that, as Linux does: a file system that is just at an fsync of the store
 * would hold the write up. Only a machine or a container that goes loses it, and with it what was begun some milliseconds before.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, rmSync, statSync } from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import {
  begunFilesBy,
  begunFilesOf,
  type BegunNames,
  begunNames,
  ending,
  intentOf,
  memory,
  placeBytes,
  processOf
} from "./begunNotes.js"
import type { Db } from "./Database.js"
import { isAlive } from "./pids.js"
import { cleanSpan } from "./recorded.js"
import { openSpan } from "./spans.js"

/** A pipe with no writer, and a link to one, would hold the store's only writer up. */
const reading = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** What is in a file; null where that is neither ours nor of the store's owner, for others may write to the folder, too. */
const bytesIn = (file: string, storePath: string): Buffer | null => {
  let descriptor: number | null = null
  try {
    descriptor = openSync(file, reading)
    const status = fstatSync(descriptor)
    const isOurs = status.uid === process.getuid?.() || status.uid === statSync(storePath).uid
    return status.isFile() && isOurs ? readFileSync(descriptor) : null
  } catch {
    return null
  } finally {
    if (descriptor !== null) closeSync(descriptor)
  }
}

const notesIn = (file: string, storePath: string): ReadonlyArray<string> => {
  const bytes = bytesIn(file, storePath) ?? none
  const notes: Array<string> = []
  for (let start = 0; start < bytes.length; start += placeBytes) {
    const place = bytes.subarray(start, start + placeBytes)
    const end = place.indexOf("\n")
    if (end > 0) notes.push(place.toString("utf8", 0, end))
  }
  return notes
}

const none = Buffer.alloc(0)

/**
 * Gives each call that a dead process had begun, and that has no row, the row of a call under way: its intent may not have been
 * committed yet, or could not be. Notes of calls that ended are some seconds old at most (`BegunCalls.tidy`), and so are their rows.
 */
export const openBegun = (db: Db, processId: string, listed: BegunNames): void => {
  const { name } = db.connection
  const intents = begunFilesBy(listed, processId).flatMap((file) => notesIn(file, name))
    .flatMap((note) => intentOf(note, processId) ?? [])
  // As they began, whatever places they had: the calls of an attempt are numbered as they come.
  for (const intent of intents.toSorted((a, b) => a.startTimeUs - b.startTimeUs)) {
    cleanSpan(intent)
    openSpan(db, intent)
  }
}

/** Takes away the files of processes that are known, for good, to have ended: of what could be read in them, the calls have rows. */
export const sweepBegun = (db: Db): void => {
  const listed = begunNames(db.connection.name)
  for (const { file, processId } of begunFilesOf(listed)) {
    const ended = db.prepare("SELECT 1 FROM processes WHERE id = ? AND ended_at_ms IS NOT NULL").get(processId)
    if (ended !== undefined && bytesIn(file, db.connection.name) !== null) remove(file)
  }
  const [inMemory] = listed
  for (const name of inMemory.names) {
    if (name.startsWith("tau-") && isForgotten(name, db.now)) remove(join(memory, name))
  }
}

/** Long enough that nobody who comes back to a store after a holiday misses a call. */
const forgottenMs = 30 * 86_400_000

/** Of a process of this host that died long ago, over a store that nobody has opened since. */
const isForgotten = (name: string, nowMs: number): boolean => {
  const [host, pid = ""] = processOf(name.slice(name.indexOf(".") + 1, -ending.length))?.split("/") ?? []
  if (host !== hostname()) return false
  const written = statSync(join(memory, name), { throwIfNoEntry: false })?.mtimeMs ?? nowMs
  return nowMs - written > forgottenMs && !isAlive(Number(pid))
}

/** A file that cannot be taken away is read again at a later start, which finds the rows. */
const remove = (file: string): void => {
  try {
    rmSync(file, { force: true })
  } catch {
    // It says nothing new.
  }
}
