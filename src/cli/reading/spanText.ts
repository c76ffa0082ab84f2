/** How a recorded call is told in text and as JSON. */
import { compact } from "../../domain/Figures.js"
import type { Span } from "../../domain/Span.js"
import { visible } from "../../domain/TerminalText.js"
import { GenAi } from "../../openai/GenAi.js"
import { snake } from "../../store/RowJson.js"
import { type Colour, colourOf } from "./Terminal.js"
import { tokens } from "./text.js"

/** `200`, `429`, or how the call ended when it did not end well. */
export const outcomeOf = ({ state, statusCode }: Span): string =>
  state === "done" ? String(statusCode ?? "done") : state

/** Its answer is there and is none of an error: the call ended well, or what it began was fetched by a later one. */
export const hasAnswer = ({ attributes, events, state }: Span): boolean =>
  state === "done" || (attributes[GenAi.answeredBy] !== undefined && events.length === 0)

export const outcomeColour = ({ state, statusCode }: Span): Colour | null => {
  if (state !== "done") return colourOf(state)
  return statusCode !== null && statusCode >= 400 ? "bad" : null
}

/** An embedding has no answer that could be counted: of anything else `?` says that nobody counted it. */
export const tokensOf = ({ inputTokens, kind, outputTokens }: Span): string =>
  kind === "embedding" && outputTokens === null && inputTokens !== null
    ? compact(inputTokens)
    : tokens(inputTokens, outputTokens)

/** Its outcome in a list, where no line below it says that the answer was an earlier one's. */
export const listedOutcomeOf = (span: Span): string =>
  span.attributes[GenAi.replayed] === true ? `${outcomeOf(span)} replayed` : outcomeOf(span)

/** What is out of the ordinary: an answer that no upstream gave, or that another call fetched, a side call, a try of several, an error, a call after its attempt's end. */
export const marksOf = (span: Span): ReadonlyArray<string> => {
  const { attributes, retriedBy } = span
  const role = attributes[GenAi.callRole]
  const attempt = attributes[GenAi.callAttempt]
  const error = attributes[GenAi.errorType]
  const replayOf = attributes[GenAi.replayOf]
  const message = attributes[GenAi.errorMessage]
  const answeredBy = attributes[GenAi.answeredBy]
  return [
    ...(attributes[GenAi.replayed] === true
      ? [`replayed: the answer${typeof replayOf === "string" ? ` of ${replayOf}` : ""}, not paid for again`]
      : []),
    ...(typeof role === "string" && role !== "main" ? [`side call: ${role}`] : []),
    ...(typeof attempt === "number" && attempt > 1 ? [`try ${attempt}`] : []),
    ...(typeof answeredBy === "string" ? [`its answer was fetched by ${answeredBy}`] : []),
    ...(retriedBy === null ? [] : [`tried again as ${retriedBy}`]),
    ...(typeof error === "string" ? [`error ${error}${typeof message === "string" ? `: ${message}` : ""}`] : []),
    ...(attributes[GenAi.late] === true ? ["after the attempt had ended"] : [])
  ].map(visible)
}

/** What the rules of `rewrite` came to in this call, a line each. */
export const rewritesOf = (span: Span): ReadonlyArray<string> => {
  const { attributes } = span
  const components = listed(attributes[GenAi.rewriteComponent])
  const missed = listed(attributes[GenAi.rewriteMissed])
  const version = attributes[GenAi.rewriteVersion]
  const of = typeof version === "number" ? ` of version ${version}` : ""
  return [
    ...(components === "" ? [] : [`${components}${of} ${placeOf(span)}`]),
    ...(missed === "" ? [] : [`no text found for rewrite[${missed}]`])
  ].map(visible)
}

/** Where no request was recorded, nothing tells whether the agent had sent another text. */
const placeOf = ({ attributes, requestSha256 }: Span): string => {
  if (attributes[GenAi.rewriteOriginal] !== undefined) return "in place of the agent's own"
  return requestSha256 === null ? "in place" : "already in place"
}

const listed = (value: unknown): string => Array.isArray(value) ? value.join(", ") : ""

export const spanJson = (span: Span): Record<string, unknown> => snake(span)
