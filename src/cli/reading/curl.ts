/** A recorded call as a command for a shell. Keys are not recorded; the command takes them from variables. */
import { shellWord } from "../../domain/CommandText.js"
import type { Span } from "../../domain/Span.js"
import { GenAi } from "../../openai/GenAi.js"
import { parseJson } from "../../openai/Json.js"

/** Longer bodies are better read from the store than from a command line. */
const inlineMax = 16_384

const decoder = new TextDecoder("utf-8", { fatal: true })

const textOf = (body: Uint8Array): string | null => {
  try {
    return decoder.decode(body)
  } catch {
    return null
  }
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

/** What clients are given as `OPENAI_BASE_URL`: it ends in `/v1`. */
const openaiBase = "\"${OPENAI_BASE_URL:-http://127.0.0.1:8788/v1}\""
const anthropicBase = "\"${ANTHROPIC_BASE_URL:-http://127.0.0.1:8788}\""
const ofBase = /^\/v1(?=\/|\?|$)/
/** Threads of assistants and stored chats have messages too, which are OpenAI's. */
const ofAnthropic = /^[^?]*\/(?<!\/(?:threads|chat\/completions)\/[^/]+\/)messages(?=\/|\?|$)/

/** Why no command sends the call again; null where one does. */
export const curlProblem = (
  { attributes, requestBytes }: Pick<Span, "attributes" | "requestBytes">,
  body: Uint8Array | null,
  readBody: string
): string | null => {
  if (attributes[GenAi.wire] === "ws") {
    return `it was made over a WebSocket${body === null ? "" : `; what was sent: ${readBody}`}`
  }
  if (attributes[GenAi.requestTruncated] === true) return "its request was not recorded whole"
  return body === null && requestBytes > 0 ? "its request was not recorded" : null
}

/** `readBody` is the command that writes the body's exact bytes. */
export const curlOf = (
  span: Pick<Span, "method" | "path">,
  body: Uint8Array | null,
  readBody: string
): ReadonlyArray<string> => {
  const { path } = span
  if (ofAnthropic.test(path)) {
    const keys = [`-H "x-api-key: $ANTHROPIC_API_KEY"`, "-H 'anthropic-version: 2023-06-01'"]
    return commandOf([`curl ${optionsOf(span)} ${anthropicBase}${shellWord(path)}`, ...keys], body, readBody)
  }
  const key = `-H "Authorization: Bearer $OPENAI_API_KEY"`
  if (ofBase.test(path)) {
    const url = `${openaiBase}${shellWord(path.replace(ofBase, ""))}`
    return commandOf([`curl ${optionsOf(span)} ${url}`, key], body, readBody)
  }
  // What is not below /v1 is asked for beside it. Shells take an end off a variable, not off a default.
  const url = `"\${base%/v1}"${shellWord(path)}`
  return [`base=${openaiBase}`, ...commandOf([`curl ${optionsOf(span)} ${url}`, key], body, readBody)]
}

/** The command that begins so, with the body behind it. */
const commandOf = (head: ReadonlyArray<string>, body: Uint8Array | null, readBody: string): ReadonlyArray<string> => {
  if (body === null) return joined(head)
  const text = body.length > inlineMax ? null : textOf(body)
  const isJson = text !== null && parseJson(text) !== undefined
  if (isJson) return joined([...head, "-H 'content-type: application/json'", `--data-binary ${quoted(harmless(text))}`])
  const type = parseJson(textOf(body) ?? "") === undefined ? [] : ["-H 'content-type: application/json'"]
  const lines = joined([...head, ...type, "--data-binary @-"])
  return [`${readBody} |`, ...lines.map((line) => `  ${line}`)]
}

/** For the answer to a HEAD curl waits unless it is told that none comes; braces and brackets it takes for patterns of many URLs. */
const optionsOf = ({ method, path }: Pick<Span, "method" | "path">): string =>
  `${/[[\]{}]/.test(path) ? "--globoff " : ""}${method === "HEAD" ? "--head" : `-X ${shellWord(method)}`}`

/** Inside JSON such characters can only stand in texts, where their escapes mean the same. */
const harmless = (json: string): string =>
  json.replaceAll(
    /(?![\n\r\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) =>
      Array.from({ length: character.length }, (_, n) => `\\u${character.charCodeAt(n).toString(16).padStart(4, "0")}`)
        .join("")
  )

const joined = (parts: ReadonlyArray<string>): ReadonlyArray<string> =>
  parts.map((part, index) => `${index === 0 ? "" : "  "}${part}${index === parts.length - 1 ? "" : " \\"}`)
