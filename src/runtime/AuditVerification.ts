/** Whether the control log is as it was written: the chain in the store, and the audit file against it. */
import * as Effect from "effect/Effect"
import { AuditTrail, breakIn, type ControlEntry } from "../store/AuditTrail.js"
import type { StoreError } from "../store/StoreError.js"
import { auditRowOf } from "./ControlFiles.js"
import { type FileError, readLog } from "./DurableFile.js"

export interface AuditVerdict {
  /** The first thing that is wrong, in words; null when nothing is. What the store itself shows comes first. */
  readonly broken: string | null
  /** Rows of the store whose chain holds, and the hash of the last of them: it stands for all of them. */
  readonly rows: number
  readonly headHash: string | null
  /** The first row of the store that breaks the chain, in words; null when it is whole. */
  readonly brokenChain: string | null
  readonly file: {
    readonly present: boolean
    /** The first line that does not show what the store has, in words; null when all do. */
    readonly broken: string | null
    /** Rows of the store that it shows as they are, up to the first that it does not. */
    readonly rows: number
    /** Rows that it does not show yet: the next verb adds them. 0 where something is wrong, which no verb mends. */
    readonly behind: number
    /** Rows of verbs that found no store: nothing vouches for them. */
    readonly withoutStore: number
  }
}

const pageRows = 500

/** Reads every row of both. Each is followed to its own first fault: a line that was changed says nothing of the store. */
export const verifyAudit = (auditFile: string): Effect.Effect<AuditVerdict, FileError | StoreError, AuditTrail> =>
  Effect.gen(function*() {
    const trail = yield* AuditTrail
    const content = yield* readLog(auditFile)
    const { broken: malformed, lines, withoutStore } = linesOf(content ?? "")
    let before: ControlEntry | null = null
    let seen = 0
    let alike = 0
    let brokenChain: string | null = null
    let unlikeLine: string | null = null
    while (brokenChain === null) {
      const page: ReadonlyArray<ControlEntry> = yield* trail.after(before?.n ?? 0, pageRows)
      if (page.length === 0) break
      for (const entry of page) {
        brokenChain = breakIn(before, entry)
        if (brokenChain !== null) break
        const line = lines[seen]
        if (line !== undefined && unlikeLine === null) {
          unlikeLine = unlike(line, entry)
          if (unlikeLine === null) alike += 1
        }
        before = entry
        seen += 1
      }
    }
    // From the row on that breaks the chain there is nothing that the file could be held against.
    const beyond = brokenChain === null ? lines[seen] : undefined
    const brokenFile = unlikeLine ?? malformed
      ?? (beyond === undefined ? null : excess(beyond, seen))
    return {
      broken: brokenChain ?? brokenFile,
      rows: seen,
      headHash: before?.hash ?? null,
      brokenChain,
      file: {
        present: content !== null,
        broken: brokenFile,
        rows: alike,
        // A verb adds what comes after the last row shown: it mends no line before that.
        behind: brokenChain === null && brokenFile === null ? seen - lines.length : 0,
        withoutStore
      }
    }
  })

/** A line after those of all rows of the store. */
const excess = ({ line, n }: ShownRow, rows: number) =>
  n <= rows ? `line ${line} shows row ${n} again` : `line ${line} shows row ${n}, which the store does not have`

interface ShownRow {
  readonly line: number
  readonly n: number
  readonly text: string
}

/** The rows of the store that the file shows, up to the first line that is no row at all. */
const linesOf = (content: string) => {
  const lines: Array<ShownRow> = []
  let withoutStore = 0
  for (const [index, text] of content.replace(/\n$/, "").split("\n").entries()) {
    if (content === "") break
    const n = numberIn(text)
    if (n === undefined) {
      return { broken: `line ${index + 1} of the audit file is not an audit row`, lines, withoutStore }
    }
    if (n === null) withoutStore += 1
    else lines.push({ line: index + 1, n, text })
  }
  return { broken: null, lines, withoutStore }
}

/** Null for a row that names no row of the store, undefined for what is no row. */
const numberIn = (text: string): number | null | undefined => {
  try {
    const row = JSON.parse(text) as { readonly n?: unknown; readonly action_key?: unknown } | null
    if (typeof row?.action_key !== "string") return undefined
    return Number.isSafeInteger(row.n) ? row.n as number : null
  } catch {
    return undefined
  }
}

const unlike = ({ line, n, text }: ShownRow, entry: ControlEntry): string | null => {
  if (n !== entry.n) return `line ${line} of the audit file shows row ${n} where row ${entry.n} belongs`
  return text === JSON.stringify(auditRowOf(entry))
    ? null
    : `line ${line} of the audit file does not say what row ${n} of the store says`
}
