/** Everything that filters fit, as JSON lines: page by page, no faster than it is read, in constant memory. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { storeHint } from "../../domain/CommandText.js"
import { AttemptId } from "../../domain/Ids.js"
import type { Rollout } from "../../domain/Rollout.js"
import type { Span } from "../../domain/Span.js"
import { safeJson, visible } from "../../domain/TerminalText.js"
import { changesConversation, Continuations } from "../../openai/Continuations.js"
import { conversationOf } from "../../openai/Conversation.js"
import { type Dialect, genAiSchemaUrl, inDialect } from "../../openai/ExportDialect.js"
import { GenAi } from "../../openai/GenAi.js"
import { type RolloutFilter, RolloutStore } from "../../store/RolloutStore.js"
import { snake } from "../../store/RowJson.js"
import { type Run, RunReader } from "../../store/RunReader.js"
import { SearchReader } from "../../store/SearchReader.js"
import { anySpan, type SpanFilter, SpanStore } from "../../store/SpanStore.js"
import type { Paging } from "../ReadingFlags.js"
import { withCallsOfSession } from "../traffic/SessionCalls.js"
import { chatMessage, chatMessages } from "./chatMessages.js"
import { otlpRequest, otlpSpan } from "./OtlpSpans.js"
import { each, everyPage, reading, runOf } from "./reading.js"
import { bodiesOf, jsonOf } from "./SpanCommand.js"
import { hasAnswer } from "./spanText.js"
import { write } from "./Terminal.js"

export interface ExportMode {
  readonly storePath: string
  readonly what: "spans" | "rollouts" | "triplets" | "events"
  /** `otlp`, of spans alone: a line is a request of OpenTelemetry's protocol with many of them. */
  readonly format: "jsonl" | "otlp"
  /** One object with a list in it, instead of lines. */
  readonly json: boolean
  readonly dialect: Dialect
  /** Spans with what was said. */
  readonly content: boolean
  readonly spans: SpanFilter
  readonly rollouts: Omit<RolloutFilter, "runId">
}

export const run = (mode: ExportMode) =>
  reading(
    mode.storePath,
    Effect.gen(function*() {
      // A run that does not exist is a mistake, not an empty export.
      if (mode.spans.runId !== null) yield* runOf(mode.spans.runId, mode.storePath)
      const sheet = sheetOf(mode)
      if (!(yield* sheet.begin)) return 0
      const isRead = mode.what === "spans"
        ? yield* exportSpans(mode, sheet)
        : mode.what === "events"
        ? yield* exportRuns(mode, eventsOf(sheet))
        : yield* exportRuns(mode, rolloutsOf(mode, (mode.what === "rollouts" ? exportRollout : exportTriplets)(sheet)))
      if (isRead) yield* sheet.end
      if (mode.what !== "spans" && Option.isNone(yield* Effect.flatMap(RunReader, (runs) => runs.latest))) {
        yield* Console.error(
          `tau: no runs in ${
            visible(mode.storePath)
          }, and ${mode.what} are those of runs; calls that a proxy recorded: `
            + `tau export spans${storeHint(mode.storePath)}; examples of them: tau dataset build${
              storeHint(mode.storePath)
            }`
        )
      }
      return 0
    })
  )

/** What is written to, row by row; each step says whether somebody still reads. */
interface Sheet {
  readonly begin: Effect.Effect<boolean>
  readonly add: (row: object) => Effect.Effect<boolean>
  readonly end: Effect.Effect<boolean>
}

/** Rows are written together until they are so long: a row may have megabytes, and a text of many of them be longer than one can be. */
const writtenChars = 65_536

const sheetOf = ({ json, storePath, what }: ExportMode): Sheet => {
  let text = ""
  const flush = Effect.suspend(() => {
    const written = text
    text = ""
    return written === "" ? Effect.succeed(true) : write(written)
  })
  const put = (more: string) =>
    Effect.suspend(() => {
      text += more
      return text.length < writtenChars ? Effect.succeed(true) : flush
    })
  if (!json) {
    return { begin: Effect.succeed(true), add: (row) => put(`${safeJson(row)}\n`), end: flush }
  }
  let separator = "\n"
  return {
    begin: put(`${safeJson({ schema_version: 1, store_path: storePath }).slice(0, -1)},${safeJson(what)}:[`),
    add: (row) => {
      const before = separator
      separator = ",\n"
      return put(before + safeJson(row))
    },
    end: Effect.zipRight(put("\n]}\n"), flush)
  }
}

const exportSpans = (mode: ExportMode, sheet: Sheet) =>
  Effect.gen(function*() {
    const spans = yield* SpanStore
    const { filter } = yield* withCallsOfSession(mode.spans)
    const page = (request: Paging) => spans.list(filter, { ...request, order: "oldest" })
    if (mode.format === "jsonl") {
      return yield* everyPage(
        page,
        each((span) =>
          Effect.flatMap(attributesOf(span, mode), (attributes) => sheet.add(spanLine(span, mode, attributes)))
        )
      )
    }
    return yield* everyPage(page, (items) =>
      Effect.flatMap(
        Effect.forEach(
          items,
          (span) => Effect.map(attributesOf(span, mode), (attributes) => otlpSpan(span, attributes, mode.spans.session))
        ),
        (told) => {
          const rows = told.filter((row) => row !== null)
          return rows.length === 0 ? Effect.succeed(true) : sheet.add(otlpRequest(rows, mode.dialect))
        }
      ))
  })

/** What the dialect says of the call, with what was said in it where that is wanted. */
const attributesOf = (span: Span, { content, dialect }: ExportMode) =>
  Effect.gen(function*() {
    const isModelCall = content && span.kind !== "http"
    const bodies = isModelCall ? yield* bodiesOf(span) : null
    const conversation = bodies === null ? null : conversationOf(jsonOf(bodies.request), jsonOf(bodies.answer))
    return inDialect(dialect, span.attributes, conversation)
  })

const spanLine = (span: Span, { dialect }: ExportMode, attributes: object) => {
  const { attributes: _, endTimeUs, startTimeUs, ...columns } = span
  return {
    ...snake(columns),
    start_time: startTimeUs / 1_000_000,
    end_time: endTimeUs === null ? null : endTimeUs / 1_000_000,
    ...(dialect === "genai" && { schema_url: genAiSchemaUrl }),
    attributes
  }
}

/** Run after run, or the one that is asked for. */
const exportRuns = <E, R>(mode: ExportMode, ofRun: (run: Run) => Effect.Effect<boolean, E, R>) =>
  Effect.gen(function*() {
    const runs = yield* RunReader
    const only = mode.spans.runId === null ? null : yield* runOf(mode.spans.runId, mode.storePath)
    if (only !== null) return yield* ofRun(only)
    return yield* everyPage((request) => runs.page({ ...request, stands: null, order: "oldest" }), each(ofRun))
  })

const rolloutsOf = <E, R>(mode: ExportMode, tell: (rollout: Rollout) => Effect.Effect<boolean, E, R>) => {
  const filter = mode.what === "triplets" ? { ...mode.rollouts, status: "succeeded" as const } : mode.rollouts
  return (run: Run) =>
    Effect.flatMap(
      RolloutStore,
      (rollouts) => everyPage((request) => rollouts.list({ ...filter, runId: run.id }, request), each(tell))
    )
}

/** What a search noted; a run that searches nothing has no events. */
const eventsOf = (sheet: Sheet) => ({ id }: Run) =>
  Effect.flatMap(SearchReader, (searches) =>
    everyPage(
      (request) => searches.events(id, request),
      each(({ atMs, data, n, step }) =>
        sheet.add({ run_id: id, sequence_id: n, step, at_ms: atMs, ...JSON.parse(data) as object })
      )
    ))

const exportRollout = (sheet: Sheet) => (rollout: Rollout) =>
  Effect.gen(function*() {
    const rollouts = yield* RolloutStore
    const attempts = yield* rollouts.attempts(rollout.id)
    const told = yield* Effect.forEach(attempts, (attempt) =>
      Effect.map(rollouts.rewards(AttemptId.make(attempt.id)), (rewards) => ({ ...snake(attempt), rewards })))
    return yield* sheet.add({ ...snake(rollout), rewards: told.at(-1)?.rewards ?? [], attempts: told })
  })

/** A prompt, what was answered, and what the attempt earned: one per call of the agent's own work, by its last try. */
const exportTriplets = (sheet: Sheet) => (rollout: Rollout) =>
  Effect.gen(function*() {
    const rollouts = yield* RolloutStore
    const spans = yield* SpanStore
    const attempt = (yield* rollouts.attempts(rollout.id)).find(({ status }) => status === "succeeded")
    if (attempt === undefined) return true
    const rewards = yield* rollouts.rewards(attempt.id)
    const calls: Array<Span> = []
    yield* everyPage(
      (request) => spans.list({ ...anySpan, attemptId: attempt.id }, { ...request, order: "oldest" }),
      (items) => Effect.sync(() => void calls.push(...items.filter(isOfConversation)))
    )
    const continuations = new Continuations()
    const last = calls.findLast((span) => hasSpoken(span) && isOwnWork(span))
    return yield* each((span: Span) =>
      Effect.flatMap(bodiesOf(span), ({ answer, request }) => {
        if (span.kind === "http") {
          continuations.put(span.path, span.requestBytes === 0 ? {} : jsonOf(request), jsonOf(answer))
          return Effect.succeed(true)
        }
        if (!hasSpoken(span)) {
          continuations.lose(jsonOf(request))
          return Effect.succeed(true)
        }
        const { input, isWhole, output, tools } = continuations.add(jsonOf(request), jsonOf(answer))
        if (!isOwnWork(span)) return Effect.succeed(true)
        const [response] = output
        return sheet.add({
          prompt: chatMessages(input),
          response: response === undefined ? null : chatMessage(response),
          reward: rollout.score,
          rewards: Object.fromEntries(rewards.map(({ name, value }) => [name, value])),
          tools,
          run_id: rollout.runId,
          rollout_id: rollout.id,
          attempt_id: attempt.id,
          span_id: span.spanId,
          sequence_id: span.sequenceId,
          is_last: span === last,
          is_whole: isWhole,
          mode: rollout.mode,
          model: span.model,
          resources_version: rollout.resourcesVersion
        })
      })
    )(calls)
  })

/** What was said in an attempt: model calls that nobody refused, and what was put into a conversation beside them. */
const isOfConversation = (span: Span): boolean =>
  span.kind === "llm"
    ? hasSpoken(span) || span.statusCode === null || span.statusCode < 400 || span.statusCode >= 500
    : span.statusCode === 200 && changesConversation(span.method, span.path)

const hasSpoken = (span: Span): boolean => hasAnswer(span) && (span.statusCode ?? 0) < 400

const isOwnWork = ({ attributes, retriedBy, statusCode }: Span): boolean =>
  retriedBy === null && attributes[GenAi.callRole] === "main" && attributes[GenAi.late] !== true &&
  statusCode !== null && statusCode < 400
