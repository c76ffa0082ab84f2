import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { proofProblems } from "../../src/evidence/ProofRules.js"
import { reportProblems } from "../../src/evidence/ReportRules.js"
import { suiteArgs } from "../support/benchmark.js"
import { printed, startTau, tau } from "../support/command.js"
import { rowsOf, scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

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
  & Group
  & Record<"metrics" | "significance" | "analysis" | "checkpoint" | "inputs", Group>
  & {
    readonly run_id: string
    readonly cases: ReadonlyArray<{ readonly rewards: ReadonlyArray<number> }>
    readonly seed_reproducibility: Group & {
      readonly readings: ReadonlyArray<{ readonly seed: number; readonly n: number; readonly p_value: number }>
    }
  }
>

const benchmarkFolder = (cases: number) =>
  Effect.tap(scratchFolder, (folder) =>
    Effect.sync(() => {
      writeFileSync(join(folder, "suite.json"), JSON.stringify(suite(cases)))
      for (const [name, text] of Object.entries(prompts)) writeFileSync(join(folder, name), text)
    }))

const read = (folder: string, file: string) => JSON.parse(readFileSync(join(folder, file), "utf8")) as Json

const succeeds = (folder: string, args: ReadonlyArray<string>) =>
  Effect.tap(tau(folder, args), ({ code, stderr }) => Effect.sync(() => assert.strictEqual(code, 0, stderr)))

const benchmark = (folder: string, ...args: ReadonlyArray<string>) => succeeds(folder, ["benchmark", ...args])

const ask = (folder: string, ...args: Parameters<typeof suiteArgs>) => succeeds(folder, suiteArgs(...args))

const reports = "tasks/reports"

/** A simulated model that is slow enough to be killed under, and how many answers it has given. */
const slowModel = (folder: string) =>
  Effect.gen(function*() {
    const log = join(folder, "served.jsonl")
    const server = yield* startTau(folder, ["simulate", "--bind=127.0.0.1:0", `--log=${log}`, "--latency-ms=200"])
    const url = yield* printed(server, /listening on (\S+)/)
    return { url, served: () => existsSync(log) ? readFileSync(log, "utf8").split("\n").length - 1 : 0 }
  })

const query = <Row>(folder: string, sql: string) => rowsOf<Row>(join(folder, ".tau/training/store.sqlite"), sql)

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

        // Who draws from the same seed finds the same figures, and so does the proof.
        assert.deepInclude(significance.analysis, { seed: 1, unpaired: false })
        const forged = structuredClone(significance) as { significance: Record<string, unknown> }
        forged.significance["p_value"] = 0.0001
        assert.deepStrictEqual(reportProblems(forged), [])
        writeFileSync(join(folder, "forged.json"), JSON.stringify(forged))
        const caught = yield* tau(folder, ["benchmark", "proof", "--run-id=m24-forged", "--significance=forged.json"])
        assert.deepInclude(caught, {
          code: 1,
          stderr: "tau: forged.json: significance.p_value: expected 0.001953125 as the cases of both reports give it, "
            + "found 0.0001\n"
        })

        const safer = {
          ...significance,
          significance: { ...significance.significance, baseline_mean_safety_penalty: 1 }
        }
        writeFileSync(join(folder, "forged.json"), JSON.stringify(safer))
        const seen = yield* tau(folder, ["benchmark", "proof", "--run-id=m24-forged", "--significance=forged.json"])
        assert.deepInclude(seen, {
          code: 1,
          stderr:
            "tau: forged.json: significance.baseline_mean_safety_penalty: expected 0 as in the report it is about, "
            + "found 1\n"
        })

        const runId = "m24-sums"
        yield* benchmark(folder, "proof", `--run-id=${runId}`, "--generated-at=2026-11-25T20:00:00Z")
        const proof = read(folder, `${reports}/m24-benchmark-proof-${runId}.json`)
        assert.deepStrictEqual(proofProblems(proof), [])
        assert.strictEqual(proof.significance["pass"], true)
        const published = yield* benchmark(folder, "publish", `${reports}/m24-benchmark-summary.json`)
        assert.include(published.stdout, `.tau/reports/m24/${runId}/m24-benchmark-report-summary.json`)

        writeFileSync(join(folder, "none.json"), "{}")
        const refused = yield* tau(folder, [
          "benchmark",
          "publish",
          `${reports}/m24-benchmark-baseline.json`,
          "none.json"
        ])
        assert.strictEqual(refused.code, 1)
        assert.match(refused.stderr, /^tau: none\.json: no valid report: /)
        assert.lengthOf(readdirSync(join(folder, `.tau/reports/m24/${runId}`)), 1)
        assert.deepStrictEqual(readdirSync(join(folder, ".tau/reports/m24")), [runId])
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
        const counts = query(
          folder,
          "SELECT (SELECT count(*) FROM rollouts) AS rollouts, (SELECT count(*) FROM spans) AS spans, (SELECT count(*) FROM rewards) AS rewards"
        )
        assert.deepStrictEqual(counts, [{ rollouts: 12, spans: 12, rewards: 24 }])
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

  it.scopedLive(
    "writes the same report after kill -9 as undisturbed, and asks for no finished episode again",
    () =>
      Effect.gen(function*() {
        const [folder, other] = [yield* benchmarkFolder(8), yield* benchmarkFolder(8)]
        const { served, url } = yield* slowModel(folder)
        const args = (upstream: string) => [
          "benchmark",
          "run",
          "--suite=suite.json",
          "--model=sim/arithmetic",
          "--resources=number.txt",
          "--report-kind=baseline",
          "--episodes=24",
          "--workers=3",
          "--generated-at=2026-11-25T20:00:00Z",
          `--upstream-url=${upstream}`
        ]
        for (const answers of [5, 14]) {
          yield* Effect.scoped(Effect.gen(function*() {
            const command = yield* startTau(folder, args(url))
            yield* eventually(`${answers} answers`, Effect.sync(() => served() >= answers ? true : undefined))
            command.process.kill("SIGKILL")
            assert.strictEqual(yield* command.exit, "SIGKILL", command.stderr())
          }))
        }
        assert.isFalse(existsSync(join(folder, `${reports}/m24-benchmark-baseline.json`)))
        const stateDir = `--prompt-optimization-control-state-dir=${join(folder, ".tau/training")}`
        const status = yield* tau(other, ["--prompt-optimization-control-status", stateDir])
        assert.match(status.stdout, /\n {2}continue {2}cd \S+ && .* benchmark run /)
        assert.include(
          status.stdout.replaceAll(/\s+/g, " "),
          `the same tau benchmark run of ${join(folder, "suite.json")} continues it`
        )
        const finished = query<{ id: string }>(folder, "SELECT id FROM rollouts WHERE status = 'succeeded' ORDER BY id")
        assert.isAtLeast(finished.length, 5)
        const attempts = "SELECT a.id FROM attempts a JOIN rollouts r ON r.id = a.rollout_id WHERE r.id = "
        const before = finished.map(({ id }) => query(folder, `${attempts}'${id}'`))
        const last = yield* tau(folder, args(url))
        assert.strictEqual(last.code, 0, last.stderr)
        assert.include(last.stderr, "resuming run run-0001")
        assert.include(last.stderr, `${finished.length} of 24 rollouts already finished`)
        assert.deepStrictEqual(finished.map(({ id }) => query(folder, `${attempts}'${id}'`)), before)

        // What is paid for: each episode once, and again only what a kill cut off.
        const calls = query<{ state: string; n: number }>(
          folder,
          "SELECT state, count(*) AS n FROM spans GROUP BY state"
        )
        const cut = calls.filter(({ state }) => state !== "done").reduce((sum, { n }) => sum + n, 0)
        assert.isAtMost(served(), 24 + cut)
        assert.isAtMost(cut, 6)
        assert.deepStrictEqual(
          query(folder, "SELECT 1 FROM attempts WHERE status = 'succeeded' GROUP BY rollout_id HAVING count(*) = 1")
            .length,
          24
        )

        const undisturbed = yield* tau(other, args((yield* slowModel(other)).url))
        assert.strictEqual(undisturbed.code, 0, undisturbed.stderr)
        const [one, same] = [folder, other].map((at) => {
          const { source, ...report } = read(at, `${reports}/m24-benchmark-baseline.json`)
          const { calls: _, ...rest } = source as Group
          return { ...report, source: rest }
        })
        assert.deepStrictEqual(one, same)
      }),
    120_000
  )

  it.scoped(
    "judges a dimension by the scorer that --scorers names, and refuses one that nothing judges",
    () =>
      Effect.gen(function*() {
        const folder = yield* benchmarkFolder(4)
        const { cases, ...rest } = suite(4)
        const scoring_rubric = { exact_match: 0.5, brevity: 0.3, house: 0.2 }
        const put = (name: string, value: object) => writeFileSync(join(folder, name), JSON.stringify(value))
        put("suite.json", { ...rest, cases: cases.map((one) => ({ ...one, scoring_rubric })) })
        const judge =
          "process.stdin.resume().on('data', (text) => console.log(JSON.parse(text).output.length < 3 ? 0.5 : 0))"
        const house = { kind: "regex", pattern: "^1$|^2$|^3$" }
        put("scorers.json", { brevity: { kind: "command", command: ["node", "-e", judge] }, house })
        put("odd.json", { brevity: { kind: "vibes" } })
        put("list.json", ["Answer with the number only."])
        yield* ask(folder, "baseline", "number.txt", "--scorers=scorers.json")
        const { cases: earned } = read(folder, `${reports}/m24-benchmark-baseline.json`)
        // 2, 3, 4 and 5 are right and short; two of them are of the house.
        assert.deepStrictEqual(earned.map(({ rewards }) => rewards.map((reward) => Number(reward.toFixed(9)))), [
          [0.85],
          [0.85],
          [0.65],
          [0.65]
        ])
        // Judged by other rules, other inputs.
        put("stricter.json", { brevity: { kind: "regex", pattern: "^.$" }, house })
        yield* ask(folder, "trained", "number.txt", "--scorers=stricter.json")
        const refused = yield* tau(folder, ["benchmark", "significance"])
        assert.strictEqual(refused.code, 1)
        assert.include(refused.stderr, "inputs differ: inputs.settings")

        const run = ["--suite=suite.json", "--model=sim/arithmetic", "--resources=number.txt", "--report-kind=trained"]
        for (
          const [more, message] of [
            [[], /case sum-0: nothing judges the dimension brevity; .*--scorers/],
            [
              ["--scorers=odd.json"],
              /^tau: --scorers: odd\.json: \$\.brevity\.kind: expected one of .*, found "vibes"\n$/
            ],
            [["--scorers=absent.json"], /--scorers: absent\.json: expected a file/]
          ] as const
        ) {
          const { code, stderr } = yield* tau(folder, ["benchmark", "run", ...run, ...more])
          assert.strictEqual(code, 2, stderr)
          assert.match(stderr, message)
        }
        const listed = yield* tau(folder, suiteArgs("trained", "list.json", "--scorers=scorers.json"))
        assert.deepInclude(listed, {
          code: 2,
          stderr: "tau: --resources: list.json: $: expected an object, found an array\n"
        })
      }),
    120_000
  )

  it.scoped(
    "calls evidence stable that reruns under other seeds repeat, and says of the rest that it does not suffice",
    () =>
      Effect.gen(function*() {
        const folder = yield* benchmarkFolder(8)
        const pairOf = (seed: number, trained: string) =>
          Effect.gen(function*() {
            const files = ["baseline", "trained"].map((kind) => `${reports}/${kind}-${trained}-${seed}.json`)
            yield* ask(folder, "baseline", "plain.txt", `--seed=${seed}`, `--out=${files[0]}`)
            yield* ask(folder, "trained", trained, `--seed=${seed}`, `--out=${files[1]}`)
            return files as [string, string]
          })
        const stable = (first: readonly [string, string], ...more: ReadonlyArray<string>) =>
          Effect.map(
            benchmark(folder, "stability", `--baseline=${first[0]}`, `--trained=${first[1]}`, ...more),
            ({ stdout }) => ({ stdout, found: read(folder, `${reports}/m24-benchmark-stability.json`) })
          )
        const [one, two] = [yield* pairOf(1, "number.txt"), yield* pairOf(2, "number.txt")]
        const repeated = yield* stable(one, ...two)
        assert.deepInclude(repeated.found, {
          source: "reruns",
          stable: false,
          failed_bands: ["adjacent_p_value_drift"]
        })
        const { seed_reproducibility: seeds } = repeated.found
        assert.deepInclude(seeds, { p_value_range: 0, reward_delta_range: 0 })
        assert.deepStrictEqual(seeds.readings.map(({ n, p_value, seed }) => [seed, n, p_value]), [
          [1, 8, 2 / 2 ** 8],
          [2, 8, 2 / 2 ** 8]
        ])
        assert.match(repeated.stdout, /^insufficiently stable evidence \(adjacent_p_value_drift\)\n {2}\S+\n$/)
        assert.notMatch(repeated.stdout, /regression/)
        const wider = yield* stable(one, ...two, "--size-p-value-drift=0.2")
        assert.deepInclude(wider.found, { stable: true, verdict: "stable within the configured bands" })

        // A second pair that tells another story.
        const worse = yield* pairOf(3, "worse.json")
        const unstable = yield* stable(one, ...worse, "--size-p-value-drift=0.2")
        assert.deepInclude(unstable.found, {
          stable: false,
          failed_bands: ["seed_p_value_range", "seed_reward_delta_range"],
          verdict: "insufficiently stable evidence"
        })
        const refused = yield* tau(folder, [
          "benchmark",
          "stability",
          `--baseline=${one[0]}`,
          `--trained=${one[1]}`,
          two[0],
          worse[1]
        ])
        assert.strictEqual(refused.code, 1)
        assert.include(refused.stderr, "inputs differ: inputs.seed")
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
        yield* benchmark(folder, "proof", "--run-id=m24-two")
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
      writeFileSync(join(folder, "negative.json"), JSON.stringify({ blocked_penalty: -1 }))
      const run = ["benchmark", "run", "--model=sim/arithmetic", "--resources=plain.txt", "--report-kind=baseline"]
      const cases: ReadonlyArray<readonly [args: ReadonlyArray<string>, message: RegExp]> = [
        [[...run, "--suite=broken.json"], /cases\[1\]\.scoring_rubric: expected weights that sum to 1\.0/],
        [[...run, "--suite=suite.json", "--run-id=M24"], /--run-id/],
        [[...run, "--suite=suite.json", "--alpha=0.1"], /--alpha means nothing to tau benchmark run/],
        [[...run, "--suite=suite.json", "--generated-at=now"], /--generated-at/],
        [run, /needs --suite/],
        [[...run, "--suite=absent.json"], /--suite: absent\.json: expected a file, found no such file/],
        [[...run, "--suite=."], /--suite: \./],
        [[...run, "--suite=plain.txt"], /--suite: plain\.txt: line 1, column 1/],
        [
          [...run, "--suite=suite.json", "--safety-reward=negative.json"],
          /^tau: --safety-reward: negative\.json: \$\.blocked_penalty: expected a penalty of 0 or more, found -1\n$/
        ],
        [
          [...run, "--suite=suite.json", "--safety-reward=absent.json"],
          /--safety-reward: absent\.json: expected a file/
        ],
        [[...run, "--suite=suite.json", "--episodes=0"], /--episodes: expected a whole number/],
        [["benchmark", "significance"], /--baseline: tasks\/reports\/m24-benchmark-baseline\.json: expected a file/],
        [["benchmark", "proof", "--run-id=m24-x"], /--baseline: .* expected a file/],
        [["benchmark", "proof"], /needs --run-id/],
        [["benchmark", "proof", "--run-id=m25-x"], /--run-id: expected a text that matches/],
        [["benchmark", "publish", "absent.json"], /FILE: absent\.json: expected a file/],
        [["benchmark", "purge", "--now=soon"], /--now: expected a UTC time/],
        [["benchmark", "significance", "--alpha=0"], /expected a number from/],
        [["benchmark", "stability", "one.json"], /in pairs/],
        [["benchmark", "publish"], /at least one report/],
        [["benchmark", "prove"], /did you mean proof/]
      ]
      for (const [args, message] of cases) {
        const { code, stderr } = yield* tau(folder, args)
        assert.strictEqual(code, 2, args.join(" "))
        assert.match(stderr, message)
      }
      assert.isFalse(existsSync(join(folder, ".tau")))
    }), 240_000)
})
