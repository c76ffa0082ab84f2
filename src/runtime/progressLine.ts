import type { RunProgress } from "../store/RunStore.js"

export interface ProgressStyle {
  readonly columns: number
  readonly colours: boolean
}

/** Where a run stands in one line of at most `columns` characters; the least important facts give way first. */
export const progressLine = (progress: RunProgress, elapsedMs: number, { colours, columns }: ProgressStyle): string => {
  const { calls, cancelled, failed, finished, inputTokens, meanScore, outputTokens, total } = progress
  const facts = [
    `${finished}/${total} rollouts`,
    meanScore === null ? null : `score ${meanScore.toFixed(3)}`,
    failed === 0 ? null : `${failed} failed`,
    cancelled === 0 ? null : `${cancelled} cancelled`,
    progress.desired === "pause" ? "paused" : null,
    elapsed(elapsedMs),
    `${compact(calls)} calls`,
    `${compact(inputTokens + outputTokens)} tokens`
  ].filter((fact) => fact !== null)
  const bar = progressBar(finished, total)
  let text = `${bar} ${facts.join(" · ")}`
  while (text.length > columns - 1 && facts.length > 1) {
    facts.pop()
    text = `${bar} ${facts.join(" · ")}`
  }
  text = text.slice(0, columns - 1)
  return colours ? text.replace(bar, `\u001B[32m${bar}\u001B[0m`) : text
}

const barWidth = 12

const progressBar = (done: number, total: number): string => {
  const filled = total === 0 ? 0 : Math.floor(done / total * barWidth)
  return `[${"#".repeat(filled)}${"-".repeat(barWidth - filled)}]`
}

/** `850 ms`, `12.3 s`, `4 min 05 s`, `2 h 04 min`. */
export const elapsed = (ms: number): string => {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`
  const minutes = Math.floor(ms / 60_000)
  return minutes < 60
    ? `${minutes} min ${pad(Math.floor(ms / 1_000) % 60)} s`
    : `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`
}

const pad = (n: number) => String(n).padStart(2, "0")

/** `950`, `12.3k`, `4.0M`. */
export const compact = (n: number): string => {
  if (n < 1_000) return `${n}`
  return n < 999_950 ? `${(n / 1_000).toFixed(1)}k` : `${(n / 1_000_000).toFixed(1)}M`
}
