/** Reads the config of a run and checks all of it before anything is written. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { constants } from "node:fs"
import type { FileHandle } from "node:fs/promises"
import { open } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import { parseJson } from "../domain/JsonText.js"
import { RunConfig } from "../domain/RunConfig.js"
import { ConfigError } from "./CliError.js"
import { ruleProblems } from "./ConfigRules.js"
import type { Problem } from "./ConfigShape.js"
import { mismatch, shapeProblems } from "./ConfigShape.js"

export interface LoadedConfig {
  readonly config: RunConfig
  /** Absolute path of the file. */
  readonly path: string
  /** Absolute path of its folder, from which `cwd` entries are relative. */
  readonly folder: string
}

/** Largest config that is read, examples included. */
export const configBytesMax = 64 * 1024 * 1024

/** More problems than this help nobody. */
export const problemsMax = 20

/** The checked config with its defaults filled in; or a `ConfigError` with one line per problem. */
export const loadConfig = (file: string): Effect.Effect<LoadedConfig, ConfigError> =>
  Effect.gen(function*() {
    const checked = checkConfig(yield* readConfigText(file))
    if (checked._tag === "valid") {
      const path = resolve(file)
      return { config: checked.config, path, folder: dirname(path) }
    }
    return yield* problemsIn(file, checked.problems)
  })

/** The text of a file of settings. */
export const readConfigText = (file: string): Effect.Effect<string, ConfigError> =>
  Effect.gen(function*() {
    const fail = (reason: string) => new ConfigError({ file, problems: [reason] })
    const text = decodeText(yield* readRegularFile(file).pipe(Effect.mapError(fail)))
    return text._tag === "unreadable" ? yield* fail(text.reason) : text.text
  })

export const problemsIn = (file: string, problems: ReadonlyArray<Problem>): ConfigError => {
  const lines = problems.slice(0, problemsMax).map((problem) => `${problem.path}: ${problem.text}`)
  const more = problems.length - lines.length
  if (more > 0) lines.push(`and ${more} more`)
  return new ConfigError({ file, problems: [lines[0]!, ...lines.slice(1)] })
}

/** Opened without waiting and looked at before reading: a FIFO or a device would never end. */
const readRegularFile = (file: string): Effect.Effect<Uint8Array, string> =>
  Effect.acquireUseRelease(
    Effect.tryPromise({ try: () => open(file, constants.O_RDONLY | constants.O_NONBLOCK), catch: reasonOf }),
    (handle) => Effect.tryPromise({ try: () => readHandle(handle), catch: reasonOf }).pipe(Effect.flatten),
    (handle) => Effect.promise(() => handle.close())
  )

const readHandle = async (handle: FileHandle): Promise<Effect.Effect<Uint8Array, string>> => {
  const stats = await handle.stat()
  if (stats.isDirectory()) return Effect.fail("expected a file, found a directory")
  if (!stats.isFile()) return Effect.fail("expected a regular file, found a pipe, socket or device")
  if (stats.size > configBytesMax) {
    return Effect.fail(`expected at most ${configBytesMax} bytes, found ${stats.size}`)
  }
  return Effect.succeed(await handle.readFile())
}

const reasonOf = (error: unknown): string => {
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined
  switch (code) {
    case "ENOENT":
      return "expected a config file, found no such file"
    case "EACCES":
    case "EPERM":
      return "cannot be read: permission denied"
    default:
      return `cannot be read: ${code ?? (error instanceof Error ? error.message : String(error))}`
  }
}

type Text = { readonly _tag: "text"; readonly text: string } | { readonly _tag: "unreadable"; readonly reason: string }

const decodeText = (bytes: Uint8Array): Text => {
  const [first, second] = bytes
  const marked = first === 0xff && second === 0xfe || first === 0xfe && second === 0xff
  // JSON starts with ASCII, so a zero byte at the start is half of a UTF-16 character.
  if (marked || bytes.subarray(0, 4).includes(0)) {
    return { _tag: "unreadable", reason: "expected UTF-8 text, found UTF-16 (or UTF-32); save the file as UTF-8" }
  }
  try {
    // Drops a byte order mark.
    return { _tag: "text", text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) }
  } catch {
    return { _tag: "unreadable", reason: "expected UTF-8 text, found bytes that are not UTF-8" }
  }
}

export type CheckedConfig =
  | { readonly _tag: "valid"; readonly config: RunConfig }
  | { readonly _tag: "invalid"; readonly problems: ReadonlyArray<Problem> }

/** Everything `loadConfig` checks in a file's text. */
export const checkConfig = (text: string): CheckedConfig => {
  if (text.trim() === "") return invalid({ path: "$", text: "expected a JSON object, found an empty file" })
  const json = parseJson(text)
  if (json._tag === "syntax") {
    return invalid({ path: `line ${json.line}, column ${json.column}`, text: json.text })
  }
  if (typeof json.value !== "object" || json.value === null || Array.isArray(json.value)) {
    return invalid(mismatch("$", "a JSON object", json.value))
  }
  const { clashes, canonical, written } = renameOldKeys(json.value as Record<string, unknown>)
  const problems = [...json.problems, ...clashes, ...shapeProblems(RunConfig.ast, canonical, "$")]
  const config = problems.length === 0 ? Schema.decodeUnknownSync(RunConfig)(canonical) : undefined
  const all = config === undefined ? problems : ruleProblems(config, Object.keys(canonical["optimizer"] ?? {}))
  return config !== undefined && all.length === 0
    ? { _tag: "valid", config }
    : invalid(...all.map((problem) => ({ ...problem, path: written(problem.path) })))
}

const invalid = (...problems: ReadonlyArray<Problem>): CheckedConfig => ({ _tag: "invalid", problems })

/** Keys of the config's first level that had another name. */
const oldKeys = [["train", "optimize"], ["val", "validate"]] as const

/** The config under current names, and the way back to the names that its author wrote. */
const renameOldKeys = (value: Record<string, unknown>) => {
  const canonical = { ...value }
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
