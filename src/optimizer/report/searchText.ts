/** A search for a person: what came of it in one sentence, then the text that won, where it came from, and what it cost. */
import { compact, counted, elapsed, signed } from "../../domain/Figures.js"
import { columnsMax, visibleLines, wrapped } from "../../domain/TerminalText.js"
import { unifiedDiff } from "../../domain/UnifiedDiff.js"
import { railsTable } from "./railsTable.js"
import {
  ancestry,
  bestOf,
  type Budget,
  type ComparedExample,
  type GateOutcome,
  type SearchReport,
  type Slice,
  type Spent,
  textAt,
  winsAndLosses
} from "./SearchReport.js"
import { bounds, fitting, oneLine, score, scoreWithBounds, table } from "./words.js"

/** Lines of at most 80 columns. */
export const searchText = (report: SearchReport): string =>
  [
    ...wrapped(oneLine(verdict(report)), columnsMax),
    "",
    ...headLines(report),
    ...section("Winning text", winningText(report)),
    ...section("Lineage", lineage(report)),
    ...section("Scores", scores(report)),
    ...section(`Examples, ${leaderOf(report)} against seed`, examples(report)),
    ...section("Cost", cost(report.budget)),
    ...section("Gate", gate(report.gate)),
    ...section("Guard rails, old and new version", railsTable(report.gate?.guardRails ?? [])),
    ...section("Came to nothing", troubles(report))
  ].join("\n")

const section = (title: string, lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.length === 0 ? [] : ["", title, ...lines.map((line) => fitting(`  ${line}`))]

const inner = columnsMax - 2

/** The most important thing in one plain sentence: the gate's own where there is one. */
export const verdict = (report: SearchReport): string => {
  const { candidates, configPath, ended, gate, openGate, stopped, unanswered } = report
  const continued = stopped === "paused"
    ? "tau --prompt-optimization-control-resume continues it"
    : `running ${configPath} again continues it`
  const goesOn = stopped === null ? "" : ` ${whyStopped.get(stopped) ?? "It was stopped"}; ${continued}.`
  if (gate !== null) return asSentence(gate.sentence)
  if (unanswered !== null) {
    return `No reflection was answered, so that nothing but the seed was looked at: ${oneLine(unanswered)}${
      /[.!?]$/.test(unanswered) ? "" : "."
    }`
  }
  if (openGate !== null) {
    const { losses, n, pairs, wins } = openGate
    const judged = `${n} of ${counted(pairs, "pair")}, ${wins} won, ${losses} lost`
    return `The search has ended and its gate is open: ${judged}.${goesOn}`
  }
  const seed = candidates.find(({ n }) => n === 0)
  const winner = bestOf(report)
  const stands = stopped === null
    ? "The search is under way"
    : stopped === "paused"
    ? "The search is paused"
    : "The search stopped before its end"
  const best = winner ?? seed
  if (best === undefined || best.mean === null) {
    return ended === null
      ? `${stands}; the seed is not scored yet on all selection examples.${goesOn}`
      : "The search ended before the seed was scored on all selection examples."
  }
  const against = seed?.mean === null || seed === undefined ? "" : `, the seed ${score(seed.mean)}`
  const over = `over ${counted(best.examples, "example")}`
  if (ended === null) {
    return winner === null
      ? `${stands}; nothing is better than the seed yet, which scores ${score(best.mean)} ${over}.${goesOn}`
      : `${stands}; candidate ${best.n} scores ${score(best.mean)}${against}, ${over}.${goesOn}`
  }
  return winner === null
    ? `No better text was found than the seed, which scores ${score(best.mean)} ${over} and stays as it is.`
    : `Candidate ${best.n} scores ${score(best.mean)}${against}, ${over} that the search saw: no gate has judged it.`
}

const whyStopped: ReadonlyMap<string, string> = new Map([
  ["crashed", "Its process died"],
  ["paused", "It was told to pause"],
  ["signal", "A signal stopped it"],
  ["completion_timeout", "Its time was up"],
  ["error", "An error stopped it"]
])

const asSentence = (text: string): string =>
  `${text.slice(0, 1).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`

const headLines = (
  { algorithm, budget, candidates, ended, promotedVersion, randomSeed, runId, stopped }: SearchReport
): ReadonlyArray<string> => {
  const proposed = candidates.filter(({ n }) => n > 0)
  const accepted = proposed.filter(({ state }) => state === "accepted" || state === "winner").length
  return [
    fact("run", oneLine(runId)),
    fact("algorithm", `${oneLine(algorithm)}, random seed ${randomSeed}`),
    fact("ended", ended !== null ? ending(ended, budget) : notYet(stopped)),
    fact("candidates", `${proposed.length} tried, ${accepted} accepted`),
    ...(promotedVersion === null ? [] : [fact("promoted", `version ${promotedVersion} of the resources`)])
  ]
}

const notYet = (stopped: string | null): string => {
  if (stopped === null) return "not yet"
  return stopped === "paused" ? "not yet, and paused" : "not yet, and stopped"
}

/** Why a search ended, in words where its reason is a budget: less than all of it may be spent. */
const ending = (reason: string, { rollouts: { gate, limit: rolloutsMax }, usd }: Budget): string => {
  if (reason === "rollouts" && gate !== null && gate > 0 && rolloutsMax !== null) {
    return `rollouts: the next batch did not fit into the search's ${rolloutsMax - gate}`
  }
  if (reason === "usd" && usd.unpriced !== null) return "usd: max_usd cannot be kept where a price is unknown"
  const limit = limits.get(reason)
  return limit === undefined ? oneLine(reason) : `${reason}: ${limit}`
}

const limits: ReadonlyMap<string, string> = new Map([
  ["rollouts", "the next batch did not fit into max_rollouts"],
  ["reflections", "the next batch did not fit into max_reflections"],
  ["tokens", "the next batch did not fit into max_tokens"],
  ["usd", "the next batch did not fit into max_usd"],
  ["seconds", "max_seconds have passed, or would in the next batch"],
  ["unmetered", "no call told its usage; a stream has to be asked"],
  ["stalled", "too many iterations in a row asked for nothing new"]
])

const fact = (label: string, value: string): string => fitting(`  ${label.padEnd(14)}${value}`)

/** Against the seed, component by component; those that stayed as they were are named only. */
const winningText = ({ seed, winner }: SearchReport): ReadonlyArray<string> => {
  if (winner === null) return []
  const names = [...new Set([...Object.keys(seed), ...Object.keys(winner)])].toSorted()
  return names.flatMap((name) => {
    const lines = unifiedDiff(textAt(seed, name), textAt(winner, name))
    return lines.length === 0
      ? [`${oneLine(name)}: as in the seed`]
      : [`--- ${oneLine(name)}, seed`, `+++ ${oneLine(name)}, winner`, ...lines.flatMap(diffLine)]
  })
}

/** A long line goes on under its own sign. */
const diffLine = (line: string): ReadonlyArray<string> =>
  line.startsWith("@@")
    ? [line]
    : wrapped(visibleLines(line.slice(1)).join(""), inner - 1).map((part) => `${line.slice(0, 1)}${part}`)

/** For each component, the candidates that changed it on the way from the seed to the winner. */
const lineage = (report: SearchReport): ReadonlyArray<string> => {
  const winner = bestOf(report)
  if (winner === null) return []
  const line = ancestry(report.candidates, winner).filter(({ change }) => change !== null)
  const components = [...new Set(line.map(({ change }) => change!.component))]
  return components.flatMap((component) => [
    oneLine(component),
    ...line.filter(({ change }) => change!.component === component).flatMap((candidate) => [
      `  ${candidate.n} ${candidate.change!.kind} of ${candidate.parents.join(" and ")}: ${
        candidate.mean === null ? "no score" : `${score(candidate.mean)} ${bounds(candidate.interval) || "-"}`
      } n=${candidate.examples}`,
      ...candidate.change!.hypotheses.slice(0, 3).map((text) => `    because ${oneLine(text)}`),
      ...candidate.change!.edits.slice(0, 5).map((text) => `    ${oneLine(text)}`)
    ])
  ])
}

/** Nobody has won a search that has not ended. */
const leaderOf = ({ ended }: SearchReport): "winner" | "best so far" => ended === null ? "best so far" : "winner"

const scores = (report: SearchReport): ReadonlyArray<string> =>
  report.slices.length === 0 ? [] : table<Slice>(report.slices, [
    { title: "examples", cell: ({ name }) => fitting(oneLine(name), 18) },
    { title: "n", align: "right", cell: ({ n }) => String(n) },
    { title: "seed", cell: ({ seed }) => scoreWithBounds(seed) },
    { title: leaderOf(report), cell: ({ winner }) => scoreWithBounds(winner) },
    {
      title: "gain",
      align: "right",
      cell: ({ seed, winner }) => seed === null || winner === null ? "-" : signed(winner.mean - seed.mean)
    }
  ])

const examplesShown = 10

/** The largest differences: losses before wins, for they are what to look at. */
const examples = (report: SearchReport): ReadonlyArray<string> => {
  const { losses, ties, wins } = winsAndLosses(report)
  const all = [...losses, ...wins]
  if (all.length + ties === 0) return []
  const left = all.length - examplesShown
  return [
    `${wins.length} won, ${losses.length} lost, ${ties} alike`,
    ...all.slice(0, examplesShown).flatMap(exampleLines),
    ...(left > 0 ? [`and ${left} more that ${left === 1 ? "differs" : "differ"}`] : [])
  ]
}

const exampleLines = ({ feedback, id, input, seed, winner }: ComparedExample): ReadonlyArray<string> => [
  `${winner > seed ? "won " : "lost"}  ${score(seed)} → ${score(winner)}  ${fitting(oneLine(id), 16)}  ${
    oneLine(input)
  }`,
  ...(winner < seed && feedback !== null ? [`      ${oneLine(feedback)}`] : [])
]

const troubles = (report: SearchReport): ReadonlyArray<string> =>
  report.troubles.flatMap(({ kind, last, n }) => [
    `${n} ${oneLine(n === 1 ? kind.replace(/^answers\b/, "answer") : kind)}${n === 1 ? "" : ", the last"}:`,
    ...wrapped(oneLine(last), inner - 2).slice(0, 3).map((line) => `  ${line}`)
  ])

const cost = ({ reflections, rollouts, seconds, tokens, usd }: Budget): ReadonlyArray<string> => [
  `${budgetLine("rollouts", rollouts, String)}${
    rollouts.gate === null || rollouts.gate === 0
      ? ""
      : `, of which ${rollouts.gate} ${rollouts.gate === 1 ? "is" : "are"} kept for the gate`
  }`,
  budgetLine("reflections", reflections, String),
  budgetLine("tokens", tokens, compact),
  `${"dollars".padEnd(14)}${spentDollars(usd)}${usd.limit === null ? "" : ` of ${money(usd.limit)}`}`,
  ...notIn(usd).flatMap((text) => wrapped(text, inner - 14).map((line) => `${" ".repeat(14)}${line}`)),
  budgetLine("time", seconds, (value) => elapsed(value * 1_000))
]

const spentDollars = (usd: Budget["usd"]): string => {
  if (notIn(usd).length === 0) return money(usd.spent)
  return usd.spent === 0 ? "unknown" : `at least ${money(usd.spent)}`
}

/** Calls that are not in what was spent, and why. */
const notIn = ({ unmeteredCalls, unpriced, unpricedCalls }: Budget["usd"]): ReadonlyArray<string> => [
  ...(unpriced === null
    ? []
    : [
      `without ${counted(unpricedCalls, "call that has", "calls that have")} no price (of ${
        oneLine(unpriced)
      }, say): see optimizer.prices`
    ]),
  ...(unmeteredCalls === 0 ?
    [] :
    [`without ${counted(unmeteredCalls, "call whose answer tells", "calls whose answers tell")} no usage`])
]

const money = (value: number): string => value.toFixed(value > 0 && value < 0.01 ? 4 : 2)

const budgetLine = (label: string, { limit, spent }: Spent, shown: (value: number) => string): string =>
  `${label.padEnd(14)}${shown(spent)}${limit === null ? "" : ` of ${shown(limit)}`}`

const gate = (outcome: GateOutcome | null): ReadonlyArray<string> => {
  if (outcome === null) return []
  const { decision, gain, incumbent, interval, leftOut, losses, n, opening, openingsLeft, p, test, wins } = outcome
  return [
    `${"decision".padEnd(14)}${oneLine(decision)}`,
    // The scores above are against the seed.
    ...(incumbent === null
      ? []
      : [`${"against".padEnd(14)}version ${incumbent}, the latest when it opened, not the seed`]),
    ...(opening === 0 ? [] : [`${"examples".padEnd(14)}${n} of its own: ${wins} won, ${losses} lost`]),
    ...(leftOut.seen === 0 ? [] : [`${"left out".padEnd(14)}${leftOut.seen} that an earlier search had seen`]),
    ...(leftOut.wornOut === 0 ? [] : [`${"left out".padEnd(14)}${leftOut.wornOut} that earlier gates have worn out`]),
    ...(gain === null ? [] : [`${"gain".padEnd(14)}${signed(gain)} ${bounds(interval)}`]),
    ...(p === null
      ? []
      : [`${"p".padEnd(14)}${Number(p.toPrecision(3))}${test === null ? "" : ` (${oneLine(test)})`}`]),
    ...(opening === 0 ? [] : [
      `${"opening".padEnd(14)}${opening === 1 ? "the first" : `number ${opening}`} of these examples, ${
        openingsLeft === 0 ? "the last" : `${openingsLeft} left`
      }`
    ])
  ]
}
