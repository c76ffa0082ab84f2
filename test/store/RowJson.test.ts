import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { scoresOf } from "../../src/cli/reading/versionScores.js"
import { RunId, WorkerId } from "../../src/domain/Ids.js"
import { RolloutQueue } from "../../src/store/RolloutQueue.js"
import { totalsOf } from "../../src/store/RowJson.js"
import { RunReader, RunResult } from "../../src/store/RunReader.js"
import { runTotals } from "../../src/store/runTotals.js"
import { begin, withStore } from "../support/store.js"

const result = (status: RunResult["status"], rollouts: number, scored = 0, scoreSum = 0) =>
  new RunResult({
    runId: RunId.make("run-0001-a1b2c3"),
    resourcesVersion: 1,
    mode: "train",
    status,
    rollouts,
    scored,
    scoreSum
  })

it("counts failed rollouts as 0 in the mean score, also where there are no others", () => {
  const meanOf = (...results: ReadonlyArray<RunResult>) => totalsOf(results).meanScore
  assert.strictEqual(meanOf(result("succeeded", 3, 3, 3), result("failed", 3)), 0.5)
  assert.strictEqual(meanOf(result("failed", 6)), 0)
  assert.isNull(meanOf(), "nothing has ended")
  assert.isNull(meanOf(result("running", 2), result("cancelled", 1)))
  assert.isNull(meanOf(result("succeeded", 2), result("failed", 2)), "no scorer applies")
})

it.scopedLive("has no mean score of a run that an outage left without a result, and counts what it broke nowhere as 0", () =>
  Effect.gen(function*() {
    const rollouts = (["train", "val"] as const).map((mode) => ({ mode, input: { prompt: "2 + 2" } }))
    yield* withStore(Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const ended = (brokenBy: "scorer" | null) =>
        Effect.gen(function*() {
          const { runId } = yield* begin(2, { configHash: String(brokenBy), rollouts })
          const [train, val] = yield* queue.claim({ runId, workerId: WorkerId.make("w"), leaseMs: 60_000, limit: 2 })
          for (const claim of [train!, val!]) yield* queue.start(claim)
          yield* queue.succeed(train!, { output: "4", rewards: [], score: 1 })
          yield* queue.fail(val!, { status: "failed", error: "e", brokenBy, stderrTail: "t", permanent: true })
          return runId
        })
      const [own, away] = [yield* ended(null), yield* ended("scorer")]
      yield* Effect.gen(function*() {
        const runs = yield* RunReader
        const facts = (id: RunId) =>
          Effect.all([
            Effect.map(runs.results(id), (results) => totalsOf(results).meanScore),
            Effect.map(runs.failures(id, 5), ([failure]) => ({ ...failure }))
          ])
        const failure = (id: RunId) => ({ id: `${id}-val-0001`, error: "e", rollouts: 1, stderrTail: "t" })
        assert.deepEqual(yield* facts(own), [0.5, failure(own)])
        assert.deepEqual(yield* facts(away), [null, failure(away)])
        assert.deepInclude((yield* scoresOf(1))[1], { mode: "val", runs: 2, rollouts: 2, failed: 2, meanScore: 0 })
      }).pipe(Effect.provide(RunReader.layer))
    }))
  }))

it.scopedLive("has no score of a search among other runs: its rollouts are those of many texts", () =>
  withStore(Effect.gen(function*() {
    const queue = yield* RolloutQueue
    const rollouts = [{ mode: "train" as const, input: { prompt: "2 + 2" } }]
    const scored = (algorithm: string) =>
      Effect.gen(function*() {
        const config = { optimizer: { algorithm } }
        const { runId } = yield* begin(1, { config, configHash: algorithm, rollouts })
        const [claim] = yield* queue.claim({ runId, workerId: WorkerId.make("w"), leaseMs: 60_000, limit: 1 })
        yield* queue.start(claim!)
        yield* queue.succeed(claim!, { output: "4", rewards: [], score: 1 })
        return runId
      })
    const ids = yield* Effect.forEach(["evaluate", "rgepa"], scored)
    const { items } = yield* Effect.flatMap(RunReader, (runs) =>
      Effect.flatMap(
        runs.page({ after: null, limit: 5, stands: null, order: "oldest" }),
        ({ items }) => Effect.map(Effect.forEach(items, runTotals), (items) => ({ items }))
      )).pipe(Effect.provide(RunReader.layer))
    assert.deepStrictEqual(
      items.map(({ isSearch, run, totals }) => [run.id, isSearch, totals.succeeded, totals.meanScore]),
      [[ids[0]!, false, 1, 1], [ids[1]!, true, 1, null]]
    )
  })))
