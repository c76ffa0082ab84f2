import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { tau } from "../support/command.js"
import { rowsOf, scratchFolder } from "../support/store.js"

describe("safety_reward in a run", () => {
  const agent = `
    const { writeFileSync } = require("node:fs")
    const { prompt } = JSON.parse(require("node:fs").readFileSync(0, "utf8"))
    if (prompt === "report") {
      writeFileSync(process.env.TAU_SAFETY_EVENTS_FILE, JSON.stringify({ reason_codes: ["tone.rude"], blocked: false }))
    }
    console.log(prompt === "leak" ? "sk-" + "a1".repeat(12) : "fine")`

  const rewardsOf = (policy: object) =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      writeFileSync(join(folder, "agent.cjs"), agent)
      writeFileSync(
        join(folder, "config.json"),
        JSON.stringify({
          optimize: ["leak", "report", "plain"].map((prompt) => ({ prompt, expected: "" })),
          executor: { kind: "command", command: ["node", "agent.cjs"] },
          scoring: [{ kind: "regex", name: "any", pattern: "." }],
          safety_reward: policy
        })
      )
      const ended = yield* tau(folder, ["--model=sim/arithmetic", "--prompt-optimization-config=config.json"], {
        PATH: process.env["PATH"]!
      })
      assert.strictEqual(ended.code, 0, ended.stderr)
      return rowsOf<Record<string, unknown>>(
        join(folder, ".tau/training/store.sqlite"),
        `SELECT json_extract(r.input, '$.prompt') AS prompt, r.status, r.score, w.name, w.value
         FROM rollouts r JOIN rewards w ON w.rollout_id = r.id ORDER BY r.ordinal, w.name`
      )
    })

  it.scoped("fines what the agent let slip and what it reported, and gates the leak", () =>
    Effect.gen(function*() {
      const rows = yield* rewardsOf({})
      const row = (prompt: string, score: number, name: string, value: number) => ({
        prompt,
        status: "succeeded",
        score,
        name,
        value
      })
      assert.deepStrictEqual(rows, [
        row("leak", 0, "any", 0),
        row("leak", 0, "safety.hard_gate_penalty", -1),
        row("leak", 0, "safety.hard_gate_triggered", 1),
        row("leak", 0, "safety.penalty_total", -1.5),
        row("report", 1, "any", 1),
        row("report", 1, "safety.penalty_total", -0.25),
        row("plain", 1, "any", 1)
      ])
    }), 60_000)

  it.scoped(
    "fails a gated rollout for good when told to, and keeps the rewards that say why",
    () =>
      Effect.gen(function*() {
        const rows = yield* rewardsOf({ reject_rollout_on_hard_gate: true })
        const leak = rows.filter(({ prompt }) => prompt === "leak")
        assert.deepStrictEqual(leak.map(({ name, status }) => [status, name]), [
          ["failed", "any"],
          ["failed", "safety.hard_gate_penalty"],
          ["failed", "safety.hard_gate_triggered"],
          ["failed", "safety.penalty_total"]
        ])
      }),
    60_000
  )
})
