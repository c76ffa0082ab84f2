import { closeSync, constants, fstatSync, openSync, readSync, statSync, writeSync } from "node:fs"
import { dirname } from "node:path"
import { fileTrouble } from "../../domain/FileTrouble.js"
import { textJson } from "../../openai/Json.js"
import { makePrivateFolder } from "./PrivateFolder.js"
import type { FinishedSpan } from "./spans.js"

/** Without waiting: a pipe that nobody reads would hold up the thread that commits. Through no link, which may lead to any file. */
const appending = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK |
  constants.O_NOFOLLOW

/** The log may be rotated by its owner: so often it is looked whether the path still names the open file. */
const lookEveryMs = 1_000

/**
 * The JSONL file for outside tools that gets a line per finished call. A projection of the store: the spans are committed
 * whatever happens to it.
 */
export class AttributionLog {
  private fd: number | null = null
  private inode = 0
  readonly state: { lost: number; failure: string | null } = { lost: 0, failure: null }
  private lookedAt = Number.NEGATIVE_INFINITY
  /** The end of the last line found no room: what follows is not to go on with it. */
  private isCut = false

  constructor(private readonly path: string) {
    makePrivateFolder(dirname(path))
  }

  append(lines: ReadonlyArray<string>): void {
    if (lines.length === 0) return
    try {
      const fd = this.open()
      const bytes = Buffer.from(`${this.isCut ? "\n" : ""}${lines.join("\n")}\n`)
      // A disk that is just filling up takes a part, and says so by no error.
      const rest = bytes.subarray(writeSync(fd, bytes))
      this.isCut = rest.length > 0
      this.state.lost += Math.min(lines.length, rest.toString("latin1").split("\n").length - 1)
      this.state.failure = this.isCut ? `${this.path}: there is no room for all of a line` : null
    } catch (error) {
      this.close()
      this.state.lost += lines.length
      this.state.failure = `${this.path}: ${fileTrouble(error as NodeJS.ErrnoException)}`
    }
  }

  /** On a full disk every batch comes here: a descriptor that is left open would be one of many. */
  private close(): void {
    const { fd } = this
    this.fd = null
    try {
      if (fd !== null) closeSync(fd)
    } catch {
      // Some file systems say only now that there is no room.
    }
  }

  private open(): number {
    const now = performance.now()
    if (now - this.lookedAt > lookEveryMs) {
      this.lookedAt = now
      if (this.fd !== null && statSync(this.path, { throwIfNoEntry: false })?.ino !== this.inode) this.close()
    }
    if (this.fd === null) {
      this.fd = openSync(this.path, appending, 0o600)
      const file = fstatSync(this.fd)
      this.inode = file.ino
      // A file that is new, or that a process before this one has left.
      if (file.isFile()) this.isCut = file.size > 0 && lastByteOf(this.path, file.size) !== newline
    }
    return this.fd
  }
}

const newline = 0x0a

/** Of a file that may be written and not read, a line's end: it is not known to lack one. */
const lastByteOf = (path: string, size: number): number => {
  const byte = Buffer.of(newline)
  try {
    const fd = openSync(path, "r")
    try {
      readSync(fd, byte, 0, 1, size - 1)
    } finally {
      closeSync(fd)
    }
  } catch {
    // Its lines are the work of whoever made it so.
  }
  return byte[0]!
}

let noted: Array<string> = []

/** The call gets its line once its span's transaction is over. */
export const noteForLog = (span: FinishedSpan): void => void noted.push(lineOf(span))

/** The lines noted since the last call: of one transaction, or of one that was rolled back. */
export const takeNoted = (): ReadonlyArray<string> => {
  const lines = noted
  noted = []
  return lines
}

/** Put together by hand: an object of so many fields, only to be written down, costs twice as much. */
const lineOf = (span: FinishedSpan): string =>
  `{"schema_version":1,"timestamp_unix_ms":${Math.floor(span.endTimeUs / 1000)},"method":${textJson(span.method)}` +
  `,"path":${textJson(span.path)},"upstream_url":${textJson(span.upstreamUrl)},"rollout_id":${
    textJson(span.rolloutId)
  }` +
  `,"attempt_id":${textJson(span.attemptId)},"sequence_id":${sequenceOf(span)},"trace_id":${textJson(span.traceId)}` +
  `,"request_bytes":${span.requestBytes},"response_bytes":${span.responseBytes}` +
  `,"duration_ms":${Math.round((span.endTimeUs - span.startTimeUs) / 1000)}` +
  `${span.statusCode === null ? "" : `,"status_code":${span.statusCode}`}` +
  `${span.replayOf === undefined ? "" : `,"replay_of":${textJson(span.replayOf)}`}${errorOf(span)}}`

/** The client's number, which may be beyond what a number holds here: readers of the log may hold more. */
const sequenceOf = ({ clientSequenceId: id }: FinishedSpan): string =>
  typeof id === "string" ? id.replace(/^0+(?=\d)/, "") : String(id)

const errorOf = ({ errorCode, errorMessage }: FinishedSpan): string =>
  errorCode === null ? "" : `,"error_code":${textJson(errorCode)},"error_message":${JSON.stringify(errorMessage)}`
