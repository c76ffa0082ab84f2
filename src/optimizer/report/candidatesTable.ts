import type { ReportedCandidate, SearchReport } from "./SearchReport.js"
import { bounds, fitting, oneLine, score, table } from "./words.js"

/**
 * Every candidate of a search, one on a line, at most 80 columns wide. `n` examples make its mean, `v` is its version of the
 * resources, `at` how many rollouts had been spent when it was decided on.
 */
export const candidatesTable = ({ candidates }: Pick<SearchReport, "candidates">): string =>
  table<ReportedCandidate>(candidates, [
    { title: "#", align: "right", cell: ({ n }) => String(n) },
    { title: "from", cell: ({ parents }) => parents.length > 3 ? `${parents.slice(0, 2)},…` : parents.join(",") },
    { title: "mean", align: "right", cell: ({ mean }) => score(mean) },
    { title: "95 %", cell: ({ interval }) => interval === null ? "-" : bounds(interval) },
    { title: "n", align: "right", cell: ({ examples }) => String(examples) },
    { title: "v", align: "right", cell: ({ resourcesVersion }) => String(resourcesVersion ?? "-") },
    { title: "at", align: "right", cell: ({ rollouts }) => String(rollouts) },
    { title: "state", cell: (candidate) => fitting(fate(candidate), 24) },
    { title: "change", cell: ({ change }) => change === null ? "seed" : `${change.kind} ${oneLine(change.component)}` }
  ]).join("\n")

/** `winner`, `accepted`, `rejected: screen`. */
export const fate = ({ reason, state }: ReportedCandidate): string =>
  state === "rejected" && reason !== null ? `rejected: ${oneLine(reason)}` : state

/** `edits of system_prompt`; `seed`. */
export const changeOf = ({ change }: ReportedCandidate): string =>
  change === null ? "seed" : `${change.kind} of ${oneLine(change.component)}`
