/**
 * What an operator keeps of a drill: the log of all that was done, copies of the runtime files as they were found, and the
 * playbook that names them.
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { join, resolve } from "node:path"
import { counted } from "../domain/Figures.js"
import { text } from "./ControlFiles.js"
import type { DrillEvent, DrillResult, Kill } from "./Drill.js"
import { breachLine } from "./DrillChecks.js"
import type { DrilledCommand } from "./DrilledProcess.js"
import { appendLine, type FileError, readText, replace } from "./DurableFile.js"
import { runtimeFolderOf } from "./RuntimeFiles.js"

/** The playbook as a template names its fields. */
export interface Playbook {
  readonly schema_version: 1
  readonly artifact_kind: "m24_rl_resume_after_crash_playbook"
  /** `m24-recovery-<date>-<time>`. */
  readonly run_id: string
  readonly crash_drill: {
    readonly state_dir: string
    /** The run's manifest as it was when its process had been killed: still `running`. */
    readonly running_manifest_path: string
    readonly crash_simulation_command: string
  }
  readonly resume_drill: {
    readonly restart_command: string
    readonly resumed_job_id: string
    readonly checkpoint_path: string
  }
  readonly evidence: {
    readonly events_log_path: string
    readonly health_snapshot_path: string
    readonly operator_log_path: string
  }
  /** What was observed, whatever that is. */
  readonly outcome: {
    readonly resume_status: string
    readonly recovery_reason_code: string
  }
}

export interface EvidenceOptions {
  readonly runId: string
  readonly stateDir: string
  readonly storePath: string
  readonly command: DrilledCommand
  /** Folder of the evidence files. */
  readonly folder: string
}

/** A killed run whose manifest says that it is under way. */
interface Crash {
  readonly jobId: string
  readonly pid: number
  readonly restartCommand: string
}

export interface Evidence {
  /** Notes what is done and seen, with its time. */
  readonly observe: (event: DrillEvent) => Effect.Effect<void, FileError>
  /** Copies the runtime files and writes the playbook to `artifact`; null when no kill hit a run that was under way. */
  readonly keep: (artifact: string, result: DrillResult, passed: boolean) => Effect.Effect<Playbook | null, FileError>
}

/** What of a drill is kept in its folder. */
interface KeptFiles {
  readonly operatorLog: string
  readonly manifest: string
  readonly events: string
  readonly health: string
}

export const evidenceOf = (options: EvidenceOptions): Evidence => {
  const { command, folder, storePath } = options
  const kept: KeptFiles = {
    operatorLog: join(folder, "operator.log"),
    manifest: join(folder, "running-manifest.json"),
    events: join(folder, "events.jsonl"),
    health: join(folder, "health-snapshot.json")
  }
  const runtime = runtimeFolderOf(storePath)
  let crash: Crash | null = null

  const note = (line: string) =>
    Effect.flatMap(
      Clock.currentTimeMillis,
      (now) =>
        appendLine(
          kept.operatorLog,
          line.split("\n").map((part) => `${DateTime.formatIso(DateTime.unsafeMake(now))} ${part}`).join("\n")
        )
    )
  const printed = (stream: string) => stream.trim() === "" ? "" : `\n${stream.trim()}`

  /** Kept once, of the first kill that hit a run under way. */
  const keepManifest = ({ pid, runId: jobId }: Kill) =>
    Effect.gen(function*() {
      if (crash !== null || jobId === null) return
      const manifest = yield* readText(join(runtime, "jobs", `${jobId}.json`))
      const { pid: named, restart_command: restartCommand, state } = manifestIn(manifest)
      if (manifest === null || state !== "running" || named !== pid || typeof restartCommand !== "string") return
      yield* replace(kept.manifest, manifest)
      yield* note(`$ cp ${join(runtime, "jobs", `${jobId}.json`)} ${kept.manifest}`)
      crash = { jobId, pid, restartCommand }
    })

  return {
    observe: (event) => {
      switch (event._tag) {
        case "started":
          return note(`$ ${[command.file, ...command.args].join(" ")}\npid ${event.pid}`)
        case "killed":
          return Effect.zipRight(
            note(
              `$ kill -9 ${event.kill.pid}${printed(event.process.stderr())}\nkill ${event.kill.n}: ${event.kill.phase}`
            ),
            keepManifest(event.kill)
          )
        case "ended":
          return note(
            `pid ${event.process.pid} ended with ${event.exit}${printed(event.process.stderr())}${
              printed(event.process.stdout())
            }`
          )
        case "checked":
          return note(`after kill ${event.kill.n}: ${verdictOf(event.kill)}`)
      }
    },
    keep: (artifact, result, passed) =>
      Effect.gen(function*() {
        yield* note(
          `${result.checks} checks of the store; ${passed ? "every invariant holds" : "the drill failed"}` +
            result.breaches.map((found) => `\n${breachLine(found)}`).join("")
        )
        if (crash === null) return null
        const events = (yield* readText(join(runtime, "events.jsonl"))) ?? ""
        yield* replace(kept.events, events)
        yield* replace(kept.health, (yield* readText(join(runtime, "state.json"))) ?? "")
        yield* note(
          `$ cp ${join(runtime, "events.jsonl")} ${kept.events}\n$ cp ${join(runtime, "state.json")} ${kept.health}`
        )
        const playbook = playbookOf(options, crash, kept, codesOf(events, crash.jobId), passed)
        yield* replace(artifact, text(playbook))
        return playbook
      })
  }
}

const playbookOf = (
  { runId, stateDir, storePath }: EvidenceOptions,
  { jobId, pid, restartCommand }: Crash,
  kept: KeptFiles,
  codes: ReadonlyArray<string>,
  passed: boolean
): Playbook => ({
  schema_version: 1,
  artifact_kind: "m24_rl_resume_after_crash_playbook",
  run_id: runId,
  crash_drill: {
    state_dir: resolve(stateDir),
    running_manifest_path: resolve(kept.manifest),
    crash_simulation_command: `kill -9 ${pid}`
  },
  resume_drill: {
    restart_command: restartCommand,
    resumed_job_id: jobId,
    checkpoint_path: resolve(storePath)
  },
  evidence: {
    events_log_path: resolve(kept.events),
    health_snapshot_path: resolve(kept.health),
    operator_log_path: resolve(kept.operatorLog)
  },
  outcome: {
    resume_status: passed && codes.includes("job_succeeded") ? "succeeded" : "failed",
    recovery_reason_code: codes.findLast((code) => code.startsWith("job_recovered")) ?? codes.at(-1) ?? "none"
  }
})

const verdictOf = ({ breaches, recoveredInMs, requeued, unknownCalls }: Kill): string => {
  const recovery = recoveredInMs === null
    ? "killed again before it had recovered"
    : `recovered in ${Math.round(recoveredInMs)} ms, ${requeued} put back, ${
      counted(unknownCalls ?? 0, "call")
    } unknown`
  return breaches.length === 0
    ? `${recovery}, every invariant holds`
    : `${recovery}, broken: ${breaches.map(breachLine).join("; ")}`
}

const manifestIn = (manifest: string | null): Record<string, unknown> => parsed(manifest ?? "") ?? {}

const codesOf = (events: string, jobId: string): ReadonlyArray<string> =>
  events.split("\n").flatMap((line) => {
    const event = parsed(line)
    return event?.["run_id"] === jobId ? [String(event["reason_code"])] : []
  })

const parsed = (line: string): Record<string, unknown> | null => {
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    return null
  }
}
