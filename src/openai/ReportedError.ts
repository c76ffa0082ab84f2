/** Errors as upstreams report them, in any dialect. */
import { at, isObject, numberAt, textAt } from "./Json.js"

export interface ReportedError {
  readonly message: string
  /** The upstream's own word for the kind of error: its `type`, else `code`, else `status`; null when it gave none. */
  readonly type: string | null
}

const messageMax = 500

const typeOf = (error: unknown): string | null =>
  textAt(error, "type") ?? textAt(error, "code") ?? textAt(error, "status") ?? numberAt(error, "code")?.toString() ??
    null

/**
 * The error that an object or an event reports, or null when it reports none: OpenAI's `{error: {…}}`, Gemini's list around
 * it, Ollama's `{error: "…"}`, vLLM's `{object: "error", …}`, the flat `error` event of the Responses API, and what llama.cpp
 * has inside its `error` field, `{type: "server_error", …}`.
 */
export const errorOf = (object: unknown): ReportedError | null => {
  const error = at(object, "error") ?? at(object, 0, "error")
  if (typeof error === "string" && error !== "") return { message: error, type: null }
  if (isObject(error)) {
    return { message: textAt(error, "message") ?? JSON.stringify(error).slice(0, messageMax), type: typeOf(error) }
  }
  const kind = textAt(object, "type") ?? ""
  const isFlat = kind === "error" || at(object, "object") === "error" ||
    kind.endsWith("_error") && textAt(object, "message") !== null
  if (!isFlat) return null
  const { type, ...rest } = object as { readonly [key: string]: unknown }
  return {
    message: textAt(object, "message") ?? "the upstream reported an error",
    type: typeOf(type === "error" ? rest : object)
  }
}

/** The first error that choices of an answer report, or null: routers say in a choice that its provider broke off. */
export const errorOfChoices = (choices: ReadonlyArray<unknown>): ReportedError | null => {
  for (const choice of choices) {
    const error = errorOf({ error: at(choice, "error") })
    if (error !== null) return error
    if (at(choice, "finish_reason") === "error") return { message: "a choice finished with an error", type: null }
  }
  return null
}

/** The error that the data of an event named `error` tells, of whatever shape it is. */
export const namedError = (data: unknown, text: string): ReportedError => ({
  message: textAt(data, "message") ?? text.slice(0, messageMax),
  type: typeOf(data)
})
