import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { open } from "../../src/store/writer/Database.js"
import { type Input, type OperationName, operations, type Output } from "../../src/store/writer/operations.js"
import { startTau } from "../support/command.js"
import { carryOut } from "../support/operations.js"
import { alive, eventually } from "../support/processes.js"
import { rowsOf, scratchFolder } from "../support/store.js"

const heartbeatIntervalMs = 200
const leaseMs = 3 * heartbeatIntervalMs

/** The first example's agent answers once it may, the second's never; both write down their process id and what they reach. */
const agent = `
const fs = require("node:fs")
const { question } = JSON.parse(fs.readFileSync(0, "utf8"))
const { attempt } = /:(?<attempt>.*)/.exec(process.env.TAU_ATTEMPT_ID).groups
fs.appendFileSync("diary", question + " " + attempt + " began " + process.pid + "\\n")
const look = () => {
  if (question !== "first" || !fs.existsSync("gate")) return
  fs.appendFileSync("diary", question + " " + attempt + " answered " + process.pid + "\\n")
  console.log("late")
  process.exit(0)
}
setInterval(look, 10)`

/** Another process's hand on the store. */
const intruder = (storePath: string) =>
  Effect.acquireRelease(
    Effect.sync(() => open(storePath)),
    ({ connection }) => Effect.sync(() => connection.close())
  ).pipe(
    Effect.map((db) => <Name extends OperationName>(name: Name, input: Input<Name>): Output<Name> => {
      db.now = Date.now()
      return db.connection.transaction(() => carryOut(operations, db, name, input)).immediate()
    })
  )

const soon = <A>(what: string, ask: () => A | undefined | false) => Effect.promise(() => eventually(what, ask, 30_000))

describe("SIGSTOP beyond the lease", () => {
  it.scopedLive(
    "costs a runner its rollouts: when it goes on, nothing of it is accepted and its agents are stopped",
    () =>
      Effect.gen(function*() {
        const folder = yield* scratchFolder
        const storePath = join(folder, "store.sqlite")
        writeFileSync(join(folder, "agent.cjs"), agent)
        writeFileSync(
          join(folder, "config.json"),
          JSON.stringify({
            optimize: [{ question: "first" }, { question: "second" }],
            executor: { kind: "command", command: [process.execPath, "agent.cjs"] },
            upstream_url: "http://127.0.0.1:1",
            worker_count: 2,
            heartbeat_interval_ms: heartbeatIntervalMs,
            poll_interval_ms: 5,
            completion_poll_interval_ms: 5
          })
        )
        const command = yield* startTau(folder, [
          "--model=sim/arithmetic",
          "--prompt-optimization-config=config.json",
          `--prompt-optimization-store-sqlite=${storePath}`
        ])
        const diary = () => {
          try {
            return readFileSync(join(folder, "diary"), "utf8").trim().split("\n")
          } catch {
            return []
          }
        }
        const written = (pattern: RegExp) =>
          soon(`${pattern} in the diary`, () => diary().find((line) => pattern.test(line)))
        yield* written(/first attempt-1 began/)
        const stuck = Number((yield* written(/second attempt-1 began/)).split(" ").at(-1))

        const ask = yield* intruder(storePath)
        const [{ runId }] = rowsOf<{ runId: string }>(storePath, "SELECT id AS runId FROM runs") as [{ runId: string }]
        // Frozen within a transaction it would keep everybody waiting: then it goes on for a moment.
        command.process.kill("SIGSTOP")
        let rescued = 0
        yield* soon("both rollouts put back", () => {
          try {
            rescued += ask("rescue", { runId, leaseMs, own: [] }).length
          } catch (error) {
            if (!/locked|busy/.test(String(error))) throw error
            command.process.kill("SIGCONT")
            command.process.kill("SIGSTOP")
          }
          return rescued === 2
        })
        writeFileSync(join(folder, "gate"), "")
        yield* written(/first attempt-1 answered/)

        const claims: Array<Output<"claim">[number]> = []
        // Somebody else takes both over and finishes them, after their pause.
        yield* soon("both claimed", () => {
          claims.push(...ask("claim", { runId, workerId: "elsewhere/1", leaseMs: 60_000, limit: 2 }))
          return claims.length === 2
        })
        for (const { attemptId, epoch, rolloutId } of claims) {
          const fence = { attemptId, epoch, rolloutId }
          assert.isNull(ask("start", fence))
          assert.isNull(ask("succeed", { ...fence, output: "in time", score: 1, rewards: [] }))
        }
        const before = rowsOf(storePath, "SELECT * FROM rollouts")
        command.process.kill("SIGCONT")

        assert.strictEqual(yield* command.exit, 0, command.stderr())
        assert.deepStrictEqual(rowsOf(storePath, "SELECT * FROM rollouts"), before)
        assert.deepStrictEqual(
          rowsOf(storePath, "SELECT n, status, error FROM attempts ORDER BY rollout_id, n"),
          [0, 1].flatMap(() => [
            { n: 1, status: "unresponsive", error: "its worker missed its heartbeats" },
            { n: 2, status: "succeeded", error: null }
          ])
        )
        assert.isFalse(alive(stuck), "the second agent was stopped")
        assert.strictEqual(diary().filter((line) => line.includes("began")).length, 2, "no agent was started again")
      }),
    60_000
  )
})
