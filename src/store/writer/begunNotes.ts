/** Where the notes of begun calls are, and what is in one: all that a process which makes calls needs of `begunCalls.ts`. */
import { hash } from "node:crypto"
import { basename, dirname, join } from "node:path"
import { withoutQuery } from "../../openai/Endpoint.js"
import { redacted } from "../../openai/Secrets.js"
import { filesIn } from "./filesIn.js"
import { realPathOf } from "./realPath.js"
import type { SpanIntent } from "./spans.js"

/** Bytes of a place. A note ends with a line's end. Three ids as long as they may be fit, with all that is as long as it always is. */
export const placeBytes = 1024

export const memory = "/dev/shm"
export const ending = ".begun"

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

const fileIn = ({ beginning, folder }: Place, processId: string) =>
  join(folder, `${beginning}${encodeURIComponent(processId)}${ending}`)

/** Where the notes of a store are, and what files of notes, of any store, are there. */
export type BegunNames = readonly [inMemory: Names, beside: Names]

interface Names extends Place {
  readonly names: ReadonlyArray<string>
}

/** The folder in memory may hold many: whoever asks several things of it lists it once. */
export const begunNames = (storePath: string): BegunNames => {
  const [inMemory, beside] = placesOf(storePath)
  return [namesIn(inMemory), namesIn(beside)]
}

const namesIn = (place: Place): Names => ({
  ...place,
  names: filesIn(place.folder).filter((name) => name.endsWith(ending))
})

/** The files of one process of a store, wherever that was when they were written: no two processes have one id. */
export const begunFilesBy = (listed: BegunNames, processId: string): ReadonlyArray<string> => {
  const end = `.${encodeURIComponent(processId)}${ending}`
  return listed.flatMap(({ folder, names }) =>
    names.filter((name) => name.endsWith(end)).map((name) => join(folder, name))
  )
}

/** Where a process notes its calls of a store that is there: in memory, and what does not go there beside the store. */
export const begunFilesFor = (storePath: string, processId: string): readonly [inMemory: string, beside: string] => {
  const [inMemory, beside] = placesOf(storePath)
  return [fileIn(inMemory, processId), fileIn(beside, processId)]
}

/** The files of all processes of a store, and whose they are. */
export const begunFilesOf = (
  listed: BegunNames
): ReadonlyArray<{ readonly file: string; readonly processId: string }> =>
  listed.flatMap(({ beginning, folder, names }) =>
    names.flatMap((name) => {
      if (!name.startsWith(beginning)) return []
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
  `${typeof span.clientSequenceId === "number" ? span.clientSequenceId : ""}\t${withoutQuery(span.path)}`

/** The same of a call whose path does not fit. */
export const pathlessNoteOf = (span: SpanIntent): string => noteOf({ ...span, path: `/${redacted}` })

/** The same of a call whose texts cannot be looked through here. */
export const bareNoteOf = (span: SpanIntent): string =>
  pathlessNoteOf({ ...span, traceId: redacted, parentId: null, rolloutId: redacted, attemptId: redacted })

/** Null for a place that holds no note. */
export const intentOf = (note: string, processId: string): SpanIntent | null => {
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

export const processOf = (encoded: string): string | null => {
  try {
    return decodeURIComponent(encoded)
  } catch {
    return null
  }
}
