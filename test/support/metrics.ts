import * as Effect from "effect/Effect"
import { request } from "undici"
import { Proxy } from "../../src/proxy/Proxy.js"

const family = /^# (HELP|TYPE) ([a-z_]+) (.+)$/
const sample = /^([a-z_]+)(?:\{((?:[a-z]+="[^"\\\n]*",?)*)\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/

/** Reads Prometheus text, version 0.0.4, and throws at whatever a strict reader would not take. */
const parseMetrics = (text: string): ReadonlyMap<string, number> => {
  if (!text.endsWith("\n")) throw new Error("the last line has no end")
  const types = new Map<string, string>()
  const samples = new Map<string, number>()
  let help = ""
  let current = ""
  for (const line of text.slice(0, -1).split("\n")) {
    const [, word, named = "", rest = ""] = family.exec(line) ?? []
    if (word === "HELP") help = named
    else if (word === "TYPE") {
      if (help !== named || types.has(named)) throw new Error(`TYPE out of place: ${line}`)
      if (!["counter", "gauge", "histogram"].includes(rest)) throw new Error(`unknown type: ${line}`)
      types.set(named, rest)
      current = named
    } else {
      const [, name = "", labels, value] = sample.exec(line) ?? []
      const base = types.get(current) === "histogram" ? name.replace(/_(bucket|sum|count)$/, "") : name
      if (value === undefined || base !== current) throw new Error(`not a sample of ${current}: ${line}`)
      const series = labels === undefined ? name : `${name}{${labels}}`
      if (samples.has(series)) throw new Error(`twice: ${line}`)
      samples.set(series, Number(value))
    }
  }
  for (const [name, type] of types) {
    if (type === "counter" && !name.endsWith("_total")) throw new Error(`a counter's name ends in _total: ${name}`)
    if (type !== "histogram") continue
    const buckets = [...samples].filter(([series]) => series.startsWith(`${name}_bucket{`)).map(([, count]) => count)
    if (buckets.some((count, index) => index > 0 && count < buckets[index - 1]!)) throw new Error(`${name} falls`)
    if (buckets.at(-1) !== samples.get(`${name}_count`)) throw new Error(`${name}: the last bucket is not the count`)
  }
  return samples
}

export const metrics = Effect.flatMap(Proxy, ({ origin }) =>
  Effect.promise(async () => {
    const { body, headers, statusCode } = await request(`${origin}/metrics`, { reset: true })
    const text = await body.text()
    if (statusCode !== 200 || headers["content-type"] !== "text/plain; version=0.0.4; charset=utf-8") {
      throw new Error(`${statusCode} ${String(headers["content-type"])}`)
    }
    return parseMetrics(text)
  }))
