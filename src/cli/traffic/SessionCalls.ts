/** The calls of a session, also of one that no agent names: by what was said in them. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { SpanId } from "../../domain/Ids.js"
import type { Span } from "../../domain/Span.js"
import { conversationOf } from "../../openai/Conversation.js"
import { GenAi } from "../../openai/GenAi.js"
import { anySpan, type SpanFilter, SpanStore } from "../../store/SpanStore.js"
import { each, everyPage } from "../reading/reading.js"
import { bodiesOf, jsonOf, originalOf } from "../reading/SpanCommand.js"
import { hasAnswer } from "../reading/spanText.js"
import { type Session, Sessions } from "./Sessions.js"

/** A model call of the agent's own work, answered well, for the first time, and within its attempt. */
export const isOfSession = (span: Span): boolean => {
  const { attributes, kind, retriedBy, statusCode } = span
  return kind === "llm" && attributes[GenAi.callRole] === "main" && hasAnswer(span) && retriedBy === null &&
    statusCode !== null && statusCode < 400 && attributes[GenAi.late] !== true && attributes[GenAi.replayed] !== true
}

/**
 * Those of the calls that are of sessions, in the order they were made. What counts is what the agent said itself: a text that was put in
 * the place of its own makes no other agent of it.
 */
export const addTo = (sessions: Sessions, calls: ReadonlyArray<Span>) =>
  each((span: Span) =>
    Effect.map(bodiesOf({ ...span, requestSha256: originalOf(span) }), ({ answer, request }) => {
      sessions.add(span, conversationOf(jsonOf(request), jsonOf(answer)))
    })
  )(calls.filter(isOfSession))

/** The call that a session goes by, where that is its first one: no agent named it. */
export const firstCallOf = (session: string | null) =>
  session === null
    ? Effect.succeed(Option.none<Span>())
    : Effect.flatMap(SpanStore, (spans) => spans.get(SpanId.make(session)))

/** Calls that are read for a list to see whether they are of the session that is asked for. */
export const sessionCallsMax = 1_000

/**
 * The same filter, with the calls themselves in place of a session that goes by its first one. Of `callsMax` calls that its attempt
 * made from then on, what was said is read; `isCut` when there are more, which may belong to it.
 */
export const withCallsOfSession = (filter: SpanFilter, callsMax = Number.POSITIVE_INFINITY) =>
  Effect.gen(function*() {
    const first = Option.getOrNull(yield* firstCallOf(filter.session))
    if (first === null) return { filter, isCut: false }
    const spans = yield* SpanStore
    const sessions = new Sessions()
    yield* addTo(sessions, [first])
    let looked = 0
    const isWhole = yield* everyPage(
      ({ after, limit }) =>
        spans.list({ ...anySpan, attemptId: first.attemptId }, {
          after: after ?? first.spanId,
          limit,
          order: "oldest"
        }),
      (calls) => {
        looked += calls.length
        return Effect.as(addTo(sessions, calls), looked < callsMax)
      }
    )
    return { filter: onlyCallsOf(filter, sessionsWith(first.spanId, sessions)), isCut: !isWhole }
  })

/** The session that has this call; none where the call is of no session. */
export const sessionsWith = (spanId: string, { all }: { readonly all: ReadonlyArray<Session> }) =>
  all.filter(({ spanIds }) => spanIds.includes(spanId))

export const onlyCallsOf = (filter: SpanFilter, sessions: ReadonlyArray<Session>): SpanFilter => ({
  ...filter,
  session: null,
  spanIds: sessions.flatMap(({ spanIds }) => spanIds)
})
