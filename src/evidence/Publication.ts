/** Where a benchmark report is published and archived, and how long it is kept: all of it follows from the report itself. */

import { timeText } from "./Fields.js"

export const reportKinds = ["baseline", "trained", "significance", "summary"] as const
export type ReportKind = typeof reportKinds[number]

/** Whether a report is ever moved to the archive and removed. */
export const retentionPolicies = ["archive-then-purge", "retain-only"] as const
export type RetentionPolicy = typeof retentionPolicies[number]

/** Small letters, digits and hyphens only: an id is part of paths. */
export const runIdPattern = /^m24-[a-z0-9-]+$/

/** The folder that holds every published report, and outside of which no command of this kind touches anything. */
export const reportsRoot = ".tau/reports"

/** Where a report is published, from the root folder. */
export const reportPathOf = (runId: string, kind: ReportKind): string =>
  `${reportsRoot}/m24/${runId}/m24-benchmark-report-${kind}.json`

/** What an archived report is called, under its month: the archive is not by runs. */
export const archiveNameOf = (runId: string, kind: ReportKind): string => `m24-benchmark-report-${runId}-${kind}.json`

/** Under the month of `atMs`, in UTC. */
const archivePathOf = (runId: string, kind: ReportKind, atMs: number): string =>
  `${reportsRoot}/archive/m24/${monthOf(atMs)}/${archiveNameOf(runId, kind)}`

/** `2026/11`. */
export const monthOf = (ms: number): string => new Date(ms).toISOString().slice(0, 7).replace("-", "/")

const dayMs = 86_400_000

/** Unix milliseconds, so many times 24 hours later. */
export const daysAfter = (ms: number, days: number): number => ms + days * dayMs

export interface Retention {
  readonly policy: RetentionPolicy
  readonly retainDays: number
  readonly archiveAfterDays: number
}

export const defaultRetention: Retention = { policy: "archive-then-purge", retainDays: 180, archiveAfterDays: 30 }

/** The groups of a report that follow from its run, kind and time. */
export const publicationOf = (
  runId: string,
  kind: ReportKind,
  generatedAtMs: number,
  { archiveAfterDays, policy, retainDays }: Retention
) => ({
  publication: {
    report_path: reportPathOf(runId, kind),
    archive_path: archivePathOf(runId, kind, generatedAtMs)
  },
  retention: {
    policy,
    retain_days: retainDays,
    archive_after_days: archiveAfterDays,
    purge_after: timeText(daysAfter(generatedAtMs, retainDays))
  }
})
