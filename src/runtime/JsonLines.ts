/**
 * JSONL files that follow rows of the store: append-only, every row once, also when the process is killed between the row's
 * commit and its line. The file itself says how far it has come: its last line names its row.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { lock } from "../store/OwnerLock.js"
import type { StoreError } from "../store/StoreError.js"
import { appendLine, cutTo, FileError, makeFolderOf, readLog, readText } from "./DurableFile.js"

/** A row of the store as the line it becomes, which is JSON with the row's number in a field `n`. */
export interface Line {
  readonly n: number
  readonly text: string
  /** A part of the text by which a line is known to be of this very row, and not of one that had its number once. */
  readonly mark?: string
}

const pageRows = 500
/** Longest wait for another process that appends to the same file. What it misses, the next writer makes good. */
const lockTries = { times: 100, schedule: Schedule.spaced("20 millis") }

/**
 * Appends what the file lacks; answers the number of the last row it has then. Fails when the file is not of this store, or of
 * a later state of it, as after a restored backup: what it would then lack could not be told.
 */
export const follow = (
  file: string,
  after: (n: number, limit: number) => Effect.Effect<ReadonlyArray<Line>, StoreError>
): Effect.Effect<number, FileError | StoreError> =>
  Effect.gen(function*() {
    yield* makeFolderOf(file)
    yield* lock(`${file}.lock`, `locking ${file}`).pipe(
      Effect.retry({ ...lockTries, while: ({ _tag }) => _tag === "LockHeld" }),
      Effect.catchTag("LockHeld", () => new FileError({ file, detail: "another process keeps it locked" }))
    )
    const content = (yield* readLog(file)) ?? ""
    const shown = lastOf(content)
    let last = shown.n
    if (last > 0) {
      const [row] = yield* after(last - 1, 1)
      if (row?.n !== last || !shown.text.includes(row.mark ?? "")) return yield* notOfThisStore(file, last)
    }
    let torn = content.slice(content.lastIndexOf("\n") + 1)
    while (true) {
      const lines = yield* after(last, pageRows)
      const [first] = lines
      if (first === undefined) return last
      // The beginning of this very line: a power cut tore it. Anything else is not ours to remove.
      if (torn !== "" && first.text.startsWith(torn)) {
        yield* cutTo(file, Buffer.byteLength(content) - Buffer.byteLength(torn))
      }
      torn = ""
      yield* appendLine(file, lines.map(({ text }) => text).join("\n"))
      last = lines.at(-1)!.n
    }
  }).pipe(Effect.scoped)

/** The number of the last row that the file has; 0 when it has none. */
export const lastIn = (file: string): Effect.Effect<number, FileError> =>
  Effect.map(readText(file), (content) => lastOf(content ?? "").n)

const notOfThisStore = (file: string, n: number) =>
  new FileError({
    file,
    detail:
      `it shows a row ${n} that the store does not have: a backup was restored, or another store in this folder wrote it; `
      + "move it away, and it is written anew"
  })

/** The line with the highest number that a whole line names. Lines that are no JSON name none. */
const lastOf = (content: string): Line => {
  let last: Line = { n: 0, text: "" }
  for (const text of content.split("\n")) {
    const n = numberIn(text)
    if (n > last.n) last = { n, text }
  }
  return last
}

const numberIn = (line: string): number => {
  try {
    const { n } = JSON.parse(line) as { readonly n?: unknown }
    return Number.isSafeInteger(n) ? n as number : 0
  } catch {
    return 0
  }
}
