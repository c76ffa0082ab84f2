/** What a drill found, for people and as JSON. */
import { counted } from "../domain/Figures.js"
import type { DrillResult, Kill } from "../runtime/Drill.js"
import { breachLine } from "../runtime/DrillChecks.js"

export interface DrillReport {
  readonly runId: string
  readonly seed: number
  readonly storePath: string
  readonly evidencePath: string
  /** Null when no kill hit a run that was under way. */
  readonly artifactPath: string | null
  readonly passed: boolean
  readonly result: DrillResult
}

const names = (kill: Kill) => [...new Set(kill.breaches.map(({ invariant }) => invariant))].join(", ")

const cells = (kill: Kill) =>
  [
    String(kill.n).padStart(4),
    kill.phase.padEnd(44),
    (kill.recoveredInMs === null ? "killed again" : `${Math.round(kill.recoveredInMs)} ms`).padStart(12),
    String(kill.requeued ?? "-").padStart(8),
    String(kill.unknownCalls ?? "-").padStart(13),
    kill.breaches.length === 0 ? "hold" : `BROKEN ${names(kill)}`
  ].join("  ")

export const killLine = (kill: Kill): string => `kill ${cells(kill).trimStart()}`

export const drillText = (
  { artifactPath, evidencePath, passed, result, runId, seed, storePath }: DrillReport
): string => {
  const { breaches, checks, exit, kills, totals } = result
  const recovery = recoveryOf(kills)
  return [
    ["kill", "where it hit".padEnd(44), "recovered in", "put back", "calls unknown", "invariants"].join("  "),
    ...kills.map(cells),
    "",
    `${passed ? "PASSED" : "FAILED"}: ${runId}, seed ${seed}, ${counted(kills.length, "kill")}, ${
      counted(checks, "check")
    } of the store`,
    `  rollouts  ${totals.succeeded} of ${totals.rollouts} succeeded, ${totals.failed} failed, in ${
      counted(totals.attempts, "attempt")
    } of ${counted(totals.runs, "run")}`,
    `  calls     ${totals.calls}, ${totals.callsUnknown} cut off by kills, ${totals.callsReplayed} replayed (${totals.tokensSaved} tokens saved)`,
    ...(recovery === null
      ? []
      : [
        `  recovery  p50 ${recovery.p50} ms, longest ${recovery.max} ms, over ${
          counted(recovery.n, "recovery", "recoveries")
        }`
      ]),
    ...[
      ...kills.flatMap((kill) => kill.breaches.map((found) => `kill ${kill.n}: ${breachLine(found)}`)),
      ...breaches.map(breachLine)
    ]
      .map((line) => `  BROKEN    ${line}`),
    ...(exit === 0 ? [] : [`  the last start ended with ${exit}: the run did not complete`]),
    `  store     ${storePath}`,
    `  evidence  ${evidencePath}`,
    artifactPath === null
      ? "  playbook  none: no kill hit a run that was under way"
      : `  playbook  ${artifactPath}`
  ].join("\n")
}

export const drillJson = (
  { artifactPath, evidencePath, passed, result, runId, seed, storePath }: DrillReport
): string => {
  const { breaches, checks, exit, kills, totals } = result
  return JSON.stringify({
    schema_version: 1,
    run_id: runId,
    verdict: passed ? "passed" : "failed",
    seed,
    store_path: storePath,
    evidence_path: evidencePath,
    artifact_path: artifactPath,
    exit,
    checks,
    kills: kills.map((kill) => ({
      n: kill.n,
      pid: kill.pid,
      run_id: kill.runId,
      phase: kill.phase,
      recovered_in_ms: kill.recoveredInMs === null ? null : Math.round(kill.recoveredInMs),
      requeued: kill.requeued,
      unknown_calls: kill.unknownCalls,
      broken: kill.breaches
    })),
    broken: breaches,
    recovery_ms: recoveryOf(kills),
    totals: {
      runs: totals.runs,
      starts: totals.starts,
      rollouts: totals.rollouts,
      succeeded: totals.succeeded,
      failed: totals.failed,
      attempts: totals.attempts,
      calls: totals.calls,
      calls_unknown: totals.callsUnknown,
      calls_replayed: totals.callsReplayed,
      tokens_saved: totals.tokensSaved
    }
  })
}

/** Of the kills after which a start took up the run. */
const recoveryOf = (kills: ReadonlyArray<Kill>) => {
  const times = kills.flatMap(({ recoveredInMs }) => recoveredInMs === null ? [] : [recoveredInMs]).toSorted((a, b) =>
    a - b
  )
  const at = (n: number) => Math.round(times[n]!)
  return times.length === 0
    ? null
    : { n: times.length, p50: at(Math.floor((times.length - 1) / 2)), max: at(times.length - 1) }
}
