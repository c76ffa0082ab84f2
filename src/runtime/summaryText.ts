import { compact, elapsed } from "../domain/Figures.js"
import { type ScoreSummary, simulatedNote, type Summary } from "./Summary.js"

/** The summary for a person, at most 80 columns wide save for paths and the model's name. */
export const summaryText = (summary: Summary): string => {
  const { calls, elapsedMs, failures, inputTokens, outputTokens, resume, rewards, scores } = summary
  const counts = [
    `${summary.succeeded} of ${summary.total} rollouts succeeded`,
    summary.failed > 0 && `${summary.failed} failed`,
    summary.cancelled > 0 && `${summary.cancelled} cancelled`
  ].filter(Boolean).join(", ")
  const stopped = summary.stoppedReason === null ? "" : ` (stopped: ${summary.stoppedReason.replaceAll("_", " ")})`
  return [
    `Run ${summary.runId} ${summary.runState}${stopped}: ${counts}.`,
    "",
    ...scores.flatMap((score) => [
      row(`${score.mode} score`, scoreText(score)),
      ...rewards.filter(({ mode }) => mode === score.mode).map(({ mean, n, name }) =>
        row(`  ${name}`, `${mean.toFixed(3)}  mean of the ${n} that ${isOfSome(name) ? "have it" : "succeeded"}`)
      )
    ]),
    row("model", `${summary.modelRef}${summary.simulated ? "  (simulated)" : ""}`),
    row("resources", `version ${summary.resourcesVersion}`),
    row("calls", `${compact(calls)}, ${compact(inputTokens)} tokens in, ${compact(outputTokens)} out`),
    ...summary.rewrites.map(rewriteText),
    row("elapsed", elapsed(elapsedMs)),
    ...(resume.resumed
      ? [
        row("resumed", `start ${summary.start}; ${resume.finishedBefore} rollouts were finished before,`),
        row("", `${resume.requeued} were put back, ${resume.unknownCalls} calls ended unknown`),
        row("", `${resume.resumedRollouts} taken up again, under resources ${versions(resume.resourcesVersions)}`),
        row("", `${resume.callsReplayed} calls replayed, ${compact(resume.tokensSaved)} tokens saved`),
        ...(resume.crashed
          ? [row("", `after a crash, ${resume.checkpointSource ?? "no"} checkpoint: recovery-report.json`)]
          : [])
      ]
      : []),
    ...summary.deaths.map(({ actor, deaths, last }) =>
      row("restarted", oneLine(`${actor}, ${deaths}x, the last time after: ${last}`))
    ),
    row("store", summary.storePath),
    row("status", summary.statusPath),
    ...(failures.length === 0 ? [] : ["", failures.length < summary.failed ? "First failures:" : "Failures:"]),
    ...failures.flatMap(({ error, rolloutId }) => [`  ${rolloutId}`, `    ${oneLine(error)}`]),
    ...(summary.simulated ? ["", `Note: ${simulatedNote}.`] : [])
  ].join("\n")
}

/** A rule that found nothing is the first thing to mend: what it was to put in place was never tried. */
const rewriteText = ({ component, matched, missed, rule }: Summary["rewrites"][number]) =>
  row(
    `rewrite[${rule}]`,
    matched === 0
      ? `${component}: its text was found in NONE of ${missed} calls`
      : `${component}: in place in ${matched} of ${matched + missed} calls`
  )

const versions = (numbers: ReadonlyArray<number>) =>
  numbers.length === 1 ? `version ${numbers[0]}` : `versions ${numbers.join(", ")}`

const row = (label: string, value: string) => `  ${label.padEnd(14)}  ${value}`

/** Scorers look at every rollout that succeeded; what unsafe behaviour costs, only those have that showed any. */
const isOfSome = (reward: string) => reward.startsWith("safety.")

const scoreText = ({ interval, mean, n }: ScoreSummary): string => {
  if (mean === null) return "none: no scorer applied to these examples"
  if (interval === null) return `${mean.toFixed(3)}  n=${n}`
  return `${mean.toFixed(3)}  n=${n}, 95% [${interval.low.toFixed(3)}, ${interval.high.toFixed(3)}] ${interval.method}`
}

const oneLine = (text: string) => {
  const flat = text.replaceAll(/\s+/g, " ").trim()
  return flat.length > 74 ? `${flat.slice(0, 73)}…` : flat
}
