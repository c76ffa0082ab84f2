import { closeSync, openSync, rmSync, writeSync } from "node:fs"
import { withoutQuery } from "../openai/Endpoint.js"
import { type RedactionRules, Redactor } from "../openai/Redaction.js"
import { redacted } from "../openai/Secrets.js"
import { bareNoteOf, begunFilesFor, noteOf, pathlessNoteOf, placeBytes } from "./writer/begunNotes.js"
import type { SpanIntent } from "./writer/spans.js"

/** What a process notes of its calls before they go anywhere (`writer/begunCalls.ts`). Plain functions: this runs for every call. */
export class BegunCalls {
  private readonly redactor: Redactor
  private readonly hasOwnPatterns: boolean
  private readonly buffer = Buffer.alloc(placeBytes)
  /** Places whose notes are of calls that have ended, and places without a note. */
  private ended: Array<number> = []
  private readonly empty: Array<number> = []
  private places = 0
  /** In memory and beside the store, by the names that the store has at the first note. */
  private files: readonly [NoteFile, NoteFile] | null = null
  /** Places from this one on are beside the store. */
  private besideFrom = Number.POSITIVE_INFINITY
  /** Until then nothing is tried, on `performance.now()`: on a full disk every try may take its time. */
  private retryAt = 0

  constructor(private readonly storePath: string, private readonly processId: string, rules: RedactionRules) {
    this.redactor = new Redactor(rules)
    this.hasOwnPatterns = rules.patterns.length > 0
  }

  /** Answers the place of the note, for `end`; -1 where none could be written. */
  begin(intent: SpanIntent): number {
    if (performance.now() < this.retryAt) return -1
    const place = this.ended.pop() ?? this.empty.pop() ?? this.places++
    if (this.write(place, this.bytesOf(intent))) return place
    this.retryAt = performance.now() + retryMs
    this.empty.push(place)
    return -1
  }

  /** The call has a row, or is lost: its place is free, and its note says nothing new. */
  end(place: number): void {
    if (place !== -1) this.ended.push(place)
  }

  /** Takes away the notes of calls that have ended. To be called now and then: their rows may be deleted, and must not come back. */
  tidy(): void {
    if (this.retryAt > performance.now()) return
    this.buffer[0] = lineEnd
    for (const place of this.ended) {
      this.write(place, 1)
      this.empty.push(place)
    }
    this.ended = []
  }

  /** Every call has ended. */
  close(): void {
    this.retryAt = Number.POSITIVE_INFINITY
    this.files?.forEach((file) => file.close())
  }

  /** Puts the note of a call into the buffer. Nothing is written of what may hold a secret. */
  private bytesOf(intent: SpanIntent): number {
    const note = noteOf(intent)
    const redactor = this.redactor.knowing(intent.secrets ?? none)
    // Escapes hide what they stand for; a text between tabs needs none.
    const isSafe = !note.includes("%") && redactor.isCleanJson(note)
    const bytes = isSafe ? this.put(note) : 0
    return bytes > 0 ? bytes : this.lessOf(intent, redactor)
  }

  /** The same with less in it: as much as may be, and fits. */
  private lessOf(intent: SpanIntent, redactor: Redactor): number {
    // Patterns of one's own may take long, and every other call waits for this one.
    if (!this.hasOwnPatterns) {
      const clean = cleanOf(intent, redactor)
      const bytes = this.put(noteOf(clean)) || this.put(pathlessNoteOf(clean))
      if (bytes > 0) return bytes
    }
    return this.put(bareNoteOf(intent))
  }

  /** 0 where it does not fit. */
  private put(note: string): number {
    if (Buffer.byteLength(note) >= placeBytes) return 0
    const bytes = this.buffer.write(note)
    this.buffer[bytes] = lineEnd
    return bytes + 1
  }

  private write(place: number, bytes: number): boolean {
    const [inMemory, beside] = this.files ??= filesFor(this.storePath, this.processId)
    try {
      if (place < this.besideFrom) {
        inMemory.write(this.buffer, bytes, place)
        return true
      }
    } catch {
      // There is no such folder, or no room in it for one more place: those before stay where they are.
      this.besideFrom = place
    }
    try {
      beside.write(this.buffer, bytes, place)
      return true
    } catch {
      // On a full disk, say: what is committed tells of the calls, as far as it goes.
      return false
    }
  }
}

const retryMs = 10_000

/** Made with the first note in it. */
class NoteFile {
  private descriptor: number | null = null

  constructor(private readonly path: string) {}

  write(buffer: Buffer, bytes: number, place: number): void {
    this.descriptor ??= openSync(this.path, "wx", 0o600)
    writeSync(this.descriptor, buffer, 0, bytes, place * placeBytes)
  }

  close(): void {
    if (this.descriptor === null) return
    closeSync(this.descriptor)
    rmSync(this.path, { force: true })
  }
}

const filesFor = (storePath: string, processId: string): readonly [NoteFile, NoteFile] => {
  const [inMemory, beside] = begunFilesFor(storePath, processId)
  return [new NoteFile(inMemory), new NoteFile(beside)]
}

const lineEnd = 0x0a
const none: ReadonlyArray<string> = []

/** Its texts as the row has them: without what looks like a secret. */
const cleanOf = (intent: SpanIntent, redactor: Redactor): SpanIntent => ({
  ...intent,
  traceId: redactor.label(intent.traceId),
  rolloutId: redactor.label(intent.rolloutId),
  attemptId: redactor.label(intent.attemptId),
  path: shortOf(redactor, withoutQuery(intent.path))
})

/** A path that does not fit is not worth the search: every call waits for it. */
const shortOf = (redactor: Redactor, path: string): string =>
  path.length < placeBytes ? redactor.label(path) : `/${redacted}`
