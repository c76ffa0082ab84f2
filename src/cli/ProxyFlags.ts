/** Reads the values of flags that only the proxy has. Loads no Effect. */
import { defaultLimits, type ProxyLimits } from "../proxy/ProxyOptions.js"
import { timerMsMax } from "./flags.js"
import { type Given, Mistake, readChoice } from "./FlagValue.js"
import { nearest, shown } from "./Suggestion.js"

export const readRecordPolicy = (given: Given) => readChoice(given, ["required", "best-effort"])
export const readOnDisconnect = (given: Given) => readChoice(given, ["cancel", "drain"])

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
