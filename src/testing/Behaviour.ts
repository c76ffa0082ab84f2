/** The file that describes a simulated question-and-answer model: which questions it knows, and what a prompt does to it. */
import { readFile } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import { fileTrouble } from "../domain/FileTrouble.js"
import { at, isObject, type JsonObject } from "../openai/Json.js"
import { type AnswerStyle, answerStyles } from "./AnswerStyle.js"
import { taskModelNames } from "./taskWorld/TaskModel.js"

/** One question that a simulated model knows. */
export interface Pair {
  readonly question: string
  readonly answer: string
  /** A worked solution, told when the answer is right and is to be explained. */
  readonly explanation: string | null
}

/** What a prompt does to the model; null leaves it as it is. */
export interface BehaviourRule {
  /** Looked for in the system prompt, without regard to case. */
  readonly when: RegExp
  readonly accuracy: number | null
  readonly format: AnswerStyle | "asked" | null
}

/**
 * How often the model is right, and how it words its answers. All rules whose `when` is found in the system prompt apply in
 * the order of the file, and the last one to name an `accuracy` or a `format` decides it, as in a style sheet: so a later
 * rule may also take back what an earlier one gave.
 */
export interface Behaviour {
  /** The model is `sim/<name>`. */
  readonly name: string
  readonly pairs: ReadonlyArray<Pair>
  /** Share of questions answered right when no rule says otherwise, in [0, 1]. */
  readonly accuracy: number
  /** `asked` (the default) does what the prompt asks for, as `sim/arithmetic` does. */
  readonly format: AnswerStyle | "asked"
  readonly rules: ReadonlyArray<BehaviourRule>
}

/** A behaviour file that cannot be used. The message names the file, the place in it, what was expected and what is there. */
export class BehaviourInvalid extends Error {
  override readonly name = "BehaviourInvalid"

  constructor(readonly file: string, readonly place: string, readonly expected: string, found: unknown) {
    super(
      `${file}: ${place}: expected ${expected}, found ${
        found === undefined ? "nothing" : JSON.stringify(found).slice(0, 80)
      }`
    )
  }
}

/** Most question-answer pairs of one model. */
const pairsMax = 100_000

class Reader {
  constructor(private readonly file: string) {}

  fail(place: string, expected: string, found: unknown): never {
    throw new BehaviourInvalid(this.file, place, expected, found)
  }

  object(value: unknown, place: string, keys?: ReadonlyArray<string>): JsonObject {
    if (!isObject(value)) return this.fail(place, "an object", value)
    const unknown = keys === undefined ? undefined : Object.keys(value).find((key) => !keys.includes(key))
    if (unknown !== undefined) this.fail(`${place}.${unknown}`, `one of the keys ${keys!.join(", ")}`, value[unknown])
    return value
  }

  text(value: unknown, place: string): string {
    return typeof value === "string" && value !== "" ? value : this.fail(place, "a text that is not empty", value)
  }

  share(value: unknown, place: string): number {
    return typeof value === "number" && value >= 0 && value <= 1
      ? value
      : this.fail(place, "a number from 0 to 1", value)
  }

  format(value: unknown, place: string): AnswerStyle | "asked" {
    const known = (["asked", ...answerStyles] as const).find((style) => style === value)
    return known ?? this.fail(place, `one of asked, ${answerStyles.join(", ")}`, value)
  }

  regex(value: unknown, place: string): RegExp {
    try {
      return new RegExp(this.text(value, place), "i")
    } catch (error) {
      if (error instanceof BehaviourInvalid) throw error
      return this.fail(place, "a regular expression", value)
    }
  }

  json(text: string, place: string): unknown {
    try {
      return JSON.parse(text) as unknown
    } catch {
      return this.fail(place, "JSON", text.slice(0, 40))
    }
  }
}

const readText = (reader: Reader, path: string, place: string): Promise<string> =>
  readFile(path, "utf8").catch((error: NodeJS.ErrnoException) =>
    reader.fail(place, `a file that can be read (${fileTrouble(error)})`, path)
  )

const readRules = (reader: Reader, value: unknown): ReadonlyArray<BehaviourRule> => {
  if (value === undefined) return []
  if (!Array.isArray(value)) return reader.fail("behaviour.rules", "a list", value)
  return value.map((item: unknown, n) => {
    const place = `behaviour.rules[${n}]`
    const rule = reader.object(item, place, ["when", "accuracy", "format"])
    return {
      when: reader.regex(rule["when"], `${place}.when`),
      accuracy: rule["accuracy"] === undefined ? null : reader.share(rule["accuracy"], `${place}.accuracy`),
      format: rule["format"] === undefined ? null : reader.format(rule["format"], `${place}.format`)
    }
  })
}

const readPairs = async (reader: Reader, file: string, root: JsonObject): Promise<ReadonlyArray<Pair>> => {
  const field = (key: string, byDefault: string) => reader.text(root[key] ?? byDefault, key)
  const questionField = field("question_field", "question")
  const answerField = field("answer_field", "answer")
  const explanationField = field("explanation_field", "explanation")
  const source = root["pairs"]
  const items = Array.isArray(source)
    ? source.map((item: unknown, n) => [`pairs[${n}]`, item] as const)
    : (await readText(reader, resolve(dirname(file), reader.text(source, "pairs")), "pairs")).split(/\r?\n/)
      .flatMap((line, n) => line.trim() === "" ? [] : [[`pairs, line ${n + 1}`, line] as const])
      .map(([place, line]) => [place, reader.json(line, place)] as const)
  if (items.length === 0 || items.length > pairsMax) reader.fail("pairs", `1 to ${pairsMax} pairs`, items.length)
  return items.map(([place, item]) => {
    const pair = reader.object(item, place)
    const explanation = at(pair, explanationField)
    return {
      question: reader.text(pair[questionField], `${place}.${questionField}`),
      answer: reader.text(pair[answerField], `${place}.${answerField}`),
      explanation: typeof explanation === "string" && explanation !== "" ? explanation : null
    }
  })
}

/** Reads a behaviour file and the pairs it names. Rejects with `BehaviourInvalid`. */
export const loadBehaviour = async (path: string): Promise<Behaviour> => {
  const reader = new Reader(path)
  const keys = ["name", "pairs", "question_field", "answer_field", "explanation_field", "behaviour"]
  const root = reader.object(reader.json(await readText(reader, path, "file"), "file"), "file", keys)
  const name = reader.text(root["name"], "name")
  if (!/^[\w.-]{1,64}$/.test(name)) reader.fail("name", "letters, digits, dots and dashes", name)
  if (name === "arithmetic" || taskModelNames.includes(name)) {
    reader.fail("name", "another name than a built-in model's", name)
  }
  const behaviour = reader.object(root["behaviour"], "behaviour", ["accuracy", "format", "rules"])
  return {
    name,
    pairs: await readPairs(reader, path, root),
    accuracy: reader.share(behaviour["accuracy"], "behaviour.accuracy"),
    format: behaviour["format"] === undefined ? "asked" : reader.format(behaviour["format"], "behaviour.format"),
    rules: readRules(reader, behaviour["rules"])
  }
}
