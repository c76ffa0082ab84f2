/** Reads the values of the proxy's flags. Loads no Effect. */
import { shown } from "../domain/shown.js"
import { timerMsMax } from "../domain/timerMsMax.js"
import { defaultLimits, type ProxyLimits } from "../proxy/ProxyOptions.js"
import { type Given, Mistake, readChoice } from "./FlagValue.js"
import type { Environment } from "./Providers.js"
import { nearest } from "./Suggestion.js"

export const readRecordPolicy = (given: Given) => readChoice(given, ["required", "best-effort"])
export const readOnDisconnect = (given: Given) => readChoice(given, ["cancel", "drain"])
export const readStreamUsage = (given: Given) => readChoice(given, ["as-sent", "ask"])

export const readPayloads = (given: Given) => readChoice(given, ["full", "metadata"]) === "full"
export const readOnOff = (given: Given) => readChoice(given, ["on", "off"]) === "on"

/** Names separated by commas, each as the pattern wants it. */
const readList = (given: Given | undefined, pattern: RegExp, expected: string): ReadonlyArray<string> =>
  (given?.text ?? "").split(",").map((name) => name.trim()).filter((name) => name !== "").map((name) => {
    if (!pattern.test(name)) throw new Mistake(`${given!.source}: expected ${expected}, found ${shown(name)}`)
    return name
  })

export const readHosts = (given: Given | undefined) =>
  readList(given, /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])$/, "host names without a port, separated by commas")

export const readOrigins = (given: Given | undefined) =>
  readList(given, /^[a-z][a-z0-9+.-]*:\/\/[^\s/]+$/i, "origins such as https://app.example, separated by commas")

/** The value of the variable that the flag names. Neither is ever shown. */
export const readKeyVariable = (given: Given, environment: Environment): string => {
  if (!/^[A-Za-z_]\w*$/.test(given.text)) {
    throw new Mistake(`${given.source}: expected the name of an environment variable, never a key itself`)
  }
  const key = environment[given.text]?.trim()
  if (key === undefined || key === "") throw new Mistake(`${given.source}: the variable ${given.text} is not set`)
  if (!/^[\x21-\x7e]+$/.test(key)) throw new Mistake(`${given.source}: ${given.text} holds characters that no key has`)
  return key
}

const limitNames = Object.keys(defaultLimits) as ReadonlyArray<keyof ProxyLimits>

/** A queue may be without a place, and a reserve may be none; everything else needs at least one. */
const mayBeZero: ReadonlySet<keyof ProxyLimits> = new Set([
  "queueMax",
  "recordedBytesMax",
  "freeBytesLow",
  "shutdownGraceMs"
])

/** `name=number`, separated by commas. */
export const readLimits = (given: Given): Partial<ProxyLimits> => {
  const limits: Partial<Record<keyof ProxyLimits, number>> = {}
  for (const part of given.text.split(",")) {
    const [written = "", text = ""] = part.split(/=(.*)/s).map((side) => side.trim())
    const name = limitNames.find((known) => known === written)
    if (name === undefined) {
      const meant = nearest(written, limitNames)
      const hint = meant === undefined ? `; known are ${limitNames.join(", ")}` : `; did you mean ${meant}?`
      throw new Mistake(`${given.source}: unknown limit ${shown(written)}${hint}`)
    }
    if (limits[name] !== undefined) throw new Mistake(`${given.source}: ${name} is given twice`)
    const min = mayBeZero.has(name) ? 0 : 1
    const max = name.endsWith("Ms") ? timerMsMax : Number.MAX_SAFE_INTEGER
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    if (!(value >= min && value <= max)) {
      throw new Mistake(`${given.source}: ${name}: expected a whole number from ${min} to ${max}, found ${shown(text)}`)
    }
    limits[name] = value
  }
  return limits
}
