import { closeSync, openSync, rmSync, writeSync } from "node:fs"
import { withoutQuery } from "../openai/Endpoint.js"
import { type RedactionRules, Redactor } from "../openai/Redaction.js"
import { redacted } from "../openai/Secrets.js"
import { NotePlaces } from "./NotePlaces.js"
import { bareNoteOf, begunFilesFor, noteOf, pathlessNoteOf, placeBytes } from "./writer/begunNotes.js"
import type { SpanIntent } from "./writer/spans.js"

/**
 * What a process notes of its calls before they go anywhere (`writer/begunCalls.ts`). Plain functions: this runs for every call.
 *
 * The notes of calls that begin in one turn of the event loop are written as one: a write costs as much as the rest of a note.
 */
export class BegunCalls {
  private readonly redactor: Redactor
  private readonly hasOwnPatterns: boolean
  private readonly places = new NotePlaces()
  /** Notes that are not written yet, each as far from the one before it as in the file. */
  private readonly buffer = Buffer.alloc(gatheredMax * placeBytes)
  private gathered = 0
  private firstGathered = 0
  /** Bytes of the last of them. */
  private lastBytes = 0
  private turn: NodeJS.Immediate | null = null
  /** What waits for the notes of this turn. */
  private leaving: Array<() => void> = []
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

  /** Notes a call, with those of this turn, and answers the place of the note, for `end`; -1 where none can be written now. */
  gather(intent: SpanIntent): number {
    if (performance.now() < this.retryAt) return -1
    const place = this.places.take()
    if (this.gathered === gatheredMax || place !== this.firstGathered + this.gathered) this.write()
    if (this.gathered === 0) this.firstGathered = place
    this.lastBytes = this.bytesOf(intent, this.gathered * placeBytes)
    this.gathered += 1
    // A call that is the only one has nobody to wait for.
    if (this.places.taken === 1) this.write()
    else this.turn ??= setImmediate(this.endOfTurn)
    return place
  }

  /** Has something done once the calls that were handed in are noted, as far as they can be. */
  whenNoted(then: () => void): void {
    if (this.gathered === 0) then()
    else this.leaving.push(then)
  }

  /** Notes a call at once; -1 where no note could be written. */
  begin(intent: SpanIntent): number {
    const place = this.gather(intent)
    this.write()
    if (place === -1 || performance.now() >= this.retryAt) return place
    this.places.leave(place)
    return -1
  }

  /** The call has a row, or is lost: its place is free, and its note says nothing new. */
  end(place: number): void {
    if (place !== -1) this.places.leave(place)
  }

  /** Takes away the notes of calls that have ended. To be called now and then: their rows may be deleted, and must not come back. */
  tidy(): void {
    this.write()
    if (this.retryAt > performance.now()) return
    for (const place of this.places.clear()) this.writeOne(place, emptyNote, 0, emptyNote.length)
  }

  private readonly endOfTurn = () => {
    this.turn = null
    this.write()
    const { leaving } = this
    this.leaving = []
    for (const then of leaving) then()
  }

  /** Every call has ended. */
  close(): void {
    this.retryAt = Number.POSITIVE_INFINITY
    this.gathered = 0
    this.files?.forEach((file) => file.close())
  }

  /** Puts the note of a call into the buffer, and answers its length. Nothing is written of what may hold a secret. */
  private bytesOf(intent: SpanIntent, offset: number): number {
    const note = noteOf(intent)
    const redactor = this.redactor.knowing(intent.secrets ?? none)
    // Escapes hide what they stand for; a text between tabs needs none.
    const isSafe = !note.includes("%") && redactor.isCleanJson(note)
    const bytes = isSafe ? this.put(note, offset) : 0
    return bytes > 0 ? bytes : this.lessOf(intent, redactor, offset)
  }

  /** The same with less in it: as much as may be, and fits. */
  private lessOf(intent: SpanIntent, redactor: Redactor, offset: number): number {
    // Patterns of one's own may take long, and every other call waits for this one.
    if (!this.hasOwnPatterns) {
      const clean = cleanOf(intent, redactor)
      const bytes = this.put(noteOf(clean), offset) || this.put(pathlessNoteOf(clean), offset)
      if (bytes > 0) return bytes
    }
    return this.put(bareNoteOf(intent), offset)
  }

  /** 0 where it does not fit. */
  private put(note: string, offset: number): number {
    // At most three bytes for each unit of UTF-16.
    if (note.length * 3 >= placeBytes && Buffer.byteLength(note) >= placeBytes) return 0
    const bytes = this.buffer.write(note, offset)
    this.buffer[offset + bytes] = lineEnd
    return bytes + 1
  }

  /** Writes what is gathered. */
  private write(): void {
    const { buffer, firstGathered, gathered, lastBytes } = this
    if (gathered === 0) return
    this.gathered = 0
    const last = (gathered - 1) * placeBytes
    const isInMemory = firstGathered + gathered <= this.besideFrom
    if (isInMemory && this.writeInMemory(firstGathered, buffer, 0, last + lastBytes)) return
    for (let note = 0; note < gathered; note++) {
      const offset = note * placeBytes
      if (this.writeOne(firstGathered + note, buffer, offset, offset < last ? placeBytes : lastBytes)) continue
      this.retryAt = performance.now() + retryMs
      return
    }
  }

  private writeOne(place: number, buffer: Buffer, offset: number, bytes: number): boolean {
    if (place < this.besideFrom) {
      if (this.writeInMemory(place, buffer, offset, bytes)) return true
      // There is no such folder, or no room in it for one more place: those before stay where they are.
      this.besideFrom = place
    }
    return tryTo(() => this.noteFiles[1].write(buffer, offset, bytes, place))
  }

  private writeInMemory(place: number, buffer: Buffer, offset: number, bytes: number): boolean {
    return tryTo(() => this.noteFiles[0].write(buffer, offset, bytes, place))
  }

  private get noteFiles(): readonly [NoteFile, NoteFile] {
    return this.files ??= filesFor(this.storePath, this.processId)
  }
}

/** False where it throws: on a full disk, say, where what is committed tells of the calls, as far as it goes. */
const tryTo = (write: () => void): boolean => {
  try {
    write()
    return true
  } catch {
    return false
  }
}

/** Most notes that are written as one. */
const gatheredMax = 16
const retryMs = 10_000

/** Made with the first note in it. */
class NoteFile {
  private descriptor: number | null = null

  constructor(private readonly path: string) {}

  write(buffer: Buffer, offset: number, bytes: number, place: number): void {
    this.descriptor ??= openSync(this.path, "wx", 0o600)
    const written = writeSync(this.descriptor, buffer, offset, bytes, place * placeBytes)
    if (written < bytes) throw new Error("there is no room for all of the notes")
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
const emptyNote = Buffer.of(lineEnd)
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
