/**
 * Calls that have begun, noted in a file before they go anywhere: a commit takes milliseconds, and a call that a killed process had
 * under way must not be missing. A note is one write of some microseconds into a place that later calls use again.
 *
 * The file is in memory where the system has a folder for that, as Linux does: a file system that is just at an fsync of the store
 * would hold the write up. Only a machine or a container that goes loses it, and with it what was begun some milliseconds before.
 */
import { hash } from "node:crypto"
import { accessSync, constants, readdirSync, readFileSync, realpathSync, rmSync, statSync } from "node:fs"
import { hostname } from "node:os"
import { basename, dirname, join, resolve } from "node:path"
import { redacted } from "../../openai/Secrets.js"
import type { Db } from "./Database.js"
import { isAlive } from "./pids.js"
import { cleanSpan } from "./recorded.js"
import { openSpan, type SpanIntent } from "./spans.js"

/** Bytes of a place. A note ends with a line's end. */
export const placeBytes = 512

const memory = "/dev/shm"
const ending = ".begun"

interface Place {
  readonly folder: string
  /** Of the files of this store. */
  readonly beginning: string
}

/** In memory, and beside the store. */
const placesOf = (storePath: string): readonly [Place, Place] => {
  const path = realPathOf(storePath)
  return [
    { folder: memory, beginning: `tau-${hash("sha256", path, "hex").slice(0, 16)}.` },
    { folder: dirname(path), beginning: `${basename(path)}.` }
  ]
}

/** However a process spells it; of a store that was moved away, as it is spelt. */
const realPathOf = (path: string): string => {
  try {
    return realpathSync(path)
  } catch {
    return resolve(path)
  }
}

const fileIn = ({ beginning, folder }: Place, processId: string) =>
  join(folder, `${beginning}${encodeURIComponent(processId)}${ending}`)

/** Where a process notes its calls of a store that is there. */
export const begunFileOf = (storePath: string, processId: string): string => {
  const [inMemory, beside] = placesOf(storePath)
  return fileIn(isWritable(memory) ? inMemory : beside, processId)
}

const isWritable = (folder: string): boolean => {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The files of all processes of a store, and whose they are. */
export const begunFilesOf = (
  storePath: string
): ReadonlyArray<{ readonly file: string; readonly processId: string }> =>
  placesOf(storePath).flatMap(({ beginning, folder }) =>
    filesIn(folder).flatMap((name) => {
      if (!name.startsWith(beginning) || !name.endsWith(ending)) return []
      const processId = processOf(name.slice(beginning.length, -ending.length))
      return processId === null ? [] : [{ file: join(folder, name), processId }]
    })
  )

/** A note: what a row of a call under way holds, without the query of its path, between tabs. */
export const noteOf = (span: SpanIntent): string =>
  `${span.spanId}\t${span.startTimeUs}\t${span.method}\t${
    span.isOverWebSocket === true ? "ws" : "http"
  }\t${span.traceId}\t` +
  `${span.parentId ?? ""}\t${span.rolloutId}\t${span.attemptId}\t` +
  `${typeof span.clientSequenceId === "number" ? span.clientSequenceId : ""}\t${plainPath(span.path)}`

/** The same of a call whose texts may hold a secret, or do not fit. */
export const bareNoteOf = (span: SpanIntent): string =>
  noteOf({ ...span, traceId: redacted, parentId: null, rolloutId: redacted, attemptId: redacted, path: `/${redacted}` })

const plainPath = (path: string): string => {
  const query = path.indexOf("?")
  return query === -1 ? path : path.slice(0, query)
}

/** Null for a place that holds no note. */
const intentOf = (note: string, processId: string): SpanIntent | null => {
  const values = note.split("\t")
  const [spanId, startTimeUs, method, wire, traceId, parentId, rolloutId, attemptId, sequence, path] = values
  if (values.length !== 10 || !isWhole(startTimeUs) || !isWhole(sequence || "0")) return null
  if (!spanId || !method || !traceId || !rolloutId || !attemptId || !path) return null
  return {
    spanId,
    startTimeUs: Number(startTimeUs),
    method,
    isOverWebSocket: wire === "ws",
    traceId,
    parentId: parentId || null,
    rolloutId,
    attemptId,
    clientSequenceId: sequence ? Number(sequence) : null,
    path,
    processId,
    caller: null
  }
}

const isWhole = (digits: string | undefined): boolean => Number.isSafeInteger(Number(digits || NaN))

/** None where the file is neither ours nor of the store's owner: others may write to the folder, too. */
const notesIn = (file: string, storePath: string): ReadonlyArray<string> => {
  try {
    const { uid } = statSync(file)
    if (uid !== process.getuid?.() && uid !== statSync(storePath).uid) return []
    const bytes = readFileSync(file)
    const notes: Array<string> = []
    for (let start = 0; start < bytes.length; start += placeBytes) {
      const end = bytes.indexOf("\n", start)
      if (end > start && end < start + placeBytes) notes.push(bytes.toString("utf8", start, end))
    }
    return notes
  } catch {
    return []
  }
}

/** A call that began earlier had a row long before its process was last heard of. */
const earlierUs = 60_000_000

/**
 * Gives each call that a dead process had begun lately, and that has no row, the row of a call under way. Older notes are of calls
 * that ended, in places that nobody needed again, whose rows may have been deleted since.
 */
export const openBegun = (db: Db, processId: string, lastHeardOfMs: number): void => {
  const files = placesOf(db.connection.name).map((place) => fileIn(place, processId))
  for (const note of files.flatMap((file) => notesIn(file, db.connection.name))) {
    const intent = intentOf(note, processId)
    if (intent === null || intent.startTimeUs < lastHeardOfMs * 1_000 - earlierUs) continue
    if (db.prepare("SELECT 1 FROM spans WHERE span_id = ?").get(intent.spanId) !== undefined) continue
    cleanSpan(intent)
    openSpan(db, intent)
  }
}

/** Takes away the files of processes that are known, for good, to have ended: their calls have rows. */
export const sweepBegun = (db: Db): void => {
  for (const { file, processId } of begunFilesOf(db.connection.name)) {
    const ended = db.prepare("SELECT 1 FROM processes WHERE id = ? AND ended_at_ms IS NOT NULL").get(processId)
    if (ended !== undefined) remove(file)
  }
  for (const name of filesIn(memory)) {
    if (name.startsWith("tau-") && name.endsWith(ending) && isForgotten(name, db.now)) remove(join(memory, name))
  }
}

const dayMs = 86_400_000

/** Of a process of this host that died a day ago or more, over a store that nobody has opened since. */
const isForgotten = (name: string, nowMs: number): boolean => {
  const [host, pid = ""] = processOf(name.slice(name.indexOf(".") + 1, -ending.length))?.split("/") ?? []
  const written = statSync(join(memory, name), { throwIfNoEntry: false })?.mtimeMs ?? nowMs
  return host === hostname() && nowMs - written > dayMs && !isAlive(Number(pid))
}

/** A file that cannot be taken away is read again at a later start, which finds the rows. */
const remove = (file: string): void => {
  try {
    rmSync(file, { force: true })
  } catch {
    // It says nothing new.
  }
}

const filesIn = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

const processOf = (encoded: string): string | null => {
  try {
    return decodeURIComponent(encoded)
  } catch {
    return null
  }
}
