/**
 * The store in one SQLite file: a writer thread for every change, and a read-only connection for every question.
 *
 * Several processes may share the file: a recording proxy, a run, readers. Changes are short `BEGIN IMMEDIATE` transactions.
 */
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as String from "effect/String"
import { randomBytes } from "node:crypto"
import { hostname } from "node:os"
import { defaultRules } from "../openai/Redaction.js"
import { BegunCalls } from "./BegunCalls.js"
import { StoreError } from "./StoreError.js"
import { Writer } from "./Writer.js"
import type { RecordingRules } from "./writer/recorded.js"

/** How often a process says that it is there; processes on other hosts presume it dead after a minute of silence. */
const heartbeatInterval = "10 seconds"

/** This process as the store knows it: `host/pid/random`, new at every start. */
export class StoreProcess extends Context.Tag("tau/store/StoreProcess")<StoreProcess, {
  readonly id: string
  /** The store's file. */
  readonly path: string
  /** Calls of processes that had died, found open at this start and marked `unknown_after_crash`. */
  readonly unknownCalls: number
  /** What this process notes of calls that have begun. */
  readonly begun: BegunCalls
}>() {}

/** Which store a process opens, as what, and what it may write down there. */
export interface StoreOptions {
  readonly path: string
  /** What this process does with the store: `run`, `proxy`, `control`. */
  readonly kind: string
  /** JSONL file that gets a line per finished call, or null. */
  readonly attributionLogPath?: string | null
  /** Largest size of the file in bytes; what does not fit fails as on a full disk. */
  readonly bytesMax?: number | null
  /** What of calls may be written down; by default all but what looks like a secret. */
  readonly recording?: RecordingRules | null
}

/** Opens the file, making it if need be, and settles what dead processes left open. */
export const layer = (
  { attributionLogPath = null, bytesMax = null, kind, path, recording = null }: StoreOptions
): Layer.Layer<Writer | StoreProcess | SqlClient.SqlClient, StoreError> =>
  Layer.merge(storeProcess(kind, path, recording), reader(path)).pipe(
    Layer.provideMerge(Writer.layer({ path, attributionLogPath, bytesMax, recording }))
  )

const storeProcess = (kind: string, path: string, recording: RecordingRules | null) =>
  Layer.scoped(
    StoreProcess,
    Effect.gen(function*() {
      const writer = yield* Writer
      const id = `${hostname()}/${process.pid}/${randomBytes(4).toString("hex")}`
      const unknownCalls = yield* Effect.acquireRelease(
        Effect.mapError(
          writer.run("startProcess", { id, kind, pid: process.pid }),
          ({ detail, reason }) => new StoreError({ operation: "opening the store", reason, detail })
        ),
        () => Effect.ignore(writer.run("endProcess", { id }))
      )
      const begun = yield* Effect.acquireRelease(
        Effect.sync(() => new BegunCalls(path, id, recording?.redaction ?? defaultRules)),
        (notes) => Effect.sync(() => notes.close())
      )
      yield* Effect.sync(() => begun.tidy()).pipe(
        Effect.zipRight(Effect.ignore(writer.run("heartbeatProcess", { id }))),
        Effect.schedule(Schedule.spaced(heartbeatInterval)),
        Effect.forkScoped
      )
      return { id, path, unknownCalls, begun }
    })
  )

/** Opened only after the writer has made and migrated the file. */
const reader = (path: string) => Layer.unwrapEffect(Effect.as(Writer, readOnly(path)))

/** How long a reader waits for a file that another process has locked: SQLite waits for it within this thread. */
export const readerBusyMs = 5_000

/** Questions to a store that exists: makes no file, starts no thread, and leaves no trace of the asker. */
export const readOnly = (path: string, busyMs = readerBusyMs): Layer.Layer<SqlClient.SqlClient> =>
  SqliteClient.layer({
    filename: path,
    readonly: true,
    disableWAL: true,
    transformResultNames: String.snakeToCamel
  }).pipe(
    Layer.tap((context) => Context.get(context, SqlClient.SqlClient).unsafe(`PRAGMA busy_timeout = ${busyMs}`)),
    Layer.orDie
  )
