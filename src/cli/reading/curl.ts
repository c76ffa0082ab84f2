/** A recorded call as a command for a shell. Keys are not recorded; the command takes them from variables. */
import { shellWord } from "../../domain/CommandText.js"
import type { Span } from "../../domain/Span.js"
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

/** `readBody` is the command that writes the body's exact bytes. */
export const curlOf = (
  span: Pick<Span, "method" | "path">,
  body: Uint8Array | null,
  readBody: string
): ReadonlyArray<string> => {
  const isAnthropic = /(?<!\/threads\/[^/]+)\/messages(?=\/|$)/.test(span.path.replace(/\?.*/, ""))
  const isOfBase = /^\/v1(?=\/|\?|$)/
  // What is not under /v1, where the base URL ends, is asked for beside it.
  const isOther = !isAnthropic && !isOfBase.test(span.path)
  const url = isAnthropic
    ? `"\${ANTHROPIC_BASE_URL:-http://127.0.0.1:8788}"${shellWord(span.path)}`
    : isOther
    ? `"\${base%/v1}"${shellWord(span.path)}`
    : `"\${OPENAI_BASE_URL:-http://127.0.0.1:8788/v1}"${shellWord(span.path.replace(isOfBase, ""))}`
  const head = [
    `curl ${optionsOf(span)} ${url}`,
    ...(isAnthropic
      ? [`-H "x-api-key: $ANTHROPIC_API_KEY"`, "-H 'anthropic-version: 2023-06-01'"]
      : [`-H "Authorization: Bearer $OPENAI_API_KEY"`])
  ]
  const before = isOther ? ["base=\"${OPENAI_BASE_URL:-http://127.0.0.1:8788/v1}\""] : []
  if (body === null) return [...before, ...joined(head)]
  const text = body.length > inlineMax ? null : textOf(body)
  const isJson = text !== null && parseJson(text) !== undefined
  if (isJson) {
    const sent = ["-H 'content-type: application/json'", `--data-binary ${quoted(harmless(text))}`]
    return [...before, ...joined([...head, ...sent])]
  }
  const type = parseJson(textOf(body) ?? "") === undefined ? [] : ["-H 'content-type: application/json'"]
  const lines = joined([...head, ...type, "--data-binary @-"])
  return [...before, `${readBody} |`, ...lines.map((line) => `  ${line}`)]
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
