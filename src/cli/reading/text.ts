/** Facts of the store in a word or two. */
import { compact, elapsed } from "../../domain/Figures.js"
import { visible } from "../../domain/TerminalText.js"

/** `now`, `12 s ago`, `3 min ago`, `5 h ago`, `4 days ago`. */
export const ago = (ms: number, nowMs: number): string => {
  const seconds = Math.floor((nowMs - ms) / 1_000)
  if (seconds < 1) return "now"
  if (seconds < 60) return `${seconds} s ago`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h ago`
  return `${Math.floor(seconds / 86_400)} days ago`
}

/** How long that was; nothing while it goes on. */
export const took = (fromMs: number, toMs: number | null): string =>
  toMs === null ? "" : elapsed(Math.max(0, toMs - fromMs))

/** A score with three decimals; nothing where there is none. */
export const points = (score: number | null): string => score === null ? "" : score.toFixed(3)

/** `120 → 45`: tokens in and out. */
export const tokens = (input: number | null, output: number | null): string =>
  input === null && output === null ? "" : `${shortCount(input)} → ${shortCount(output)}`

const shortCount = (count: number | null) => count === null ? "?" : compact(count)

/** A value of JSON on one line, or a text as it is. */
export const inline = (value: unknown): string =>
  visible(typeof value === "string" ? value.replaceAll(/\s+/g, " ").trim() : JSON.stringify(value) ?? "")
