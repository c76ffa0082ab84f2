import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { rolloutOfAttempt } from "../../domain/AttemptName.js"
import { storeHint } from "../../domain/CommandText.js"
import { AttemptId, RolloutId } from "../../domain/Ids.js"
import type { Reward } from "../../domain/Reward.js"
import type { Attempt, Rollout } from "../../domain/Rollout.js"
import type { Span } from "../../domain/Span.js"
import { cut, safeJson, visible } from "../../domain/TerminalText.js"
import { costJson } from "../../runtime/Summary.js"
import type { Page } from "../../store/Page.js"
import { RolloutStore } from "../../store/RolloutStore.js"
import { attemptJson, snake } from "../../store/RowJson.js"
import { anySpan, type SpanFilter, SpanStore } from "../../store/SpanStore.js"
import { cancelledWithRun, handedBack } from "../../store/writer/rollouts.js"
import { CommandFailed } from "../CliError.js"
import type { Place } from "../ReadingFlags.js"
import { addTo } from "../traffic/SessionCalls.js"
import { type Session, Sessions } from "../traffic/Sessions.js"
import { costOfCalls, costText } from "./callCost.js"
import { block, fact } from "./facts.js"
import { printJson, reading } from "./reading.js"
import { spanJson } from "./spanText.js"
import { colourOf, columns, paint, print } from "./Terminal.js"
import { ago, inline, points, took } from "./text.js"
import { timesOf, waterfall } from "./Waterfall.js"

export interface RolloutMode extends Place {
  /** Of a rollout, an attempt or a capture session. */
  readonly id: string
  /** Most calls of each attempt. */
  readonly limit: number
}

interface Told {
  readonly attempt: Attempt
  readonly rewards: ReadonlyArray<Reward>
  readonly spans: Page<Span>
}

export const run = (mode: RolloutMode) =>
  reading(
    mode.storePath,
    Effect.gen(function*() {
      const rollouts = yield* RolloutStore
      const nowMs = yield* Clock.currentTimeMillis
      const ofAttempt = rolloutOfAttempt(mode.id)
      const direct = yield* rollouts.get(RolloutId.make(mode.id))
      const rollout = Option.isNone(direct) && ofAttempt !== null
        ? yield* rollouts.get(RolloutId.make(ofAttempt))
        : direct
      if (Option.isNone(rollout)) return yield* session(mode, nowMs)
      const { id } = rollout.value
      const attempts = (yield* rollouts.attempts(id)).filter((attempt) => id === mode.id || attempt.id === mode.id)
      if (attempts.length === 0 && id !== mode.id) return yield* missing(mode)
      const told = yield* Effect.forEach(attempts, (attempt) =>
        Effect.gen(function*() {
          const rewards = yield* rollouts.rewards(AttemptId.make(attempt.id))
          return { attempt, rewards, spans: yield* callsOf(mode, { attemptId: attempt.id }) }
        }))
      const cost = yield* costOfCalls(rollout.value.runId, told.flatMap(({ spans }) => spans.items))
      if (mode.json) {
        return yield* printJson({
          store_path: mode.storePath,
          rollout: snake(rollout.value),
          cost: costJson(cost),
          attempts: told.map(({ attempt, rewards, spans }) => ({
            ...attemptJson(attempt, rewards),
            spans: spans.items.map(spanJson),
            next: spans.next
          }))
        })
      }
      return yield* print([
        ...header(rollout.value, costText(cost, told.every(({ spans }) => spans.next === null)), nowMs),
        ...told.flatMap((one) => attemptText(one, nowMs, mode)),
        ...(told.length === 0 ? ["", "  No attempt has begun yet."] : []),
        ...hint(told.flatMap(({ spans }) => spans.items), mode)
      ])
    })
  )

const callsOf = (mode: RolloutMode, whose: Partial<SpanFilter>) =>
  Effect.flatMap(
    SpanStore,
    (spans) => spans.list({ ...anySpan, ...whose }, { after: null, limit: mode.limit, order: "oldest" })
  )

const missing = (mode: RolloutMode) =>
  new CommandFailed({
    detail: `there is no rollout, attempt or capture session ${visible(mode.id)} in ${mode.storePath}; ` +
      `tau rollouts${storeHint(mode.storePath)} and tau spans${storeHint(mode.storePath)} list what there is`
  })

/** Calls that no run made: of a capture proxy, or of another harness that named the rollout. */
const session = (mode: RolloutMode, nowMs: number) =>
  Effect.gen(function*() {
    const ofRollout = yield* callsOf(mode, { rolloutId: mode.id })
    const isAttempt = ofRollout.items.length === 0
    const calls = isAttempt ? yield* callsOf(mode, { attemptId: mode.id }) : ofRollout
    if (calls.items.length === 0) return yield* missing(mode)
    const sessions = new Sessions()
    yield* addTo(sessions, calls.items)
    const cost = yield* costOfCalls(null, calls.items)
    if (mode.json) {
      return yield* printJson({
        store_path: mode.storePath,
        rollout: null,
        cost: costJson(cost),
        sessions: sessions.all.map(({ id, spanIds }) => ({ session: id, span_ids: spanIds })),
        spans: calls.items.map(spanJson),
        next: calls.next
      })
    }
    const times = timesOf(calls.items, nowMs)
    return yield* print([
      `${paint("strong", visible(mode.id))}  calls that belong to no run`,
      ...fact("begun", ago(times.startMs, nowMs)),
      ...costText(cost, calls.next === null),
      "",
      ...(sessions.all.length < 2
        ? waterfall(calls.items, times)
        : sessionsText(calls.items, sessions.all, nowMs)),
      ...more(calls.next, isAttempt ? "attempt" : "rollout", mode.id, mode),
      ...hint(calls.items, mode)
    ])
  })

/** The calls of each session, and those of none. A try that was tried again is shown where the last one is. */
const sessionsText = (
  calls: ReadonlyArray<Span>,
  sessions: ReadonlyArray<Session>,
  nowMs: number
): ReadonlyArray<string> => {
  const sessionOf = new Map(sessions.flatMap((one) => one.spanIds.map((id) => [id, one] as const)))
  // The newest first: the next try of a call comes after it.
  for (const { retriedBy, spanId } of calls.toReversed()) {
    const session = retriedBy === null ? undefined : sessionOf.get(retriedBy)
    if (session !== undefined) sessionOf.set(spanId, session)
  }
  return [...sessions, undefined].flatMap((session) => {
    const own = calls.filter(({ spanId }) => sessionOf.get(spanId) === session)
    if (own.length === 0) return []
    const title = session === undefined ? "calls of no session" : `session ${visible(session.id)}`
    return [paint("strong", title), ...waterfall(own, timesOf(own, nowMs)), ""]
  }).slice(0, -1)
}

const header = (rollout: Rollout, cost: ReadonlyArray<string>, nowMs: number): ReadonlyArray<string> => {
  const { createdAtMs, crashes, endedAtMs, error, failures, id, input, mode, ordinal, output, score, status } = rollout
  const charged = [
    ...(failures === 0 ? [] : [`${failures} failed of ${rollout.attemptsMax}`]),
    ...(crashes === 0 ? [] : [`${crashes} crashed`])
  ]
  return [
    `${paint("strong", visible(id))}  ${paint(colourOf(status), status)}`,
    ...fact("run", `${visible(rollout.runId)}, ${mode}, number ${ordinal + 1}`),
    ...fact("score", points(score)),
    ...fact("resources", `version ${rollout.resourcesVersion}`),
    ...cost,
    ...fact("attempts", charged.join(", ")),
    ...fact(
      "made",
      `${ago(createdAtMs, nowMs)}${endedAtMs === null ? "" : `, ended after ${took(createdAtMs, endedAtMs)}`}`
    ),
    ...fact("error", error === null ? "" : inline(error)),
    "",
    paint("strong", "example"),
    ...Object.entries(input).flatMap(([name, value]) =>
      block(`${name}: ${typeof value === "string" ? value : safeJson(value)}`)
    ),
    ...(output === null ? [] : ["", paint("strong", "output"), ...block(output)])
  ]
}

const attemptText = ({ attempt, rewards, spans }: Told, nowMs: number, mode: RolloutMode): ReadonlyArray<string> => {
  const { endedAtMs, startedAtMs } = attempt
  const stands = standsOf(attempt)
  const times = { startMs: startedAtMs, endMs: endedAtMs ?? nowMs }
  const stderrTail = attempt.stderrTail?.trimEnd() ?? ""
  return [
    "",
    `${paint("strong", visible(attempt.id))}  ${paint(colourOf(stands), stands)}`,
    ...fact("took", endedAtMs === null ? `${took(startedAtMs, nowMs)} so far` : took(startedAtMs, endedAtMs)),
    ...fact("worker", visible(attempt.workerId)),
    ...fact("error", attempt.error === null ? "" : inline(attempt.error)),
    ...rewards.flatMap(({ feedback, name, value }) =>
      fact("reward", `${visible(name)}  ${points(value)}${feedback === null ? "" : `  ${inline(feedback)}`}`)
    ),
    ...(stderrTail === ""
      ? []
      : [`  ${paint("dim", "end of its standard error")}`, ...block(stderrTail, 4)]),
    "",
    ...(spans.items.length === 0 ? ["  It made no model calls."] : waterfall(spans.items, times)),
    ...more(spans.next, "attempt", attempt.id, mode)
  ]
}

/** Attempts have no status of their own for an end that was nobody's failure: the reason tells them apart. */
const standsOf = ({ error, status }: Attempt): string => {
  if (status !== "failed") return status
  return error === handedBack ? "handed back" : error === cancelledWithRun ? "cancelled" : status
}

const more = (next: string | null, flag: string, id: string, { storePath }: RolloutMode): ReadonlyArray<string> =>
  next === null ? [] : [`  There are more: tau spans --${flag} ${visible(id)}${storeHint(storePath)}`]

const hint = ([first]: ReadonlyArray<Span>, { storePath }: RolloutMode): ReadonlyArray<string> =>
  first === undefined
    ? []
    : ["", cut(`A call in full: tau span ${visible(first.spanId)}${storeHint(storePath)}`, columns * 3)]
