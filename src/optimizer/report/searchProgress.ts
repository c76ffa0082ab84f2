import { counted } from "../../domain/Figures.js"
import { columnsMax } from "../../domain/TerminalText.js"
import type { OpenGate } from "./SearchReport.js"
import { bounds, fitting, score } from "./words.js"

export interface SearchProgress {
  /** Mean of the best so far and its bounds; null before anything was scored. */
  readonly best: number | null
  readonly low: number | null
  readonly high: number | null
  readonly tried: number
  readonly accepted: number
  /** Null while no gate is open. */
  readonly gate: OpenGate | null
  readonly rolloutsEnded: number
  /** How many of these failed. */
  readonly rolloutsFailed: number
  readonly rolloutsMax: number
  /** What was spent of the other budgets that the config sets, `$1.20/$5` say. */
  readonly otherBudgets: ReadonlyArray<string>
  /** Null where the time has no limit. */
  readonly secondsLeft: number | null
}

/** Where a search stands, in one line of at most 80 columns; the last facts give way first. */
export const searchProgress = (
  {
    accepted,
    best,
    gate,
    high,
    low,
    otherBudgets,
    rolloutsEnded,
    rolloutsFailed,
    rolloutsMax,
    secondsLeft,
    tried
  }: SearchProgress,
  columns = columnsMax
): string => {
  const interval = low === null || high === null ? "" : ` ${bounds({ low, high })}`
  const facts = [
    best === null ? "no score yet" : `best ${score(best)}${interval}`,
    gate === null
      ? `${tried} tried, ${accepted} accepted`
      : `gate: ${gate.n} of ${counted(gate.pairs, "pair")}, ${gate.wins} won, ${gate.losses} lost`,
    `${rolloutsEnded}/${rolloutsMax} rollouts`,
    ...otherBudgets,
    ...(rolloutsFailed === 0 ? [] : [`${rolloutsFailed} failed`]),
    ...(secondsLeft === null ? [] : [`${duration(Math.max(0, secondsLeft))} left`])
  ]
  while (facts.length > 1 && facts.join(" · ").length > columns) facts.pop()
  return fitting(facts.join(" · "), columns)
}

/** Nobody plans by the second: `40 s`, `4 min`, `2 h 5 min`. */
const duration = (seconds: number): string => {
  if (seconds < 60) return `${Math.round(seconds)} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
