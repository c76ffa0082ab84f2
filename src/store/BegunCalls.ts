import { closeSync, openSync, rmSync, writeSync } from "node:fs"
import { type RedactionRules, Redactor } from "../openai/Redaction.js"
import { bareNoteOf, begunFileOf, noteOf, pathlessNoteOf, placeBytes, plainPath } from "./writer/begunNotes.js"
import type { SpanIntent } from "./writer/spans.js"

/** What a process notes of its calls before they go anywhere (`writer/begunCalls.ts`). Plain functions: this runs for every call. */
export class BegunCalls {
  private file = ""
  private readonly redactor: Redactor
  private readonly hasOwnPatterns: boolean
  private readonly buffer = Buffer.alloc(placeBytes)
  private readonly free: Array<number> = []
  private places = 0
  /** Null before the first note. */
  private descriptor: number | null = null
  /** A note could not be written, or every call has ended. */
  private isBroken = false

  constructor(private readonly storePath: string, private readonly processId: string, rules: RedactionRules) {
    this.redactor = new Redactor(rules)
    this.hasOwnPatterns = rules.patterns.length > 0
  }

  /** Answers the place of the note, for `end`; -1 where none could be written. */
  begin(intent: SpanIntent): number {
    if (this.isBroken) return -1
    const place = this.free.pop() ?? this.places++
    this.write(place, this.bytesOf(intent))
    return this.isBroken ? -1 : place
  }

  /** The call has a row, or is lost: its place is free. The note in it says nothing new. */
  end(place: number): void {
    if (place !== -1) this.free.push(place)
  }

  /** Every call has ended. */
  close(): void {
    this.isBroken = true
    if (this.descriptor === null) return
    closeSync(this.descriptor)
    rmSync(this.file, { force: true })
  }

  private open(): number {
    this.file = begunFileOf(this.storePath, this.processId)
    return openSync(this.file, "wx+", 0o600)
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
    // At most three bytes for each unit of UTF-16.
    if (note.length * 3 >= placeBytes && Buffer.byteLength(note) >= placeBytes) return 0
    const bytes = this.buffer.write(note)
    this.buffer[bytes] = lineEnd
    return bytes + 1
  }

  private write(place: number, bytes: number): void {
    try {
      writeSync(this.descriptor ??= this.open(), this.buffer, 0, bytes, place * placeBytes)
    } catch {
      // On a full disk, say: what is committed tells of the calls, as far as it goes.
      this.isBroken = true
    }
  }
}

const lineEnd = 0x0a
const none: ReadonlyArray<string> = []

/** Its texts as the row has them: without what looks like a secret. */
const cleanOf = (intent: SpanIntent, redactor: Redactor): SpanIntent => ({
  ...intent,
  traceId: redactor.label(intent.traceId),
  rolloutId: redactor.label(intent.rolloutId),
  attemptId: redactor.label(intent.attemptId),
  path: redactor.label(plainPath(intent.path))
})
