import { compact, elapsed } from "../domain/Figures.js"
import type { RunProgress } from "../store/RunStore.js"

export interface ProgressStyle {
  readonly columns: number
  readonly colours: boolean
}

/** Where a run stands in one line of at most `columns` characters; the least important facts give way first. */
export const progressLine = (progress: RunProgress, elapsedMs: number, { colours, columns }: ProgressStyle): string => {
  const { calls, cancelled, failed, inputTokens, meanScore, outputTokens, succeeded, total } = progress
  // What was cancelled was not done: the bar of a cancelled run stays where the run was.
  const done = succeeded + failed
  const facts = [
    `${done}/${total} rollouts`,
    meanScore === null ? null : `score ${meanScore.toFixed(3)}`,
    failed === 0 ? null : `${failed} failed`,
    cancelled === 0 ? null : `${cancelled} cancelled`,
    progress.desired === "pause" ? "paused" : null,
    elapsed(elapsedMs),
    calls === 1 ? "1 call" : `${compact(calls)} calls`,
    `${compact(inputTokens + outputTokens)} tokens`
  ].filter((fact) => fact !== null)
  const bar = progressBar(done, total)
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
