import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { ControlLifecycle } from "../../src/domain/Control.js"
import { RunId } from "../../src/domain/Ids.js"
import { recoverByRestart } from "../../src/runtime/Recovery.js"
import { scratchFolder } from "../support/store.js"

const runId = RunId.make("run-0001-c0ffee")

const findings = {
  total: 6,
  finished: 2,
  resumed: 3,
  held: 1,
  callsReplayed: 4,
  tokensSaved: 500,
  resourcesVersions: [1, 2],
  previousStartCrashed: true
}

describe("A run whose command is given again", () => {
  it.scoped("goes on without an audit log and checkpoints that can be read, and notes what is wrong with them", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      for (const file of ["control-audit.jsonl", "policy-checkpoint.json"]) {
        writeFileSync(join(folder, file), "torn")
      }
      const { diagnostics, ...report } = yield* recoverByRestart({
        stateDir: folder,
        principal: "local:ada",
        priorLifecycle: "running",
        run: { id: runId, state: "running", configPath: "config.json", hasCrashed: true, requeued: 1, findings }
      })
      assert.lengthOf(diagnostics, 2)
      assert.match(diagnostics[0]!, /^audit log: .*control-audit\.jsonl: line 1 is not an audit row/)
      assert.match(diagnostics[1]!, /^no checkpoint was used: no checkpoint can be read \(.*policy-checkpoint\.json: /)
      assert.deepInclude(report, { crash_detected: true, replayed_audit_events: 0, checkpoint_source: null })
      assert.deepStrictEqual(report.run, {
        run_id: runId,
        rollouts: 6,
        finished: 2,
        resumed: 3,
        requeued: 1,
        calls_replayed: 4,
        tokens_saved: 500,
        resources_versions: [1, 2]
      })
    }))

  it.scoped("notes that the audit log ends elsewhere than the store, in what was carried out of it", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const row = {
        schema_version: 1,
        timestamp_unix_ms: 1,
        principal: "local:ada",
        action: "pause",
        action_key: "control:rl:pause",
        lifecycle_state: "paused",
        idempotent: false,
        rollback_checkpoint: null,
        recovery_checkpoint_source: null
      }
      const refused = { ...row, lifecycle_state: "cancelled", decision: "allow_role", outcome: "refused" }
      writeFileSync(join(folder, "control-audit.jsonl"), `${JSON.stringify(row)}\n${JSON.stringify(refused)}\n`)
      const notesFor = (priorLifecycle: ControlLifecycle) =>
        Effect.map(
          recoverByRestart({ stateDir: folder, principal: "local:ada", priorLifecycle, run: null }),
          ({ diagnostics, replayed_actions }) => {
            assert.deepStrictEqual(replayed_actions, ["pause"])
            return diagnostics.filter((line) => line.startsWith("the audit log"))
          }
        )
      assert.deepStrictEqual(yield* notesFor("paused"), [])
      assert.deepStrictEqual(yield* notesFor("running"), [])
      assert.deepStrictEqual(yield* notesFor("cancelled"), [
        "the audit log ends in paused, the store says cancelled; the store counts"
      ])
    }))
})
