import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Playbook } from "../../src/runtime/DrillEvidence.js"
import { tau } from "../support/command.js"
import { scratchFolder } from "../support/store.js"

interface Answer {
  readonly run_id: string
  readonly verdict: string
  readonly artifact_path: string
  readonly broken: ReadonlyArray<unknown>
  readonly checks: number
  readonly kills: ReadonlyArray<{
    readonly n: number
    readonly pid: number
    readonly run_id: string
    readonly phase: string
    readonly recovered_in_ms: number
    readonly requeued: number
    readonly broken: ReadonlyArray<unknown>
  }>
  readonly totals: { readonly rollouts: number; readonly succeeded: number; readonly starts: number }
}

const json = <A>(file: string): A => JSON.parse(readFileSync(file, "utf8")) as A

describe("tau drill", () => {
  it.scopedLive(
    "kills a run, resumes it, finds every invariant intact, and keeps the evidence",
    () =>
      Effect.gen(function*() {
        const folder = yield* scratchFolder
        const { code, stderr, stdout } = yield* tau(
          folder,
          [
            "drill",
            "--kills=3",
            "--rollouts=12",
            "--seed=5",
            "--state-dir=drilled",
            "--run-id=m24-recovery-2026-7",
            "--json"
          ]
        )
        assert.strictEqual(code, 0, stderr + stdout)
        const answer = JSON.parse(stdout) as Answer
        assert.deepInclude(answer, { verdict: "passed", broken: [] })
        assert.deepStrictEqual(answer.kills.map(({ broken, n }) => [n, broken]), [[1, []], [2, []], [3, []]])
        assert.isAtLeast(answer.checks, 6)
        assert.match(answer.kills[1]!.phase, /^working: \d rollouts?, [1-9] calls? under way$/)
        for (const kill of answer.kills) {
          assert.isAbove(kill.recovered_in_ms, 0)
          assert.include(stderr, `kill ${kill.n}  `)
        }
        assert.strictEqual(answer.totals.succeeded, answer.totals.rollouts)

        const artifact = join(folder, "drilled/resume-after-crash-playbook.json")
        assert.strictEqual(answer.artifact_path, artifact)
        const playbook = json<Playbook>(artifact)
        const evidence = join(folder, "drilled/drill", answer.run_id)
        const jobId = playbook.resume_drill.resumed_job_id
        const { pid } = answer.kills.find(({ run_id }) => run_id === jobId)!
        assert.strictEqual(playbook.run_id, "m24-recovery-2026-7")
        assert.deepStrictEqual({ ...playbook, resume_drill: { ...playbook.resume_drill, restart_command: "" } }, {
          schema_version: 1,
          artifact_kind: "m24_rl_resume_after_crash_playbook",
          run_id: answer.run_id,
          crash_drill: {
            state_dir: join(folder, "drilled"),
            running_manifest_path: join(evidence, "running-manifest.json"),
            crash_simulation_command: `kill -9 ${pid}`
          },
          resume_drill: {
            restart_command: "",
            resumed_job_id: jobId,
            checkpoint_path: join(folder, "drilled/training/store.sqlite")
          },
          evidence: {
            events_log_path: join(evidence, "events.jsonl"),
            health_snapshot_path: join(evidence, "health-snapshot.json"),
            operator_log_path: join(evidence, "operator.log")
          },
          outcome: { resume_status: "succeeded", recovery_reason_code: "job_recovered_after_restart" }
        } as object)
        assert.deepInclude(json<object>(playbook.crash_drill.running_manifest_path), {
          state: "running",
          run_id: jobId,
          pid
        })
        const events = readFileSync(playbook.evidence.events_log_path, "utf8")
        assert.include(events, "\"job_recovered_after_restart\"")
        assert.property(json<object>(playbook.evidence.health_snapshot_path), "queue_depth")
        const log = readFileSync(playbook.evidence.operator_log_path, "utf8")
        for (const kill of answer.kills) assert.include(log, `$ kill -9 ${kill.pid}`)
        assert.include(log, "resuming run run-0001")

        // The command in the playbook is one that works from anywhere: the run is over, so that it starts the next.
        assert.include(playbook.resume_drill.restart_command, `cd ${folder} && `)
        assert.include(playbook.resume_drill.restart_command, playbook.resume_drill.checkpoint_path)
      }),
    120_000
  )

  it.scopedLive("refuses a state root that has a store: it would kill what works there", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      mkdirSync(join(folder, "mine/training"), { recursive: true })
      writeFileSync(join(folder, "mine/training/store.sqlite"), "")
      const { code, stderr } = yield* tau(folder, ["drill", "--kills=1", "--state-dir=mine"])
      assert.strictEqual(code, 2)
      assert.include(stderr, "store.sqlite is there already")
      assert.isFalse(existsSync(join(folder, "mine/drill")))
      const named = yield* tau(folder, ["drill", "--kills=1", "--run-id=m24-recovery-../../up"])
      assert.strictEqual(named.code, 2)
      assert.include(named.stderr, "--run-id: expected a text that matches")
    }), 60_000)

  it.scopedLive("refuses what the run would refuse, and writes nothing", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const example = { optimize: [{ prompt: "1 + 1?" }] }
      writeFileSync(join(folder, "config.json"), JSON.stringify(example))
      writeFileSync(join(folder, "wrong.json"), JSON.stringify({ ...example, nonsense: 1 }))
      const cases: ReadonlyArray<readonly [config: string, model: string, message: RegExp]> = [
        ["absent.json", "sim/arithmetic", /^tau: absent\.json: expected a config file, found no such file$/m],
        ["wrong.json", "sim/arithmetic", /^tau: wrong\.json: \$\.nonsense: /m],
        ["config.json", "sim/arithmetik", /there is no simulated model arithmetik \(did you mean sim\/arithmetic\?\)/]
      ]
      for (const [config, model, message] of cases) {
        const { code, stderr } = yield* tau(folder, ["drill", "--kills=1", `--config=${config}`, `--model=${model}`])
        assert.strictEqual(code, 2, stderr)
        assert.match(stderr, message)
      }
      assert.deepStrictEqual(readdirSync(folder).toSorted(), ["config.json", "wrong.json"])
    }), 60_000)
})
