/** What the process and its writer thread say to each other. */
import type { StoreError } from "../StoreError.js"
import type { OperationName } from "./operations.js"
import type { RecordingRules } from "./recorded.js"

/**
 * Typed requests that commit together. They travel as JSON, which costs a third of cloning them, and their bodies packed in
 * one transferred buffer, since cloning a body copies the whole slab it lies in.
 */
export interface Batch {
  /** A `ReadonlyArray<SentRequest>`. */
  readonly requests: string
  /** The bodies of all requests, one after another. */
  readonly bytes: ArrayBuffer | null
  /** Ids of the spans whose requests were sent ahead and are not asked for any more, once this batch is over. */
  readonly forgotten?: ReadonlyArray<string>
}

/** The body of a request whose call is under way, to be read before its end is to be written. */
export interface SentAhead {
  /** An `AskedSpan`, as JSON. */
  readonly asked: string
  readonly bytes: ArrayBuffer
}

/** The input of `closeSpan` is a row (`SpanRow.ts`). The sizes are those of its bodies. */
export type SentRequest = readonly [
  operation: OperationName,
  input: unknown,
  nowMs: number,
  ...sizes: ReadonlyArray<number>
]

export type Outcome =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly failure: Failure }

/** An outcome on its way: a list around the value, or the failure. */
export type SentOutcome = readonly [value: unknown] | Failure

export interface Failure {
  readonly reason: StoreFailureReason
  readonly message: string
}

export type StoreFailureReason = StoreError["reason"]

export interface WriterOptions {
  readonly path: string
  /** JSONL file that gets a line per finished call, or null. */
  readonly attributionLogPath: string | null
  /** Largest size of the store's file in bytes, or null for what the disk holds. */
  readonly bytesMax: number | null
  /** What of calls may be written down; null for all but what looks like a secret. */
  readonly recording: RecordingRules | null
}

/** The first that the thread is told: which store it is for. */
export interface WriterData extends WriterOptions {
  /** Shared: since when the store has been at work, by `process.hrtime`; 0 while it is not, and while calls are read. */
  readonly storingSince: BigInt64Array
}

/** How the attribution log stands: lines lost so far, and why the last could not be appended, if it could not. */
export interface LogState {
  readonly lost: number
  readonly failure: string | null
}

export type ToWriter = Batch | SentAhead | "close"
/** `read` is what was sent ahead; any other text is a batch that was committed: `Committed` as JSON. */
export type FromWriter = { readonly _tag: "ready" } | { readonly _tag: "refused"; readonly failure: Failure } | string

/** One outcome for each request of the batch in its order, and how the log stands. */
export type Committed = readonly [outcomes: ReadonlyArray<SentOutcome>, log: LogState]
