/** Examples that a config has in files of their own: JSON lines, or one JSON array. */
import * as Effect from "effect/Effect"
import { resolve } from "node:path"
import { parseJson } from "../domain/JsonText.js"
import { visible } from "../domain/TerminalText.js"
import type { Problem } from "./ConfigShape.js"
import { mismatch } from "./ConfigShape.js"
import { readText } from "./TextFile.js"

/** The keys of a config that hold examples, old names included. */
const keys = ["optimize", "validate", "train", "val"]

/** The config with the examples in place of the files' names. */
export interface ExamplesRead {
  readonly value: Readonly<Record<string, unknown>>
  readonly problems: ReadonlyArray<Problem>
}

/** Reads what a config names; names are relative to its folder. A file with a mistake gives no examples, and the mistakes. */
export const readExamples = (
  config: Readonly<Record<string, unknown>>,
  folder: string
): Effect.Effect<ExamplesRead> =>
  Effect.gen(function*() {
    const value: Record<string, unknown> = { ...config }
    const problems: Array<Problem> = []
    for (const key of keys) {
      const file = config[key]
      if (typeof file !== "string") continue
      const tell = (text: string) => void problems.push({ path: `$.${key}`, text: `${visible(file)}: ${text}` })
      if (file === "") {
        problems.push({ path: `$.${key}`, text: "expected the name of a file, found an empty text" })
        value[key] = []
        continue
      }
      value[key] = yield* Effect.match(readText(resolve(folder, file), "a file of examples"), {
        onFailure: (text): unknown => {
          tell(text)
          return []
        },
        onSuccess: (text) => examplesIn(file, text, tell)
      })
    }
    return { value, problems }
  })

const isLines = /\.(jsonl|ndjson)$/i

/** For CSV, YAML and the like. */
const otherFormat = "; examples are one JSON array, or JSON lines under a name that ends in .jsonl"

type Tell = (problem: string) => void

const examplesIn = (file: string, text: string, tell: Tell): unknown => {
  if (text.trim() !== "") return isLines.test(file) ? linesOf(text, tell) : arrayOf(text, tell)
  tell("expected examples, found an empty file")
  return []
}

const arrayOf = (text: string, tell: Tell): unknown => {
  const json = parseJson(text)
  if (json._tag === "syntax") {
    tell(
      parseJson(text.trimStart().split(/\r\n|\n|\r/, 1)[0]!)._tag === "value"
        ? "expected one JSON array; a file with an example on each line has a name that ends in .jsonl or .ndjson"
        : `line ${json.line}, column ${json.column}: ${json.text}${/^\s*[[{]/.test(text) ? "" : otherFormat}`
    )
    return []
  }
  for (const problem of json.problems) tell(`${problem.path}: ${problem.text}`)
  if (Array.isArray(json.value)) return json.value
  tell(mismatch("$", "an array of objects", json.value).text)
  return []
}

/** One for each line that is not empty. */
const linesOf = (text: string, tell: Tell): ReadonlyArray<unknown> =>
  text.split(/\r\n|\n|\r/).flatMap((line, index) => {
    if (line.trim() === "") return []
    const json = parseJson(line, index + 1)
    if (json._tag === "syntax") {
      tell(`line ${json.line}, column ${json.column}: ${json.text}`)
      return []
    }
    for (const problem of json.problems) tell(`line ${index + 1}, ${problem.path}: ${problem.text}`)
    if (typeof json.value === "object" && json.value !== null && !Array.isArray(json.value)) return [json.value]
    tell(`line ${index + 1}: ${mismatch("$", "an object, an example on each line", json.value).text}`)
    return []
  })
