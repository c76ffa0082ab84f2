import { rounded } from "../../domain/Figures.js"
import { safeJson } from "../../domain/TerminalText.js"
import { unifiedDiff } from "../../domain/UnifiedDiff.js"
import { bestOf, type ReportedCandidate, type SearchReport, textAt, winsAndLosses } from "./SearchReport.js"
import { verdict } from "./searchText.js"

/** All of a report as one JSON object with `schema_version` 1, and what else is to be told, harmless for a terminal. */
export const searchJson = (report: SearchReport, more: Readonly<Record<string, unknown>> = {}): string => {
  const { losses, ties, wins } = winsAndLosses(report)
  const { seed, winner } = report
  return safeJson({
    schema_version: 1,
    verdict: verdict(report),
    run_id: report.runId,
    algorithm: report.algorithm,
    random_seed: report.randomSeed,
    ended: report.ended,
    stopped: report.stopped,
    seed: { texts: seed },
    winner: winner === null ? null : {
      candidate: bestOf(report)?.n ?? 0,
      texts: winner,
      diff: Object.fromEntries(
        [...new Set([...Object.keys(seed), ...Object.keys(winner)])].map((name) =>
          [name, unifiedDiff(textAt(seed, name), textAt(winner, name)).join("\n")] as const
        )
      )
    },
    candidates: report.candidates.map(candidateJson),
    best: report.best,
    incumbents: report.incumbents,
    budget: budgetJson(report.budget),
    examples: { wins: wins.length, losses: losses.length, ties, scores: report.examples },
    slices: report.slices,
    gate: report.gate && gateJson(report.gate),
    open_gate: report.openGate,
    unanswered: report.unanswered,
    promoted_version: report.promotedVersion,
    troubles: report.troubles,
    ...more
  }, 2)
}

const budgetJson = ({ usd: { unmeteredCalls, unpricedCalls, ...usd }, ...budget }: SearchReport["budget"]) => ({
  ...budget,
  usd: { ...usd, spent: rounded(usd.spent), unpriced_calls: unpricedCalls, unmetered_calls: unmeteredCalls }
})

const gateJson = ({ guardRails, leftOut, openingsLeft, ...gate }: NonNullable<SearchReport["gate"]>) => ({
  ...gate,
  guard_rails: guardRails,
  openings_left: openingsLeft,
  left_out: { seen: leftOut.seen, worn_out: leftOut.wornOut }
})

const candidateJson = ({ change, resourcesVersion, ...candidate }: ReportedCandidate) => ({
  ...candidate,
  component: change?.component ?? null,
  kind: change?.kind ?? "seed",
  edits: change?.edits ?? [],
  hypotheses: change?.hypotheses ?? [],
  resources_version: resourcesVersion
})

/** The candidates alone, for `tau candidates --json` and `tau lineage --json`. */
export const candidatesJson = ({ candidates, runId }: Pick<SearchReport, "candidates" | "runId">): string =>
  safeJson({ schema_version: 1, run_id: runId, candidates: candidates.map(candidateJson) }, 2)
