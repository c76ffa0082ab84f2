// The queue by itself, as the store's tags offer it: claims and finishes per second, how much a million rollouts in the
// store slow down what is asked most, and what ten thousand rollouts under way cost a process that keeps their leases.
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { RolloutQueue } from "../dist/store/RolloutQueue.js"
import { RolloutStore } from "../dist/store/RolloutStore.js"
import { RunStanding } from "../dist/store/RunStanding.js"
import { RunStore } from "../dist/store/RunStore.js"
import * as Sqlite from "../dist/store/Sqlite.js"
import { WorkerStore } from "../dist/store/WorkerStore.js"
import { median } from "./candidates.mjs"

const storeAt = (path) =>
  Layer.mergeAll(RunStore.layer, RolloutQueue.layer, RolloutStore.layer, RunStanding.layer, WorkerStore.layer).pipe(
    Layer.provideMerge(Sqlite.layer({ path, kind: "bench" }))
  )

/** Uses a store of its own with a run of `count` rollouts. */
const withRun = async (count, use) => {
  const folder = mkdtempSync(join(tmpdir(), "tau-bench-"))
  try {
    return await Effect.runPromise(
      Effect.gen(function*() {
        const begun = yield* Effect.flatMap(RunStore, (runs) =>
          runs.begin({
            configHash: "be9c4",
            config: {},
            configPath: "bench",
            modelRef: "bench/none",
            resources: { system_prompt: "Answer." },
            rollouts: Array.from({ length: count }, (_, n) => ({ mode: "train", input: { prompt: `question ${n}` } })),
            attemptsMax: 3,
            command: null
          }))
        const workerId = yield* Effect.flatMap(WorkerStore, (workers) => workers.register(begun.runId))
        return yield* use(begun.runId, workerId)
      }).pipe(Effect.scoped, Effect.provide(storeAt(join(folder, "store.sqlite"))))
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const leaseMs = 600_000
const result = { output: "4", score: 1, rewards: [{ name: "exact_match", value: 1, feedback: null }] }

/** Claims and finishes `count` rollouts with so many workers, each claiming `batch` at a time. Answers rollouts per second. */
const drain = (count, workers, batch) =>
  withRun(count, (runId, workerId) =>
    Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const startedAt = performance.now()
      const worker = Effect.gen(function*() {
        for (;;) {
          const claims = yield* queue.claim({ runId, workerId, leaseMs, limit: batch })
          if (claims.length === 0) return
          yield* Effect.forEach(
            claims,
            (claim) => Effect.zipRight(queue.start(claim), queue.succeed(claim, result)),
            { concurrency: "unbounded", discard: true }
          )
        }
      })
      yield* Effect.all(Array.from({ length: workers }, () => worker), { concurrency: "unbounded", discard: true })
      return count / ((performance.now() - startedAt) / 1000)
    }))

/** Microseconds of each question, the median of many, in a store of `count` rollouts. */
const questions = (count) =>
  withRun(count, (runId, workerId) =>
    Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const rollouts = yield* RolloutStore
      const { now } = yield* RunStanding
      const asked = {
        "claim and finish": Effect.flatMap(
          queue.claim({ runId, workerId, leaseMs, limit: 1 }),
          ([claim]) => Effect.zipRight(queue.start(claim), queue.succeed(claim, result))
        ),
        "page of the list": rollouts.page(runId, Math.floor(count / 2), 50),
        "status of the run": now
      }
      const times = {}
      for (const [name, ask] of Object.entries(asked)) {
        const samples = []
        const until = performance.now() + 20_000
        for (let n = 0; n < 60 && performance.now() < until; n++) {
          const startedAt = performance.now()
          yield* ask
          samples.push((performance.now() - startedAt) * 1000)
        }
        times[name] = median(samples)
      }
      return times
    }))

/** Holds `count` rollouts under way for ten seconds, their leases renewed each second by one statement. */
const underWay = (count) =>
  withRun(count, (runId, workerId) =>
    Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const claims = []
      while (claims.length < count) {
        const more = yield* queue.claim({ runId, workerId, leaseMs, limit: 500 })
        yield* Effect.forEach(more, (claim) => queue.start(claim), { concurrency: "unbounded", discard: true })
        claims.push(...more)
      }
      const before = process.cpuUsage()
      const startedAt = performance.now()
      const beats = []
      for (let n = 0; n < 10; n++) {
        const beatAt = performance.now()
        const held = yield* queue.heartbeat(claims, leaseMs)
        if (held.size !== count) throw new Error(`${held.size} of ${count} leases are held`)
        beats.push(performance.now() - beatAt)
        yield* Effect.sleep(Math.max(0, 1_000 - (performance.now() - beatAt)))
      }
      const { system, user } = process.cpuUsage(before)
      return {
        beatMs: median(beats),
        cpu: (system + user) / 1000 / (performance.now() - startedAt),
        residentMb: process.memoryUsage().rss / 1_048_576
      }
    }))

const rounds = 3

/** Prints the figures and answers the targets with their values: name, figure, sign, limit, unit. */
export const benchQueue = async () => {
  console.log("\nQueue: claim, start and succeed through the store's tags, each committed (synchronous=FULL)")
  console.log(`median of ${rounds} rounds\n`)
  console.log("workers  claimed at once  rollouts/s")
  const rates = new Map()
  const cases = [[1, 1, 400], [8, 1, 2_000], [64, 1, 8_000], [1, 64, 8_000], [8, 64, 16_000]]
  await drain(400, 8, 1)
  for (let round = 0; round < rounds; round++) {
    for (const [workers, batch, count] of cases) {
      const key = `${workers}/${batch}`
      rates.set(key, [...(rates.get(key) ?? []), await drain(count, workers, batch)])
    }
  }
  for (const [workers, batch] of cases) {
    const rate = median(rates.get(`${workers}/${batch}`)).toFixed(0)
    console.log(`${String(workers).padStart(7)}  ${String(batch).padStart(15)}  ${rate.padStart(10)}`)
  }

  const held = await underWay(10_000)
  console.log(
    `\n10,000 rollouts under way, leases renewed each second: ${held.beatMs.toFixed(0)} ms a renewal, ${
      (held.cpu * 100).toFixed(0)
    } % of a core, ${held.residentMb.toFixed(0)} MB resident`
  )
  const small = await questions(1_000)
  const large = await questions(1_000_000)
  console.log("\nmedian µs            1,000 rollouts  1 M rollouts  ratio")
  for (const name of Object.keys(small)) {
    console.log(
      `${name.padEnd(19)}  ${small[name].toFixed(0).padStart(14)}  ${large[name].toFixed(0).padStart(12)}  ${
        (large[name] / small[name]).toFixed(2).padStart(4)
      }×`
    )
  }

  const best = Math.max(...[...rates.values()].map(median))
  return [
    ["claims and finishes, batched", best, "≥", 5_000, "/s"],
    ...Object.keys(small).map((name) => [`${name}, 1 M of 1,000`, large[name] / small[name], "≤", 1.5, "×"])
  ]
}
