import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { storeHint } from "../../domain/CommandText.js"
import { counted } from "../../domain/Figures.js"
import { SpanId } from "../../domain/Ids.js"
import type { Cost } from "../../domain/Prices.js"
import type { Span } from "../../domain/Span.js"
import { safeJson, visible } from "../../domain/TerminalText.js"
import {
  type Conversation,
  conversationOf,
  jsonOfBody,
  type Message,
  type Part,
  textOfBody
} from "../../openai/Conversation.js"
import { GenAi } from "../../openai/GenAi.js"
import { costJson } from "../../runtime/Summary.js"
import { SpanStore } from "../../store/SpanStore.js"
import { CommandFailed } from "../CliError.js"
import type { Place } from "../ReadingFlags.js"
import { costOfCalls, costText } from "./callCost.js"
import { curlOf, curlProblem } from "./curl.js"
import { block, fact } from "./facts.js"
import { found, printJson, reading } from "./reading.js"
import { marksOf, outcomeColour, outcomeOf, rewritesOf, spanJson } from "./spanText.js"
import { paint, print, write } from "./Terminal.js"
import { ago, inline, took } from "./text.js"

export interface SpanMode extends Place {
  readonly id: string
  readonly raw: "request" | "response" | "answer" | "original" | null
  readonly curl: boolean
}

export const run = (mode: SpanMode) =>
  reading(
    mode.storePath,
    Effect.gen(function*() {
      const spans = yield* SpanStore
      const span = yield* found(
        spans.get(SpanId.make(mode.id)),
        `there is no call ${visible(mode.id)} in ${mode.storePath}; tau spans${storeHint(mode.storePath)} lists them`
      )
      if (mode.raw !== null) return yield* raw(span, mode.raw)
      const { answer, request } = yield* bodiesOf(span)
      if (mode.curl) {
        const readBody = `tau span ${mode.id} --raw request${storeHint(mode.storePath)}`
        const problem = curlProblem(span, request, readBody)
        if (problem !== null) {
          return yield* new CommandFailed({ detail: `no curl command makes ${visible(span.spanId)} again: ${problem}` })
        }
        return yield* print(curlOf(span, request, readBody))
      }
      const conversation = conversationOf(jsonOf(request), jsonOf(answer))
      const cost = yield* costOfCalls(span.runId, [span])
      if (mode.json) {
        return yield* printJson({
          store_path: mode.storePath,
          span: spanJson(span),
          cost: costJson(cost),
          ...conversation
        })
      }
      const nowMs = yield* Clock.currentTimeMillis
      const bodies = [
        ...(span.requestSha256 === null ? [] : ["request"]),
        ...(span.responseSha256 === null ? [] : ["response"]),
        ...((span.answerSha256 ?? span.responseSha256) === null ? [] : ["answer"]),
        ...(originalOf(span) === span.requestSha256 ? [] : ["original"])
      ]
      return yield* print([
        ...header(span, cost, nowMs),
        ...conversationText(conversation),
        ...(conversation.input.length === 0 ? bodyText("request", request) : []),
        ...(conversation.output.length === 0 && !hasVectors(span) ? bodyText("answer", answer) : []),
        "",
        paint("strong", "attributes"),
        ...Object.entries(span.attributes).flatMap(([name, value]) => block(`${name}: ${inline(value)}`)),
        "",
        ...(bodies.length === 0
          ? []
          : [`The bytes: tau span ${mode.id} --raw ${bodies.join("|")}${storeHint(mode.storePath)}`]),
        `All around it: tau rollout ${visible(span.attemptId)}${storeHint(mode.storePath)}`
      ])
    })
  )

/** The request and what it was answered: what a stream amounts to, else the answer's own body. */
export const bodiesOf = (span: Span) =>
  Effect.gen(function*() {
    const spans = yield* SpanStore
    const read = (sha256: string | null) =>
      sha256 === null ? Effect.succeed(null) : Effect.map(spans.payload(sha256), Option.getOrNull)
    return { request: yield* read(span.requestSha256), answer: yield* read(span.answerSha256 ?? span.responseSha256) }
  })

export const jsonOf = (body: Uint8Array | null): unknown => body === null ? undefined : jsonOfBody(body)

const raw = (span: Span, which: "request" | "response" | "answer" | "original") =>
  Effect.gen(function*() {
    const spans = yield* SpanStore
    const sha256 = {
      request: span.requestSha256,
      response: span.responseSha256,
      answer: span.answerSha256 ?? span.responseSha256,
      original: originalOf(span)
    }[which]
    if (sha256 === null) {
      return yield* new CommandFailed({ detail: `the ${which} of ${visible(span.spanId)} has no recorded bytes` })
    }
    const bytes = yield* found(spans.payload(sha256), `the recorded bytes ${sha256} are not in the store`)
    yield* write(bytes)
    return 0
  })

/** The hash of the request as the agent had it, whether or not another was sent. */
export const originalOf = ({ attributes, requestSha256 }: Span): string | null => {
  const original = attributes[GenAi.rewriteOriginal]
  return typeof original === "string" ? original : requestSha256
}

const header = (span: Span, cost: Cost, nowMs: number): ReadonlyArray<string> => {
  const { attributes, endTimeUs, startTimeUs } = span
  const counted = (name: string, what: string) =>
    (attributes[name] ?? 0) === 0 ? [] : [`${inline(attributes[name])} ${what}`]
  const first = attributes[GenAi.ttfbMs]
  return [
    `${paint("strong", visible(span.spanId))}  ${visible(span.name)}  ${paint(outcomeColour(span), outcomeOf(span))}`,
    ...fact("rollout", visible(span.rolloutId)),
    ...fact("attempt", `${visible(span.attemptId)}, call ${span.sequenceId}`),
    ...fact("request", visible(`${span.method} ${span.path}`)),
    ...fact(
      "time",
      [
        `begun ${ago(startTimeUs / 1_000, nowMs)}`,
        ...(endTimeUs === null ? ["not over"] : [`took ${took(startTimeUs / 1_000, endTimeUs / 1_000)}`]),
        ...(typeof first === "number" ? [`first byte after ${took(0, first)}`] : [])
      ].join(", ")
    ),
    ...fact(
      "usage",
      [
        ...counted(GenAi.usageInputTokens, "tokens in"),
        ...counted(GenAi.usageCacheRead, "of them from a cache"),
        ...counted(GenAi.usageOutputTokens, "out"),
        ...counted(GenAi.usageReasoning, "of them reasoning"),
        ...(attributes[GenAi.usageCost] === undefined ? [] : [`cost ${inline(attributes[GenAi.usageCost])}`])
      ].join(", ")
    ),
    ...costText(cost),
    ...fact("bytes", `${span.requestBytes} sent, ${span.responseBytes} answered`),
    ...fact("session", inline(attributes[GenAi.sessionId] ?? "")),
    ...rewritesOf(span).flatMap((line) => fact("rewrite", line)),
    ...marksOf(span).flatMap((mark) => fact("note", mark)),
    ...span.events.flatMap((event) => fact("event", inline(event)))
  ]
}

const conversationText = ({ input, output, tools }: Conversation): ReadonlyArray<string> => [
  ...input.flatMap((message) => messageText(message, message.role)),
  ...output.flatMap((message, index) =>
    messageText(
      message,
      `answer${output.length > 1 ? ` ${index + 1}` : ""}${
        message.finishReason === undefined ? "" : ` (${message.finishReason})`
      }`
    )
  ),
  ...(tools.length === 0
    ? []
    : ["", paint("strong", counted(tools.length, "tool")), ...tools.flatMap((tool) => block(toolName(tool)))])
]

export const toolName = (tool: unknown): string => {
  const { function: inner, name, type } = tool as { function?: { name?: unknown }; name?: unknown; type?: unknown }
  return inline(inner?.name ?? name ?? type ?? tool)
}

const messageText = ({ parts }: Message, title: string): ReadonlyArray<string> => [
  "",
  paint("strong", visible(title)),
  ...(parts.length === 0 ? [paint("dim", "  (empty)")] : parts.flatMap(partText))
]

const partText = (part: Part): ReadonlyArray<string> => {
  switch (part.type) {
    case "text":
      return block(part.content)
    case "reasoning":
      return [paint("dim", "  reasoning:"), ...block(part.content, 4).map((line) => paint("dim", line))]
    case "tool_call":
      return [
        `  calls ${visible(part.name)}${part.id === null ? "" : paint("dim", `  ${visible(part.id)}`)}`,
        ...block(pretty(part.arguments), 4)
      ]
    case "tool_call_response":
      return [
        `  result${part.id === null ? "" : paint("dim", `  of ${visible(part.id)}`)}`,
        ...block(pretty(part.response), 4)
      ]
    case "other":
      return block(`[${part.kind}] ${shortened(JSON.stringify(part.value) ?? "")}`)
  }
}

const pretty = (value: unknown): string => typeof value === "string" ? value : safeJson(value, 2)

/** Characters that are shown of a part that is no text. */
export const otherMax = 400

const shortened = (text: string): string =>
  text.length <= otherMax ? text : `${text.slice(0, otherMax)}… (${text.length} characters)`

/** The numbers of embeddings tell a reader nothing. */
const hasVectors = ({ kind, statusCode }: Span) => kind === "embedding" && statusCode === 200

const bodyMax = 4_000

/** Whether a body is to be read. A form with a file in it begins as text. */
export const isText = (text: string): boolean => !/[\0\uFFFD]/.test(text.slice(0, 64))

/** A body that is no conversation, an error for one, as far as a terminal has use for it. */
const bodyText = (title: string, body: Uint8Array | null): ReadonlyArray<string> => {
  if (body === null) return []
  const text = textOfBody(body)
  const shown = isText(text) ? text.slice(0, bodyMax) + (text.length > bodyMax ? "…" : "") : `[${body.length} bytes]`
  return ["", paint("strong", title), ...block(shown)]
}
