import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { tau } from "../support/command.js"
import { query, resultIn, searched, storeIn } from "../support/searchRuns.js"
import { searchConfig, searchUpstream } from "../support/searchUpstream.js"
import { scratchFolder } from "../support/store.js"

describe("A promotion", { timeout: 180_000 }, () => {
  it.scopedLive("is done by hand where nothing could be tested, and the record says so", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin } = yield* searchUpstream()
      const { code, stderr } = yield* searched(folder, searchConfig(origin, { optimizer: { max_rollouts: 200 } }))
      assert.strictEqual(code, 0, stderr)
      const { bestVersion } = resultIn(folder)
      const { id } = query<{ id: string }>(folder, "SELECT id FROM runs")[0]!
      const store = `--store=${storeIn(folder)}`
      const refused = yield* tau(folder, ["promote", store, id])
      assert.deepStrictEqual([refused.code, /needs --force/.test(refused.stderr)], [2, true])
      const policy = join(folder, "rbac.json")
      writeFileSync(policy, JSON.stringify({ schema_version: 1, team_mode: true }))
      const denied = yield* tau(folder, ["promote", store, id, "--force", `--rbac-policy=${policy}`])
      assert.match(
        `${denied.code} ${denied.stderr}`,
        /^1 tau: promote denied to "local:.+": deny_unbound_principal of control:rl:rollback\n$/
      )
      assert.deepStrictEqual(query(folder, "SELECT action, outcome, detail FROM control_log"), [
        { action: "rollback", outcome: "denied", detail: `denied by policy (tau promote ${id})` }
      ])
      // A copy of the store with a run that is not over: what that would go on from stays its own.
      const aside = (name: string, sql: string, inTheWay: string | null = null) =>
        Effect.gen(function*() {
          const other = join(folder, name)
          mkdirSync(other)
          if (inTheWay !== null) mkdirSync(join(other, inTheWay))
          copyFileSync(storeIn(folder), storeIn(other))
          const database = new Sqlite(storeIn(other))
          database.exec(sql)
          database.close()
          const { code, stderr } = yield* tau(folder, ["promote", `--store=${storeIn(other)}`, id, "--force"])
          return { code, stderr, saved: readdirSync(other).filter((file) => file.startsWith("policy-checkpoint")) }
        })
      assert.deepStrictEqual(yield* aside("unfinished", "UPDATE runs SET state = 'running'"), {
        code: 0,
        stderr: "",
        saved: [`policy-checkpoint.version-${bestVersion}.json`]
      })
      // As after an evaluation under the same text: a config is nobody's decision.
      const isLatest =
        `UPDATE resources SET is_latest = 0; UPDATE resources SET is_latest = 1 WHERE version = ${bestVersion}`
      assert.strictEqual((yield* aside("evaluated", isLatest)).code, 0)
      const seedIsBest =
        "UPDATE search_results SET result = json_set(result, '$.bestVersion', result ->> '$.seedVersion')"
      assert.deepStrictEqual(yield* aside("seed", seedIsBest), {
        code: 1,
        stderr: `tau: run ${id} found nothing better than its seed\n`,
        saved: []
      })
      const blocked = yield* aside("blocked", "SELECT 1", "policy-checkpoint.json")
      assert.strictEqual(blocked.code, 1)
      assert.match(blocked.stderr, /policy-checkpoint\.json: .+ \(the promotion itself is in the store\)\n$/)
      const forced = ["promote", store, id, "--force", "--reason", "read by hand"]
      assert.strictEqual((yield* tau(folder, forced)).stdout, `Version ${bestVersion} is the latest now, by force.\n`)
      // As if it had been killed before the checkpoint was there: the next one makes up for it.
      rmSync(join(folder, `policy-checkpoint.version-${bestVersion}.json`))
      const again = yield* tau(folder, forced)
      assert.deepStrictEqual([again.code, again.stderr], [1, `tau: version ${bestVersion} is the latest already\n`])
      assert.deepStrictEqual(query(folder, "SELECT version, decision, reason FROM promotions"), [
        { version: bestVersion, decision: "forced", reason: "read by hand" }
      ])
      assert.match((yield* tau(folder, ["report", store])).stdout, /by force: read by hand/)
      // As after a promotion by the run itself, every version that was the latest can be gone back to, this one too.
      const rolledBack = (version: number) =>
        Effect.map(
          tau(folder, [
            `--prompt-optimization-control-rollback=policy-checkpoint.version-${version}.json`,
            "--prompt-optimization-control-state-dir=."
          ]),
          ({ stderr }) => [
            stderr,
            query<{ version: number }>(folder, "SELECT version FROM resources WHERE is_latest = 1")[0]!.version
          ]
        )
      assert.deepStrictEqual(yield* rolledBack(1), ["", 1])
      assert.deepStrictEqual(yield* rolledBack(bestVersion), ["", bestVersion])
      const checkpoint = JSON.parse(readFileSync(join(folder, "policy-checkpoint.json"), "utf8")) as {
        readonly optimizer_state: object
        readonly saved_at_unix_seconds: number
      }
      assert.deepInclude(checkpoint.optimizer_state, { algorithm: "rgepa", phase: "ended" })
      assert.isBelow(Math.abs(Date.now() / 1000 - checkpoint.saved_at_unix_seconds), 600)
      assert.deepInclude(checkpoint as object, {
        run_id: id,
        policy_state: { resources_version: bestVersion },
        global_step: query<{ n: number }>(folder, "SELECT count(*) AS n FROM rollouts WHERE status <> 'queuing'")[0]!.n,
        optimizer_step: 1
      })
    }))

  it.scopedLive("makes a version the latest against the gate when it is forced, and says so", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin } = yield* searchUpstream()
      const { code, stderr } = yield* searched(folder, searchConfig(origin), ["--force"])
      assert.strictEqual(code, 0, stderr)
      const { bestVersion, noGate } = resultIn(folder)
      assert.match(noGate!, /^not testable: 40 examples/)
      assert.deepStrictEqual(
        query(folder, "SELECT version, decision, principal IS NOT NULL AS named FROM promotions"),
        [
          { version: bestVersion, decision: "forced", named: 1 }
        ]
      )
      // Once it was rolled back, what brings it back is said, ready to paste.
      const verb = "--prompt-optimization-control-rollback"
      const rollback = (version: number) => [
        `${verb}=${join(folder, `policy-checkpoint.version-${version}.json`)}`,
        `--prompt-optimization-control-state-dir=${folder}`
      ]
      assert.strictEqual((yield* tau(folder, rollback(1))).code, 0)
      const { id } = query<{ id: string }>(folder, "SELECT id FROM runs")[0]!
      const refused = yield* tau(folder, ["promote", `--store=${storeIn(folder)}`, id, "--force"])
      assert.deepStrictEqual(refused, {
        code: 1,
        stdout: "",
        stderr: `tau: run ${id} made version ${bestVersion} the latest itself; the latest is version 1 now: `
          + `tau ${rollback(bestVersion).join(" ").replaceAll("=", " ")} goes back to it\n`
      })
    }))
})
