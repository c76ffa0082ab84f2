/** Reads the config of a run and checks all of it before anything is written. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { dirname, resolve } from "node:path"
import { parseJson } from "../domain/JsonText.js"
import { RunConfig } from "../domain/RunConfig.js"
import { isObject } from "../openai/Json.js"
import { ConfigError } from "./CliError.js"
import { ruleProblems } from "./ConfigRules.js"
import type { Problem } from "./ConfigShape.js"
import { mismatch, shapeProblems } from "./ConfigShape.js"
import { type ExamplesRead, readExamples } from "./ExampleFiles.js"
import { readText, textBytesMax } from "./TextFile.js"

export interface LoadedConfig {
  readonly config: RunConfig
  /** Absolute path of the file. */
  readonly path: string
  /** Absolute path of its folder, from which `cwd` entries are relative. */
  readonly folder: string
}

/** Largest config that is read, and largest file of examples. */
export const configBytesMax = textBytesMax

/** More problems than this help nobody. */
export const problemsMax = 20

/** The checked config with its defaults filled in; or a `ConfigError` with one line per problem. */
export const loadConfig = (file: string): Effect.Effect<LoadedConfig, ConfigError> =>
  Effect.gen(function*() {
    const path = resolve(file)
    const folder = dirname(path)
    const parsed = parseConfig(yield* readSettings(file, "a config file"))
    const checked = parsed._tag === "invalid" ? parsed : checkParsed(parsed, yield* readExamples(parsed.value, folder))
    if (checked._tag === "valid") return { config: checked.config, path, folder }
    return yield* problemsIn(file, checked.problems)
  })

/** The text of a file of settings; `what` names it. */
const readSettings = (file: string, what: string): Effect.Effect<string, ConfigError> =>
  Effect.mapError(readText(file, what), (reason) => new ConfigError({ file, problems: [reason] }))

/** The JSON in a file of settings, with what is wrong with it although it can be read. */
export const readJson = (file: string, what: string) =>
  Effect.gen(function*() {
    const json = parseJson(yield* readSettings(file, what))
    return json._tag === "syntax"
      ? yield* problemsIn(file, [{ path: `line ${json.line}, column ${json.column}`, text: json.text }])
      : json
  })

/** The problems as lines, `problemsMax` of them at most. There is at least one. */
export const problemsIn = (file: string, problems: ReadonlyArray<Problem>): ConfigError => {
  const lines = problems.slice(0, problemsMax).map((problem) => `${problem.path}: ${problem.text}`)
  const more = problems.length - lines.length
  if (more > 0) lines.push(`and ${more} more`)
  return new ConfigError({ file, problems: [lines[0]!, ...lines.slice(1)] })
}

export type CheckedConfig =
  | { readonly _tag: "valid"; readonly config: RunConfig }
  | { readonly _tag: "invalid"; readonly problems: ReadonlyArray<Problem> }

type Invalid = Extract<CheckedConfig, { readonly _tag: "invalid" }>

/** Everything `loadConfig` checks in a file's text, for a config that has its examples in itself. */
export const checkConfig = (text: string): CheckedConfig => {
  const parsed = parseConfig(text)
  return parsed._tag === "invalid"
    ? parsed
    : checkParsed(parsed, { value: parsed.value, problems: [], placed: (problem) => problem })
}

interface Parsed {
  readonly _tag: "parsed"
  readonly value: Readonly<Record<string, unknown>>
  readonly problems: ReadonlyArray<Problem>
}

const parseConfig = (text: string): Parsed | Invalid => {
  if (text.trim() === "") return invalid({ path: "$", text: "expected a JSON object, found an empty file" })
  const json = parseJson(text)
  if (json._tag === "syntax") {
    // YAML, say. A comment is told as one.
    const hint = /^\s*[{/]/.test(text) ? "" : "; a config is JSON"
    return invalid({ path: `line ${json.line}, column ${json.column}`, text: `${json.text}${hint}` })
  }
  if (!isObject(json.value)) {
    return invalid(mismatch("$", "a JSON object", json.value))
  }
  return { _tag: "parsed", value: json.value, problems: json.problems }
}

const checkParsed = (parsed: Parsed, { placed, problems: unread, value }: ExamplesRead): CheckedConfig => {
  const { clashes, canonical, written } = renameOldKeys(value)
  const problems = [...parsed.problems, ...clashes, ...unread, ...shapeProblems(RunConfig.ast, canonical, "$")]
  const config = problems.length === 0 ? Schema.decodeUnknownSync(RunConfig)(canonical) : undefined
  const all = config === undefined ? problems : ruleProblems(config, Object.keys(canonical["optimizer"] ?? {}))
  return config !== undefined && all.length === 0
    ? { _tag: "valid", config }
    : invalid(...all.map((problem) => placed({ ...problem, path: written(problem.path) })))
}

const invalid = (...problems: ReadonlyArray<Problem>): Invalid => ({ _tag: "invalid", problems })

/** Keys of the config's first level that had another name. */
const oldKeys = [["train", "optimize"], ["val", "validate"]] as const

/** The config under current names, and the way back to the names that its author wrote. */
const renameOldKeys = (value: Readonly<Record<string, unknown>>) => {
  const canonical: Record<string, unknown> = { ...value }
  const clashes: Array<Problem> = []
  const used: Array<readonly [old: string, current: string]> = []
  for (const [old, current] of oldKeys) {
    if (!Object.hasOwn(value, old)) continue
    delete canonical[old]
    if (Object.hasOwn(value, current)) {
      clashes.push({ path: `$.${old}`, text: `expected either "${old}" or "${current}", found both` })
    } else {
      canonical[current] = value[old]
      used.push([old, current])
    }
  }
  const written = (path: string) => {
    const [old, current] = used.find(([, current]) => new RegExp(`^\\$\\.${current}(?![A-Za-z0-9_])`).test(path)) ?? []
    return old === undefined || current === undefined ? path : `$.${old}${path.slice(2 + current.length)}`
  }
  return { clashes, canonical, written }
}
