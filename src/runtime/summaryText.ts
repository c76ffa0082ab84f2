import { storeHint } from "../domain/CommandText.js"
import { compact, counted, dollars, elapsed } from "../domain/Figures.js"
import { brokenCounts } from "../domain/Noise.js"
import { type Cost, isWhole } from "../domain/Prices.js"
import { cut, visible, visibleLines, wrapped } from "../domain/TerminalText.js"
import type { Broken } from "../store/brokenRollouts.js"
import { type ScoreSummary, simulatedNote, type Summary } from "./Summary.js"

/** The summary for a person, at most 80 columns wide save for paths and the model's name. */
export const summaryText = (summary: Summary): string => {
  const { calls, elapsedMs, inputTokens, outputTokens, resume, rewards, scores } = summary
  const counts = [
    `${summary.succeeded} of ${counted(summary.total, "rollout")} succeeded`,
    summary.failed > 0 && `${summary.failed} failed`,
    summary.cancelled > 0 && `${summary.cancelled} cancelled`
  ].filter(Boolean).join(", ")
  const stopped = summary.stoppedReason === null ? "" : ` (stopped: ${summary.stoppedReason.replaceAll("_", " ")})`
  return [
    ...wrapped(`Run ${summary.runId} ${summary.runState}${stopped}: ${counts}.`, 80),
    "",
    ...scores.flatMap((score) => [
      ...wrapped(scoreText(score, summary.broken), 62).map((line, n) =>
        row(n === 0 ? `${score.mode} score` : "", line)
      ),
      ...(score.unscored === null || score.mean === null ? [] : [row("", unscoredText(score.unscored))]),
      ...rewards.filter(({ mode }) => mode === score.mode).map(({ mean, n, name }) =>
        row(`  ${name}`, `${mean.toFixed(3)}  mean of the ${n} that ${isOfSome(name) ? "have it" : "succeeded"}`)
      )
    ]),
    row("model", `${summary.modelRef}${summary.simulated ? "  (simulated)" : ""}`),
    // A search is told of above, with the version that it promoted.
    summary.isSearch
      ? row("seed", `version ${summary.resourcesVersion} of the resources`)
      : row("resources", `version ${summary.resourcesVersion}`),
    row(
      "calls",
      `${compact(calls)}, ${compact(inputTokens)} ${inputTokens === 1 ? "token" : "tokens"} in, ${
        compact(outputTokens)
      } out`
    ),
    // What an agent that calls past the proxy did is not seen, and none of its texts were put in place.
    ...(calls === 0 && resume.callsReplayed === 0 && summary.succeeded > 0
      ? [row("", "none came through the run's proxy: see docs/executors.md")]
      : []),
    ...costText(summary),
    ...summary.rewrites.filter(({ matched, missed }) => matched + missed > 0).map(rewriteText),
    row("elapsed", elapsed(elapsedMs)),
    ...(resume.resumed
      ? [
        row(
          "resumed",
          `start ${summary.start}; ${counted(resume.finishedBefore, "rollout was", "rollouts were")} finished before,`
        ),
        row("", `${resume.requeued} put back, ${counted(resume.unknownCalls, "call")} ended unknown`),
        row("", takenUpAgain(resume)),
        row("", `${counted(resume.callsReplayed, "call")} replayed, ${compact(resume.tokensSaved)} tokens saved`),
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
    ...failureText(summary),
    ...(summary.simulated ? ["", `Note: ${simulatedNote}.`] : [])
  ].join("\n")
}

const costText = ({ cost }: Summary): ReadonlyArray<string> =>
  (cost === null ? [] : costLines(cost, ": see optimizer.prices")).flatMap((line, n) =>
    wrapped(line, 62).map((part, m) => row(n + m === 0 ? "cost" : "", part))
  )

/**
 * Nothing where nobody says what anything cost, as of a model on the own machine. `remedy` is for calls whose model has no price;
 * `isAll` false where there are calls that the cost is without.
 */
export const costLines = (cost: Cost, remedy: string, isAll = true): ReadonlyArray<string> => {
  const { unmeteredCalls, unpriced, unpricedCalls, usd } = cost
  if (usd === 0 && unmeteredCalls === 0) return []
  return [
    usd === 0 ? "unknown" : `${isAll && isWhole(cost) ? "about" : "at least"} ${dollars(usd)}`,
    ...(unpriced === null
      ? []
      : [
        `without ${counted(unpricedCalls, "call that has", "calls that have")} no price (of ${
          visible(flat(unpriced))
        }, say)${remedy}`
      ]),
    ...(unmeteredCalls === 0 ?
      [] :
      [`without ${counted(unmeteredCalls, "call whose answer tells", "calls whose answers tell")} no usage`])
  ]
}

/** What rollouts failed with, behind an empty line; nothing where none did. */
export const failureText = (
  { failed, failures, storePath }: Pick<Summary, "failed" | "failures" | "storePath">
): ReadonlyArray<string> => {
  const [first] = failures
  if (first === undefined) return []
  const told = failures.reduce((sum, { rollouts }) => sum + rollouts, 0)
  return [
    "",
    told < failed ? "First failures:" : "Failures:",
    ...failures.flatMap(({ error, id, rollouts, stderrTail }) => [
      `  ${id}${rollouts === 1 ? "" : ` and ${rollouts - 1} more`}`,
      ...wrapped(bothEnds(visible(flat(error))), 76).map((line) => `    ${line}`),
      ...lastWords(stderrTail ?? "").map((line) => `    | ${line}`)
    ]),
    `One of them: tau rollout ${first.id}${storeHint(storePath)}`
  ]
}

/** A cause stands at the end of what it caused: a long message is cut in the middle. */
const bothEnds = (text: string) => text.length > 300 ? `${text.slice(0, 150)} … ${text.slice(-147)}` : text

/** The frames of a stack are indented in most languages: what it is the stack of begins at the margin. */
const lastWords = (stderr: string) => {
  const lines = visibleLines(stderr).filter((line) => line.trim() !== "")
  const atMargin = lines.filter((line) => /^\S/.test(line))
  return (atMargin.length > 0 ? atMargin : lines).slice(-lastWordsMax).map((line) => cut(line.trim(), 74))
}

const lastWordsMax = 3

/** A rule that found nothing is the first thing to mend: what it was to put in place was never tried. */
const rewriteText = ({ component, matched, missed, rule }: Summary["rewrites"][number]) =>
  row(
    `rewrite[${rule}]`,
    matched === 0
      ? `${component}: its text was found in NONE of ${counted(missed, "call")}`
      : `${component}: in place in ${matched} of ${counted(matched + missed, "call")}`
  )

const takenUpAgain = ({ resourcesVersions, resumedRollouts }: Summary["resume"]) =>
  resumedRollouts === 0
    ? "none taken up again"
    : `${resumedRollouts} taken up again, under ${versions(resourcesVersions)}`

/** In ascending order. A search has a version for each of its candidates: of many only the ends are told. */
const versions = (numbers: ReadonlyArray<number>) => {
  const [first, last] = [numbers[0]!, numbers.at(-1)!]
  if (numbers.length === 1) return `resources version ${first}`
  if (numbers.length <= 3) return `resources versions ${numbers.join(", ")}`
  return last - first === numbers.length - 1
    ? `resources versions ${first} to ${last}`
    : `${numbers.length} resources versions, ${first} to ${last}`
}

const row = (label: string, value: string) => `  ${label.padEnd(14)}  ${value}`

/** Scorers look at every rollout that succeeded; what unsafe behaviour costs, only those have that showed any. */
const isOfSome = (reward: string) => reward.startsWith("safety.")

const unscoredText = ({ examples, lacking }: NonNullable<ScoreSummary["unscored"]>) =>
  `${counted(examples, "example")} not scored: no ${lacking}, and no scoring is set`

const scoreText = (
  { failed, interval, mean, mode, n, rollouts, succeeded, unscored }: ScoreSummary,
  broken: ReadonlyArray<Broken>
): string => {
  if (mean === null) {
    const causes = broken.filter((cause) => cause.mode === mode)
    if (causes.length > 0) return `none: ${brokenCounts(causes, counted(rollouts, "rollout"))}`
    if (succeeded + failed === 0) return "none: none of its rollouts has finished"
    return `none: ${unscored === null ? "no scorer applied to these examples" : unscoredText(unscored)}`
  }
  if (interval === null) return `${mean.toFixed(3)}  n=${n}`
  return `${mean.toFixed(3)}  n=${n}, 95% [${interval.low.toFixed(3)}, ${interval.high.toFixed(3)}] ${interval.method}`
}

const flat = (text: string) => text.replaceAll(/\s+/g, " ").trim()

const oneLine = (text: string) => cut(flat(text), 62)
