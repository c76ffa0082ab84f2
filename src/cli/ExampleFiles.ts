/** Examples that a config has in files of their own: JSON lines, or one JSON array. */
import * as Effect from "effect/Effect"
import { resolve } from "node:path"
import { parseJson } from "../domain/JsonText.js"
import { visible } from "../domain/TerminalText.js"
import { isObject } from "../openai/Json.js"
import type { Problem } from "./ConfigShape.js"
import { mismatch } from "./ConfigShape.js"
import { readText } from "./TextFile.js"

/** The keys of a config that hold examples, old names included. */
const keys = ["optimize", "validate", "train", "val"]

/** The config with the examples in place of the files' names. */
export interface ExamplesRead {
  readonly value: Readonly<Record<string, unknown>>
  readonly problems: ReadonlyArray<Problem>
  /** A problem of an example that was found later, at its place in the file that the example is from. */
  readonly placed: (problem: Problem) => Problem
}

/** Where the examples of a file are: their lines, or null where they are one array. */
interface Source {
  readonly file: string
  readonly lines: ReadonlyArray<number> | null
}

/** Reads what a config names; names are relative to its folder. A file with a mistake gives no examples, and the mistakes. */
export const readExamples = (
  config: Readonly<Record<string, unknown>>,
  folder: string
): Effect.Effect<ExamplesRead> =>
  Effect.gen(function*() {
    const value: Record<string, unknown> = { ...config }
    const problems: Array<Problem> = []
    const sources = new Map<string, Source>()
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
        onSuccess: (text) => {
          const { examples, lines } = examplesIn(file, text, tell)
          sources.set(key, { file, lines })
          return examples
        }
      })
    }
    return { value, problems, placed: placedIn(sources) }
  })

/** `$.optimize[2].expected` is line 3 of the file that `$.optimize` names, or `$[2].expected` of its array. */
const placedIn = (sources: ReadonlyMap<string, Source>) => (problem: Problem): Problem => {
  const [, key = "", index = "", rest = ""] = /^\$\.(\w+)\[(\d+)\](.*)$/s.exec(problem.path) ?? []
  const source = sources.get(key)
  if (source === undefined) return problem
  const line = source.lines?.[Number(index)]
  const place = line === undefined ? `$[${index}]${rest}` : `line ${line}${rest === "" ? "" : `, $${rest}`}`
  return { path: `$.${key}`, text: `${visible(source.file)}: ${place}: ${problem.text}` }
}

const isLines = /\.(jsonl|ndjson)$/i

/** For CSV, YAML and the like. */
const otherFormat = "; examples are one JSON array, or JSON lines under a name that ends in .jsonl"

type Tell = (problem: string) => void

interface ExamplesIn {
  readonly examples: unknown
  readonly lines: Source["lines"]
}

const examplesIn = (file: string, text: string, tell: Tell): ExamplesIn => {
  if (text.trim() !== "") {
    return isLines.test(file)
      ? linesOf(text, tell)
      : { examples: arrayOf(text, tell), lines: null }
  }
  tell("expected examples, found an empty file")
  return { examples: [], lines: null }
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
const linesOf = (text: string, tell: Tell): ExamplesIn => {
  const examples: Array<unknown> = []
  const lines: Array<number> = []
  for (const [index, line] of text.split(/\r\n|\n|\r/).entries()) {
    if (line.trim() === "") continue
    const json = parseJson(line, index + 1)
    if (json._tag === "syntax") {
      tell(`line ${json.line}, column ${json.column}: ${json.text}`)
      continue
    }
    for (const problem of json.problems) tell(`line ${index + 1}, ${problem.path}: ${problem.text}`)
    if (isObject(json.value)) {
      examples.push(json.value)
      lines.push(index + 1)
    } else tell(`line ${index + 1}: ${mismatch("$", "an object, an example on each line", json.value).text}`)
  }
  return { examples, lines }
}
