import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { counted } from "../domain/Figures.js"
import { drillIdPattern } from "../evidence/PlaybookRules.js"
import * as Drill from "../runtime/Drill.js"
import type { Witness } from "../runtime/DrillChecks.js"
import { evidenceOf } from "../runtime/DrillEvidence.js"
import { makePrivateFolder } from "../store/writer/PrivateFolder.js"
import { SimulatedModel } from "../testing/SimulatedModel.js"
import { checkRunId, type CommandError, CommandFailed, UsageError } from "./CliError.js"
import { drillJson, drillText, killLine } from "./DrillReport.js"
import { ExitCode } from "./ExitCode.js"
import { Mistake } from "./FlagValue.js"
import { preparation } from "./Preparation.js"
import { rootMode } from "./RootMode.js"

export interface DrillInput {
  readonly kills: number
  readonly seed: number
  readonly stateDir: string | null
  readonly rollouts: number
  /** The optimization of the caller, instead of the simulated one. */
  readonly own: { readonly configPath: string; readonly model: string } | null
  /** Null takes the time. */
  readonly runId: string | null
  readonly artifact: string | null
  readonly json: boolean
}

/** What is run, and who watches it from outside. */
interface Workload {
  readonly configPath: string
  readonly model: string
  readonly witness: () => Witness
}

/** Exit code 1 when an invariant broke or the run did not complete. */
export const run = (input: DrillInput): Effect.Effect<number, CommandError> => Effect.scoped(drilled(input))

const drilled = (input: DrillInput) =>
  Effect.gen(function*() {
    const runId = input.runId ?? `m24-recovery-${stamp(yield* Clock.currentTimeMillis)}`
    yield* checkRunId(runId, drillIdPattern)
    const stateDir = resolve(input.stateDir ?? join(".tau/drill", runId))
    const storePath = join(stateDir, "training", "store.sqlite")
    if (existsSync(storePath)) {
      return yield* new UsageError({
        detail: `${storePath} is there already: a drill kills what it drills, so it wants a folder of its own`
      })
    }
    const folder = join(stateDir, "drill", runId)
    if (input.own !== null) yield* checkOwn(input.own, storePath)
    yield* Effect.try({
      try: () => makePrivateFolder(folder),
      catch: (cause) => new CommandFailed({ detail: `${folder} could not be made: ${String(cause)}`, cause })
    })
    const { configPath, model, witness } = yield* input.own === null
      ? simulated(input, folder)
      : Effect.succeed({ ...input.own, witness: () => ({ held: null, served: null }) })
    const command = {
      file: process.execPath,
      args: [fileURLToPath(new URL("./main.js", import.meta.url)), ...argumentsOf({ configPath, model }, storePath)],
      cwd: process.cwd(),
      env: process.env
    }
    const evidence = evidenceOf({ runId, stateDir, storePath, command, folder })
    yield* Console.error(`drill ${runId}: ${counted(input.kills, "kill")}, seed ${input.seed}, in ${stateDir}`)
    const result = yield* Drill.drill({
      kills: input.kills,
      seed: input.seed,
      storePath,
      command,
      witness,
      observe: (event) =>
        Effect.zipRight(
          evidence.observe(event),
          event._tag === "checked" ? Console.error(killLine(event.kill)) : Effect.void
        )
    })
    const passed = result.exit === 0 && [...result.kills, result].every(({ breaches }) => breaches.length === 0)
    const artifactPath = resolve(input.artifact ?? join(stateDir, "resume-after-crash-playbook.json"))
    const playbook = yield* evidence.keep(artifactPath, result, passed)
    const report = {
      runId,
      seed: input.seed,
      storePath,
      evidencePath: folder,
      artifactPath: playbook === null ? null : artifactPath,
      passed,
      result
    }
    yield* Console.log(input.json ? drillJson(report) : drillText(report))
    return passed ? ExitCode.success : ExitCode.failure
  })

const argumentsOf = (
  { configPath, model }: { readonly configPath: string; readonly model: string },
  storePath: string
) => [
  `--model=${model}`,
  `--prompt-optimization-config=${resolve(configPath)}`,
  `--prompt-optimization-store-sqlite=${storePath}`,
  "--prompt-optimization-json"
]

/** What the run would be refused for is a mistake of this command too, and nothing is written then. */
const checkOwn = (own: NonNullable<DrillInput["own"]>, storePath: string) =>
  Effect.try({
    try: () => rootMode(argumentsOf(own, storePath), process.env),
    catch: (mistake) => new UsageError({ detail: mistake instanceof Mistake ? mistake.message : String(mistake) })
  }).pipe(
    Effect.flatMap((mode) =>
      mode?._tag === "optimize"
        ? Effect.scoped(preparation({ ...mode, configPath: own.configPath }, process.env))
        : Effect.dieMessage("these arguments are those of a run")
    )
  )

/** `20261125-213000`, in UTC. */
const stamp = (ms: number): string =>
  DateTime.formatIso(DateTime.unsafeMake(ms)).replaceAll(/[-:]|\.\d+Z/g, "").replace("T", "-")

/** Agent processes that ask a simulated model inside this process, which outlives the kills; both note what they see. */
const simulated = (
  { rollouts, seed }: DrillInput,
  folder: string
): Effect.Effect<Workload, CommandError, Scope.Scope> =>
  Effect.gen(function*() {
    const served: Array<string> = []
    const { url } = yield* SimulatedModel.scoped({
      seed,
      latencyMs,
      log: ({ response_id: id }) => void served.push(id)
    })
    const diary = join(folder, "diary.jsonl")
    const configPath = join(folder, "config.json")
    yield* Effect.try({
      try: () => {
        writeFileSync(diary, "")
        writeFileSync(configPath, JSON.stringify(configOf(rollouts, url, diary), null, 2))
      },
      catch: (cause) => new CommandFailed({ detail: `${folder} could not be written: ${String(cause)}`, cause })
    })
    return {
      configPath,
      model: "sim/arithmetic",
      witness: () => ({ held: notesIn(readFileSync(diary, "utf8")), served: () => served })
    }
  })

/** Of each answer: long enough for kills to hit calls. */
const latencyMs = 150

const configOf = (rollouts: number, upstreamUrl: string, diary: string) => ({
  optimize: Array.from({ length: rollouts }, (_, n) => ({
    prompt: `What is ${n} + 1? Answer with the number only.`,
    expected: `${n + 3}`
  })),
  upstream_url: upstreamUrl,
  executor: {
    kind: "command",
    command: [process.execPath, fileURLToPath(new URL("./drillAgent.js", import.meta.url))],
    env: { DRILL_DIARY: diary }
  },
  worker_count: 4,
  poll_interval_ms: 10,
  completion_poll_interval_ms: 20,
  completion_timeout_secs: 3_600
})

/** The last line may be half of one: its agent was killed with its run. */
const notesIn = (diary: string) =>
  diary.split("\n").slice(0, -1).map((line) => {
    const { attempt: attemptId, body } = JSON.parse(line) as { readonly attempt: string; readonly body: string }
    return { attemptId, body }
  })
