/** The flags that commands which read a store have in common, and what they were given. Loads no Effect. */
import { join } from "node:path"
import { defaultStore } from "../domain/CommandText.js"
import { shown } from "../domain/shown.js"
import { type Flag, path } from "./flags.js"
import { type Given, Mistake, readChoice, readInteger, readPath } from "./FlagValue.js"
import type { GivenFlags } from "./GivenFlags.js"

export const store: Flag = {
  name: "store",
  value: path,
  placeholder: "FILE",
  default: defaultStore,
  variable: "TAU_STORE",
  description: "The store to read; it is opened read-only, also while others write"
}

export const rbacPolicy: Flag = {
  name: "rbac-policy",
  value: path,
  placeholder: "FILE",
  default: ".tau/security/rbac.json",
  description: "Who may use which action"
}

export const json: Flag = {
  name: "json",
  value: { kind: "switch" },
  description: "Print one JSON object instead of text"
}

/** The same in the words of commands that do more than read rows. */
export const jsonAnswer: Flag = { ...json, description: "Print the answer as JSON on stdout" }

export const limit = (preset: number, description: string): Flag => ({
  name: "limit",
  value: { kind: "integer", min: 1, max: 1_000, unit: "" },
  placeholder: "N",
  default: String(preset),
  description
})

export const after: Flag = {
  name: "after",
  value: { kind: "text" },
  placeholder: "ID",
  description: "Go on after this row, the last one of the page before"
}

export const text = (name: string, placeholder: string, description: string): Flag => ({
  name,
  value: { kind: "text" },
  placeholder,
  description
})

export const choice = (name: string, words: ReadonlyArray<string>, description: string): Flag => ({
  name,
  value: { kind: "choice" },
  placeholder: words.join("|"),
  description
})

export const time = (name: string, description: string): Flag => ({
  name,
  value: { kind: "time" },
  placeholder: "TIME",
  description
})

export const score = (name: string, description: string): Flag => ({
  name,
  value: { kind: "number", min: 0, max: 1 },
  placeholder: "X",
  description
})

export const failed = (description: string): Flag => ({ name: "failed", value: { kind: "switch" }, description })

/** Every reading command is told these. */
export interface Place {
  readonly storePath: string
  readonly json: boolean
}

export const readPlace = (flags: GivenFlags): Place => ({
  storePath: readPath(flags.get("store")),
  json: flags.isOn("json")
})

/** The store that `--store` names, or the one in the folder of `--state-dir`; either comes before `TAU_STORE`. */
export const readStorePath = (flags: GivenFlags, inFolder = "store.sqlite"): string => {
  const hasFolder = flags.explicit.has("state-dir")
  if (hasFolder && flags.explicit.has("store")) throw new Mistake("--store and --state-dir do not go together")
  const store = hasFolder ? undefined : flags.find("store")
  return store === undefined ? join(readPath(flags.get("state-dir")), inFolder) : readPath(store)
}

export interface Paging {
  readonly after: string | null
  readonly limit: number
}

export const readPaging = (flags: GivenFlags): Paging => ({
  after: textOf(flags, "after"),
  limit: readInteger(flags.get("limit"))
})

/** The value of a flag that may be missing, read by `read`. */
export const optional = <A>(flags: GivenFlags, name: string, read: (given: Given) => A): A | null => {
  const given = flags.find(name)
  return given === undefined ? null : read(given)
}

export const textOf = (flags: GivenFlags, name: string): string | null =>
  optional(flags, name, (given) => {
    if (given.text === "") {
      throw new Mistake(`${given.source}: expected ${given.flag.placeholder ?? "a text"}, found ""`)
    }
    return given.text
  })

export const choiceOf = <Word extends string>(
  flags: GivenFlags,
  name: string,
  words: ReadonlyArray<Word>
): Word | null => optional(flags, name, (given) => readChoice(given, words))

/** A version of the resources, as an operand. */
export const readVersion = (operand: string): number => {
  const value = /^\d{1,15}$/.test(operand) ? Number(operand) : 0
  if (value < 1) throw new Mistake(`expected a version such as 1, found ${shown(operand)}`)
  return value
}

/** The same, or `latest`. */
export const readVersionOrLatest = (operand: string): number | "latest" =>
  operand === "latest" ? operand : readVersion(operand)
