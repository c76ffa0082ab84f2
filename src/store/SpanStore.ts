import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlSchema from "@effect/sql/SqlSchema"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { AttemptId, SpanId } from "../domain/Ids.js"
import { Span, type SpanState } from "../domain/Span.js"
import { type Page, pageOf, type PageRequest, type UnknownCursor } from "./Page.js"
import { ofOneMoment, orStoreError } from "./reading.js"
import { conditionsOf, lastLookedAt, rowsAfter, type SpanQuery } from "./spanQuery.js"
import type { StoreError } from "./StoreError.js"

/** Which recorded calls are meant; null leaves a property open. */
export interface SpanFilter {
  readonly runId: string | null
  /** Only calls that belong to no run of the store: what a proxy captured. */
  readonly captured: boolean
  readonly rolloutId: string | null
  readonly attemptId: string | null
  readonly kind: Span["kind"] | null
  readonly state: SpanState | null
  readonly model: string | null
  /** The agent's own session, as in `tau.session.id` or `gen_ai.conversation.id`, or an attempt, which is one where it is named. */
  readonly session: string | null
  /** Only these calls. */
  readonly spanIds: ReadonlyArray<string> | null
  readonly role: string | null
  /** Only calls that did not end well, or were answered with status 400 and above. */
  readonly failed: boolean
  /** Begun at or after, and before; Unix milliseconds. */
  readonly sinceMs: number | null
  readonly untilMs: number | null
}

export const anySpan: SpanFilter = {
  runId: null,
  captured: false,
  rolloutId: null,
  attemptId: null,
  kind: null,
  state: null,
  model: null,
  session: null,
  spanIds: null,
  role: null,
  failed: false,
  sinceMs: null,
  untilMs: null
}

export type SpanOrder = "oldest" | "newest"

/** The recorded calls, for reading. The proxy writes them through the writer thread. */
export class SpanStore extends Context.Tag("tau/store/SpanStore")<SpanStore, {
  /** In the order the attempt made them. */
  readonly byAttempt: (id: AttemptId) => Effect.Effect<ReadonlyArray<Span>, StoreError>
  /**
   * The calls that a filter fits, in order of time. A page may end before it is full: see `lookedAtMax`.
   */
  readonly list: (
    filter: SpanFilter,
    request: PageRequest & { readonly order: SpanOrder }
  ) => Effect.Effect<Page<Span>, StoreError | UnknownCursor>
  readonly get: (id: SpanId) => Effect.Effect<Option.Option<Span>, StoreError>
  /** A recorded body by its hash. */
  readonly payload: (sha256: string) => Effect.Effect<Option.Option<Uint8Array>, StoreError>
}>() {
  static readonly layer = Layer.effect(
    SpanStore,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient

      const byAttempt = SqlSchema.findAll({
        Request: AttemptId,
        Result: Span,
        execute: (id) => sql`SELECT * FROM spans WHERE attempt_id = ${id} ORDER BY sequence_id`
      })
      const get = SqlSchema.findOne({
        Request: SpanId,
        Result: Span,
        execute: (id) => sql`SELECT * FROM spans WHERE span_id = ${id}`
      })
      const payload = SqlSchema.findOne({
        Request: Schema.String,
        Result: Schema.Struct({ content: Schema.Uint8ArrayFromSelf }),
        execute: (sha256) => sql`SELECT content FROM payloads WHERE sha256 = ${sha256}`
      })

      const list = (query: SpanQuery, filter: SpanFilter, limit: number) =>
        Effect.flatMap(
          sql`SELECT * FROM (SELECT * ${query.rows}) WHERE ${conditionsOf(sql, filter)} LIMIT ${limit}`,
          decodeSpans
        )

      return SpanStore.of({
        list: (filter, { after, limit, order }) =>
          Effect.gen(function*() {
            const query = yield* rowsAfter(sql, filter, after, order)
            // Of one moment: a call that is recorded between the two questions would move where the page ends.
            return yield* orStoreError(
              "reading spans",
              ofOneMoment(
                sql,
                Effect.gen(function*() {
                  const page = pageOf(yield* list(query, filter, limit + 1), limit, ({ spanId }) => spanId)
                  return page.next === null ? { ...page, next: yield* lastLookedAt(sql, query) } : page
                })
              )
            )
          }),
        byAttempt: (id) => orStoreError("reading spans", byAttempt(id)),
        get: (id) => orStoreError("reading a span", get(id)),
        payload: (sha256) =>
          orStoreError("reading a payload", payload(sha256)).pipe(Effect.map(Option.map(({ content }) => content)))
      })
    })
  )
}

const decodeSpans = Schema.decodeUnknown(Schema.Array(Span))
