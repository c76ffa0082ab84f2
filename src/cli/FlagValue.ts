/** Reads the values of flags and of the variables that stand in for them. */
import { isIPv6 } from "node:net"
import { shown } from "../domain/shown.js"
import { parseUpstream } from "../openai/UpstreamUrl.js"
import type { Flag } from "./flags.js"
import { switchWords } from "./flags.js"
import type { Bind, ModelRef } from "./Mode.js"
import { modelRefOf, providers } from "./Providers.js"
import { nearest } from "./Suggestion.js"

/** A mistake of whoever typed the command: one line, exit code 2. Thrown and caught inside the parser only. */
export class Mistake extends Error {}

/** A flag's value as text, and the flag or variable it came from. */
export interface Given {
  readonly flag: Flag
  readonly text: string
  readonly source: string
}

const wrong = (given: Given, expected: string) =>
  new Mistake(`${given.source}: ${expected}, found ${shown(given.text)}`)

/** By the words of `switchWords`. */
export const readSwitch = (given: Given): boolean => {
  const value = switchWords.get(given.text.trim().toLowerCase())
  if (value === undefined) throw wrong(given, "expected 1, true, yes or on, or 0, false, no or off")
  return value
}

/** Any text that a file may be called. */
export const readPath = (given: Given): string => {
  if (given.text === "") throw wrong(given, "expected a path")
  if (given.text.includes("\0")) throw wrong(given, "expected a path without NUL characters")
  return given.text
}

/** The URL as it was written, once it is known to be the base URL of a server. */
export const readUrl = (given: Given): string => {
  const parsed = parseUpstream(given.text)
  if (typeof parsed === "string") throw new Mistake(`${given.source}: ${parsed}`)
  return given.text
}

/** Within the bounds of its flag. */
export const readInteger = (given: Given): number => {
  const kind = given.flag.value
  if (kind.kind !== "integer") throw new TypeError(`${given.flag.name} is no number`)
  const value = /^\d{1,16}$/.test(given.text) ? Number(given.text) : Number.NaN
  if (!(value >= kind.min && value <= kind.max)) {
    const unit = kind.unit === "" ? "" : ` of ${kind.unit}`
    throw wrong(given, `expected a whole number${unit} from ${kind.min} to ${kind.max}`)
  }
  return value
}

/** A decimal number such as 0.05. */
export const readNumber = (given: Given): number => {
  const kind = given.flag.value
  if (kind.kind !== "number") throw new TypeError(`${given.flag.name} is no number`)
  const value = /^\d{1,16}(\.\d{1,18})?([eE][+-]?\d{1,3})?$/.test(given.text) ? Number(given.text) : Number.NaN
  if (!(value >= kind.min && value <= kind.max)) {
    throw wrong(given, `expected a number from ${kind.min} to ${kind.max}`)
  }
  return value
}

/** One of a few words. */
export const readChoice = <Word extends string>(given: Given, words: ReadonlyArray<Word>): Word => {
  const word = words.find((known) => known === given.text)
  if (word === undefined) throw wrong(given, `expected ${words.join(" or ")}`)
  return word
}

const msOf: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Whether the calendar has this day: `Date.parse` takes 30 February for 2 March. */
const isDay = (day: string) => {
  const ms = Date.parse(day)
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(day)
}

/** Unix milliseconds of a date (`2026-11-25`, `2026-11-25T20:00:00Z`), or of an age (`90s`, `15m`, `2h`, `3d`). */
export const readTime = (given: Given, nowMs: number): number => {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(given.text) ?? []
  const [, day] = /^(\d{4}-\d{2}-\d{2})(?:T[\d:.]+(?:Z|[+-]\d{2}:\d{2})?)?$/.exec(given.text) ?? []
  const date = day !== undefined && isDay(day) ? Date.parse(given.text) : Number.NaN
  const ms = count === undefined ? date : nowMs - Number(count) * msOf[unit!]!
  // An age of nine digits of days is before all that a date can be.
  if (Number.isNaN(new Date(ms).getTime())) {
    throw wrong(given, "expected a date such as 2026-11-25T20:00:00Z, or an age such as 15m, 2h or 3d")
  }
  return ms
}

/** A host or address with a port, an IPv6 address in brackets. */
export const readBind = (given: Given): Bind => {
  const [, bracketed, plain, port = ""] = /^(?:\[([^\]]*)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(given.text) ?? []
  const host = bracketed ?? plain
  const valid = bracketed === undefined ? plain !== undefined : isIPv6(bracketed)
  if (host === undefined || !valid || Number(port) > 65_535) {
    throw wrong(given, "expected host:port such as 127.0.0.1:8788 or [::1]:8788")
  }
  return { host, port: Number(port) }
}

/** A model of a known provider. */
export const readModel = (given: Given): ModelRef => {
  const model = modelRefOf(given.text)
  if (model === null) throw wrong(given, "expected provider/model such as openai/gpt-4o-mini")
  const { provider } = model
  const names = providers.map((known) => known.name)
  if (!names.includes(provider)) {
    const meant = nearest(provider, names)
    const hint = meant === undefined ? "" : ` (did you mean ${meant}?)`
    throw new Mistake(`${given.source}: unknown provider ${shown(provider)}${hint}; known are ${names.join(", ")}`)
  }
  return model
}
