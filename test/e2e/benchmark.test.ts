import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { proofProblems } from "../../src/evidence/ProofRules.js"
import { reportProblems } from "../../src/evidence/ReportRules.js"
import { tau } from "../support/command.js"
import { scratchFolder } from "../support/store.js"

const suite = (cases: number) => ({
  suite_id: "sums-v3",
  family: "arithmetic",
  description: "Sums of two small numbers.",
  cases: Array.from({ length: cases }, (_, n) => ({
    case_id: `sum-${n}`,
    seed: n + 1,
    prompt: `What is ${n} + 2?`,
    expected_outcome: String(n + 2),
    scoring_rubric: { exact_match: 0.75, numeric: 0.25 }
  }))
})

const prompts = {
  "plain.txt": "You are a concise assistant.\n",
  "number.txt": "Answer with the number only.\n",
  "worse.json": JSON.stringify({ system_prompt: "You are a very concise assistant." })
}

type Group = Readonly<Record<string, unknown>>
type Json = Readonly<
  Record<"metrics" | "significance" | "analysis" | "checkpoint" | "inputs", Group> & { readonly run_id: string }
>

const benchmarkFolder = (cases: number) =>
  Effect.tap(scratchFolder, (folder) =>
    Effect.sync(() => {
      writeFileSync(join(folder, "suite.json"), JSON.stringify(suite(cases)))
      for (const [name, text] of Object.entries(prompts)) writeFileSync(join(folder, name), text)
    }))

const read = (folder: string, file: string) => JSON.parse(readFileSync(join(folder, file), "utf8")) as Json

const benchmark = (folder: string, ...args: ReadonlyArray<string>) =>
  Effect.tap(
    tau(folder, ["benchmark", ...args]),
    ({ code, stderr }) => Effect.sync(() => assert.strictEqual(code, 0, stderr))
  )

const ask = (folder: string, kind: "baseline" | "trained", resources: string, ...more: ReadonlyArray<string>) =>
  benchmark(
    folder,
    "run",
    "--suite=suite.json",
    "--model=sim/arithmetic",
    `--resources=${resources}`,
    `--report-kind=${kind}`,
    ...more
  )

const reports = "tasks/reports"

describe("tau benchmark", () => {
  it.scoped(
    "proves a better prompt from a suite: reports, significance, proof, publication",
    () =>
      Effect.gen(function*() {
        const folder = yield* benchmarkFolder(10)
        yield* ask(folder, "baseline", "plain.txt")
        yield* ask(folder, "trained", "number.txt")
        const baseline = read(folder, `${reports}/m24-benchmark-baseline.json`)
        const trained = read(folder, `${reports}/m24-benchmark-trained.json`)
        assert.deepStrictEqual(baseline.metrics, { episodes: 10, mean_reward: 0.25, mean_safety_penalty: 0 })
        assert.deepStrictEqual(trained.metrics, { episodes: 10, mean_reward: 1, mean_safety_penalty: 0 })
        assert.strictEqual(baseline.run_id, trained.run_id)

        yield* benchmark(folder, "significance", "--min-reward-delta=0.1")
        const significance = read(folder, `${reports}/m24-benchmark-significance.json`)
        assert.deepStrictEqual(reportProblems(significance), [])
        assert.strictEqual(significance.significance["confidence_level"], 0.95)
        assert.strictEqual(significance.significance["pass"], true)
        assert.strictEqual(significance.significance["p_value"], 2 / 2 ** 10)
        assert.match(
          readFileSync(join(folder, `${reports}/m24-benchmark-significance.svg`), "utf8"),
          /^<svg [^]*<\/svg>\n$/
        )

        const runId = "m24-sums"
        yield* benchmark(folder, "proof", `--run-id=${runId}`, "--generated-at=2026-11-25T20:00:00Z")
        const proof = read(folder, `${reports}/m24-benchmark-proof-${runId}.json`)
        assert.deepStrictEqual(proofProblems(proof), [])
        assert.strictEqual(proof.significance["pass"], true)
        const published = yield* benchmark(folder, "publish", `${reports}/m24-benchmark-summary.json`)
        assert.include(published.stdout, `.tau/reports/m24/${runId}/m24-benchmark-report-summary.json`)
        yield* benchmark(folder, "archive", "--now=2027-01-01T00:00:00Z")
        const archived = join(folder, ".tau/reports/archive/m24/2026/11", `m24-benchmark-report-${runId}-summary.json`)
        yield* benchmark(folder, "purge", "--now=2028-01-01T00:00:00Z", "--dry-run")
        assert.isTrue(existsSync(archived))
        yield* benchmark(folder, "purge", "--now=2028-01-01T00:00:00Z")
        assert.isFalse(existsSync(archived))
      }),
    120_000
  )

  it.scoped(
    "records every episode in the store and finds a checkpoint again by its version",
    () =>
      Effect.gen(function*() {
        const folder = yield* benchmarkFolder(3)
        yield* ask(folder, "baseline", "plain.txt", "--episodes=6")
        yield* ask(folder, "trained", "1", "--episodes=6")
        const store = new Sqlite(join(folder, ".tau/training/store.sqlite"), { readonly: true })
        const counts = store.prepare(
          "SELECT (SELECT count(*) FROM rollouts) AS rollouts, (SELECT count(*) FROM spans) AS spans, (SELECT count(*) FROM rewards) AS rewards"
        ).get()
        store.close()
        assert.deepStrictEqual(counts, { rollouts: 12, spans: 12, rewards: 24 })
        const [baseline, trained] = (["baseline", "trained"] as const).map((kind) =>
          read(folder, `${reports}/m24-benchmark-${kind}.json`)
        )
        assert.deepStrictEqual(baseline!.checkpoint, trained!.checkpoint)
        assert.deepStrictEqual(baseline!.inputs, trained!.inputs)
        const found = yield* tau(folder, ["benchmark", "significance"])
        assert.include(found.stdout, "no pass (statistical_significance)")
      }),
    120_000
  )

  it.scoped(
    "corrects the p-values of several candidates, and refuses to compare unequal inputs",
    () =>
      Effect.gen(function*() {
        const folder = yield* benchmarkFolder(6)
        yield* ask(folder, "baseline", "plain.txt")
        yield* ask(folder, "trained", "number.txt")
        yield* ask(folder, "trained", "worse.json", `--out=${reports}/worse.json`)
        yield* ask(folder, "trained", "number.txt", "--seed=2", `--out=${reports}/other-seed.json`)
        yield* benchmark(folder, "significance", `${reports}/worse.json`)
        const [first, second] = ["", "-2"].map((end) =>
          read(folder, `${reports}/m24-benchmark-significance${end}.json`)
        )
        assert.strictEqual(first!.analysis["p_value_uncorrected"], 2 / 2 ** 6)
        assert.strictEqual(first!.significance["p_value"], 4 / 2 ** 6)
        assert.strictEqual(second!.significance["pass"], false)
        const refused = yield* tau(folder, ["benchmark", "significance", `--trained=${reports}/other-seed.json`])
        assert.strictEqual(refused.code, 1)
        assert.include(refused.stderr, "inputs differ: inputs.seed")
      }),
    120_000
  )

  it.scoped("refuses what it cannot mean before anything is written", () =>
    Effect.gen(function*() {
      const folder = yield* benchmarkFolder(2)
      const broken = suite(2)
      writeFileSync(
        join(folder, "broken.json"),
        JSON.stringify({
          ...broken,
          cases: [broken.cases[0], { ...broken.cases[0], scoring_rubric: { numeric: 0.5 } }]
        })
      )
      const run = ["benchmark", "run", "--model=sim/arithmetic", "--resources=plain.txt", "--report-kind=baseline"]
      const cases: ReadonlyArray<readonly [args: ReadonlyArray<string>, message: RegExp]> = [
        [[...run, "--suite=broken.json"], /cases\[1\]\.scoring_rubric: expected weights that sum to 1\.0/],
        [[...run, "--suite=suite.json", "--run-id=M24"], /--run-id/],
        [[...run, "--suite=suite.json", "--alpha=0.1"], /--alpha means nothing to tau benchmark run/],
        [[...run, "--suite=suite.json", "--generated-at=now"], /--generated-at/],
        [run, /needs --suite/],
        [["benchmark", "significance", "--alpha=0"], /expected a number from/],
        [["benchmark", "stability", "one.json"], /in pairs/],
        [["benchmark", "publish"], /at least one report/],
        [["benchmark", "prove"], /did you mean tau benchmark proof/]
      ]
      for (const [args, message] of cases) {
        const { code, stderr } = yield* tau(folder, args)
        assert.strictEqual(code, 2, args.join(" "))
        assert.match(stderr, message)
      }
      assert.isFalse(existsSync(join(folder, ".tau")))
    }), 120_000)
})

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
      const store = new Sqlite(join(folder, ".tau/training/store.sqlite"), { readonly: true })
      const rows = store.prepare(
        `SELECT json_extract(r.input, '$.prompt') AS prompt, r.status, r.score, w.name, w.value
         FROM rollouts r JOIN rewards w ON w.rollout_id = r.id ORDER BY r.ordinal, w.name`
      ).all()
      store.close()
      return rows as ReadonlyArray<Record<string, unknown>>
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
