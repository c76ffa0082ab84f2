// Rollouts per second through the whole runtime (claim, start, execute, score, finish, all committed with
// synchronous=FULL) with an executor and a scorer that do nothing, at 1, 8 and 64 workers. Ratios are to one worker.
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Reward, Scorer } from "../dist/domain/Reward.js"
import { RunConfig } from "../dist/domain/RunConfig.js"
import { ActorTree } from "../dist/runtime/ActorTree.js"
import { AgentEndpoint } from "../dist/runtime/AgentEndpoint.js"
import { Announcer } from "../dist/runtime/Announcer.js"
import { Executor } from "../dist/runtime/Executor.js"
import { Leases } from "../dist/runtime/Leases.js"
import { run } from "../dist/runtime/Run.js"
import { StatusReporter } from "../dist/runtime/StatusReporter.js"
import { ResourceStore } from "../dist/store/ResourceStore.js"
import { RolloutQueue } from "../dist/store/RolloutQueue.js"
import { RunEvents } from "../dist/store/RunEvents.js"
import { RunFindings } from "../dist/store/RunFindings.js"
import { RunStanding } from "../dist/store/RunStanding.js"
import { RunStore } from "../dist/store/RunStore.js"
import * as Sqlite from "../dist/store/Sqlite.js"
import { WorkerStore } from "../dist/store/WorkerStore.js"
import { median } from "./candidates.mjs"
import { benchQueue } from "./queue.mjs"
import { printTargets } from "./targets.mjs"

const rounds = 3
const rollouts = { 1: 400, 8: 2_000, 64: 6_000 }

const layerAt = (path) =>
  Layer.mergeAll(
    Leases.layer({ heartbeatIntervalMs: 1_000 }),
    StatusReporter.layer,
    Layer.succeed(Executor, { execute: () => Effect.succeed({ output: "4" }) }),
    Layer.succeed(Scorer, {
      score: () => Effect.succeed({ rewards: [new Reward({ name: "none", value: 1, feedback: null })], score: 1 })
    }),
    Layer.succeed(AgentEndpoint, { origin: "http://127.0.0.1:1", apiKey: "bench", model: "bench", refusal: () => null })
  ).pipe(
    Layer.provideMerge(Layer.succeed(Announcer, {
      say: () => Effect.void,
      show: () => Effect.void,
      settle: Effect.void,
      redraws: false,
      columns: 80,
      colours: false
    })),
    Layer.provideMerge(ActorTree.layer("run", path)),
    Layer.provideMerge(Layer.mergeAll(
      RunStore.layer,
      RunEvents.layer,
      RunFindings.layer,
      RunStanding.layer,
      ResourceStore.layer,
      RolloutQueue.layer,
      WorkerStore.layer
    )),
    Layer.provideMerge(Sqlite.layer({ path, kind: "bench" }))
  )

/** Seconds of a run of `count` rollouts on a new store, from making the run to its summary. */
const once = async (workers, count) => {
  const folder = mkdtempSync(join(tmpdir(), "tau-bench-"))
  const storePath = join(folder, "store.sqlite")
  try {
    return await Effect.runPromise(
      Effect.gen(function*() {
        const startedAt = performance.now()
        const summary = yield* run({
          config: Schema.decodeSync(RunConfig)({
            optimize: Array.from({ length: count }, (_, n) => ({ prompt: `question ${n}`, expected: "4" })),
            worker_count: workers,
            completion_timeout_secs: 600
          }),
          configHash: "be9c4",
          configPath: "bench",
          modelRef: "bench/none",
          simulated: false,
          storePath,
          command: null,
          principal: "local:bench",
          search: null,
          drainMs: 0,
          report: () => Effect.void
        })
        if (summary.succeeded !== count) throw new Error(`${summary.succeeded} of ${count} succeeded`)
        return (performance.now() - startedAt) / 1000
      }).pipe(Effect.provide(layerAt(storePath)))
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export const benchRollouts = async () => {
  console.log("\nRollouts: no-op executor, every step committed (synchronous=FULL)")
  console.log(`median of ${rounds} rounds, taking turns\n`)
  console.log("workers  rollouts  rollouts/s  of 1 worker")
  const rates = { 1: [], 8: [], 64: [] }
  await once(8, 200)
  for (let round = 0; round < rounds; round++) {
    for (const workers of [1, 8, 64]) rates[workers].push(rollouts[workers] / await once(workers, rollouts[workers]))
  }
  for (const workers of [1, 8, 64]) {
    console.log([
      String(workers).padStart(7),
      String(rollouts[workers]).padStart(8),
      median(rates[workers]).toFixed(0).padStart(10),
      `${(median(rates[workers]) / median(rates[1])).toFixed(1)}×`.padStart(11)
    ].join("  "))
  }

  const targets = await benchQueue()
  recovery()

  return printTargets(targets)
}

/** From the start of a process until it has put back what the killed one held: ten kills of a real run. */
const recovery = () => {
  const folder = mkdtempSync(join(tmpdir(), "tau-bench-"))
  try {
    const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url))
    const { stdout } = spawnSync(process.execPath, [main, "drill", "--kills=10", `--state-dir=${folder}`, "--json"], {
      encoding: "utf8",
      timeout: 600_000
    })
    const { recovery_ms: found, verdict } = JSON.parse(stdout)
    console.log(
      `\nRecovery after kill -9, ${verdict}: p50 ${found.p50} ms, longest ${found.max} ms, over ${found.n} recoveries`
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
