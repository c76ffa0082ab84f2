import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { playbookProblems } from "../../src/evidence/PlaybookRules.js"
import { proofProblems } from "../../src/evidence/ProofRules.js"
import { reportProblems } from "../../src/evidence/ReportRules.js"
import { root, tau } from "./tau.js"

type Json = Record<string, unknown>

const demo = (name: string) => join(root, "scripts/demo", name)
const template = (name: string) => JSON.parse(readFileSync(demo(name), "utf8")) as Json

const report = "m24-rl-benchmark-report-template.json"
const proof = "m24-rl-benchmark-proof-template.json"
const playbook = "m24-rl-resume-after-crash-playbook-template.json"

const folder = mkdtempSync(join(tmpdir(), "tau-validate-"))
afterAll(() => rmSync(folder, { recursive: true }))

/** The artifact with one field set to another value, or removed. */
const withField = (artifact: Json, field: string, value: unknown): Json => {
  const copy = structuredClone(artifact)
  const keys = field.split(".")
  const last = keys.pop()!
  const parent = keys.reduce<Json>((at, key) => at[key] as Json, copy)
  if (value === undefined) delete parent[last]
  else parent[last] = value
  return copy
}

/** Each rule, broken: the field and a value that it must not have. The field must be named. */
const reportBreaks: ReadonlyArray<readonly [field: string, value: unknown]> = [
  ["schema_version", 2],
  ["schema_version", "1"],
  ["report_kind", "final"],
  ["run_id", "M24-example"],
  ["run_id", "m24-"],
  ["run_id", "m24-../../etc"],
  ["run_id", undefined],
  ["generated_at", "yesterday"],
  ["generated_at", "2026-11-25"],
  ["generated_at", "2026-11-25T20:00:00+01:00"],
  ["generated_at", "2026-02-30T20:00:00Z"],
  ["benchmark_suite", undefined],
  ["benchmark_suite.name", " "],
  ["benchmark_suite.version", 1],
  ["metrics.episodes", 0],
  ["metrics.episodes", 1.5],
  ["metrics.mean_reward", "0.4"],
  ["metrics.mean_reward", null],
  ["metrics.mean_safety_penalty", undefined],
  ["publication.report_path", ".tau/reports/m24/m24-other/m24-benchmark-report-significance.json"],
  ["publication.report_path", "/.tau/reports/m24/m24-example/m24-benchmark-report-significance.json"],
  ["publication.archive_path", ".tau/reports/archive/m24/2026/13/m24-benchmark-report-m24-example-significance.json"],
  ["publication.archive_path", ".tau/reports/archive/m24/2026/11/m24-benchmark-report-m24-example-baseline.json"],
  ["publication.archive_path", ".tau/reports/archive/m24/2026/10/m24-benchmark-report-m24-example-significance.json"],
  ["publication.archive_path", ".tau/reports/archive/m24/2027/06/m24-benchmark-report-m24-example-significance.json"],
  ["retention.policy", "purge"],
  ["retention.retain_days", 0],
  ["retention.retain_days", undefined],
  ["retention.archive_after_days", -1],
  ["retention.archive_after_days", 181],
  ["retention.purge_after", "2027-05-24T20:00:01Z"],
  ["retention.purge_after", undefined],
  ["significance", undefined],
  ["significance.alpha", 0],
  ["significance.alpha", 1],
  ["significance.p_value", 1.1],
  ["significance.p_value", -0.1],
  ["significance.confidence_level", 0],
  ["significance.confidence_level", 0.999],
  ["significance.mean_delta", 0.25],
  ["significance.delta_ci_low", 0.25],
  ["significance.delta_ci_high", 0.15],
  ["significance.pass", "yes"],
  ["significance.baseline_mean_reward", undefined],
  ["significance.trained_mean_reward", undefined],
  ["significance.baseline_mean_safety_penalty", undefined],
  ["significance.trained_mean_safety_penalty", undefined]
]

const proofBreaks: ReadonlyArray<readonly [field: string, value: unknown]> = [
  ["schema_version", 0],
  ["run_id", ""],
  ["generated_at", "2026-11-25 20:00"],
  ["benchmark_suite.fixture_path", undefined],
  ["benchmark_suite.name", undefined],
  ["benchmark_suite.version", ""],
  ...["baseline", "trained"].flatMap((arm) =>
    [
      [arm, []],
      [`${arm}.checkpoint_id`, ""],
      [`${arm}.episodes`, 0],
      [`${arm}.mean_reward`, undefined],
      [`${arm}.mean_safety_penalty`, undefined]
    ] as const
  ),
  ["trained.episodes", 199],
  ["significance.p_value", 2],
  ["significance.confidence_level", 0],
  ["significance.confidence_level", 1.5],
  ["significance.pass", 1],
  ["criteria.min_reward_delta", -0.1],
  ["criteria.max_safety_regression", -0.1],
  ["criteria.max_p_value", 1.1],
  ["criteria.max_p_value", undefined],
  ["artifacts.baseline_report", ""],
  ["artifacts.trained_report", undefined],
  ["artifacts.significance_report", undefined]
]

/** Each criterion, not met: `pass` must be false then, and its own name is in the refusal. */
const criteria: ReadonlyArray<readonly [field: string, value: number, criterion: string]> = [
  ["trained.mean_reward", 0.41, "reward_improvement"],
  ["trained.mean_safety_penalty", 0.1, "safety_regression_bound"],
  ["significance.p_value", 0.06, "statistical_significance"],
  ["significance.confidence_level", 0.9, "confidence_floor"]
]

const playbookBreaks: ReadonlyArray<readonly [field: string, value: unknown]> = [
  ["schema_version", 3],
  ["artifact_kind", "playbook"],
  ["run_id", "m24-recovery-abc"],
  ["run_id", "m24-recovery-"],
  ["crash_drill", undefined],
  ["crash_drill.state_dir", ""],
  ["crash_drill.running_manifest_path", "job.yaml"],
  ["crash_drill.crash_simulation_command", undefined],
  ["resume_drill.restart_command", " "],
  ["resume_drill.resumed_job_id", undefined],
  ["resume_drill.checkpoint_path", "store.db"],
  ["evidence.events_log_path", "events.json"],
  ["evidence.health_snapshot_path", "state.txt"],
  ["evidence.operator_log_path", "operator.txt"],
  ["outcome.resume_status", "failed"],
  ["outcome.recovery_reason_code", "job_succeeded"]
]

/** What a report or proof may leave out: nothing that the guide names. */
const leaves = (value: unknown, path = ""): ReadonlyArray<string> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.entries(value).flatMap(([key, held]) => leaves(held, path === "" ? key : `${path}.${key}`))
    : [path]

const artifacts: ReadonlyArray<
  readonly [name: string, file: string, problems: (value: unknown) => ReadonlyArray<{ readonly field: string }>]
> = [
  ["report", report, reportProblems],
  ["proof", proof, proofProblems],
  ["playbook", playbook, playbookProblems]
]

/** The guide's rules, in its words, each with a way to break it. `at` is the field that the refusal must name. */
const guide: ReadonlyArray<
  readonly [rule: string, file: string, at: string, changes: Readonly<Record<string, unknown>>]
> = [
  ["the same episode count for both runs", proof, "trained.episodes", { "trained.episodes": 400 }],
  ["the same episode count for both runs", proof, "trained.episodes", { "baseline.episodes": 100 }],
  ["p-value and confidence-level fields", report, "significance.p_value", { "significance.p_value": undefined }],
  ["p-value and confidence-level fields", report, "significance.confidence_level", {
    "significance.confidence_level": undefined
  }],
  ["reward improvement", proof, "significance.pass", { "trained.mean_reward": 0.4 }],
  ["reward improvement", proof, "significance.pass", { "criteria.min_reward_delta": 0.21 }],
  ["reward improvement", proof, "significance.pass", { "baseline.mean_reward": 0.9 }],
  ["safety regression bound", proof, "significance.pass", { "trained.mean_safety_penalty": 0.01 }],
  ["statistical significance", proof, "significance.pass", { "significance.p_value": 0.051 }],
  ["statistical significance", proof, "significance.pass", { "criteria.max_p_value": 0.0005 }],
  ["confidence floor", proof, "significance.pass", { "significance.confidence_level": 0.9499 }],
  ["any criterion fails: pass is false", report, "significance.pass", { "significance.p_value": 0.051 }],
  ["any criterion fails: pass is false", report, "significance.pass", {
    "significance.alpha": 0.1,
    "significance.confidence_level": 0.9
  }],
  ["report kinds", report, "report_kind", { report_kind: "drill" }],
  ["active report path", report, "publication.report_path", { run_id: "m24-other" }],
  ["archived report path", report, "publication.archive_path", { run_id: "m24-other" }],
  ["active report path", report, "publication.report_path", { report_kind: "summary" }],
  ["archived report path", report, "publication.archive_path", { report_kind: "summary" }],
  ["archived report path", report, "publication.archive_path", {
    "publication.archive_path": ".tau/reports/archive/m24/26/11/m24-benchmark-report-m24-example-significance.json"
  }],
  ["policy is archive-then-purge or retain-only", report, "retention.policy", { "retention.policy": "keep" }],
  ["retain_days > 0", report, "retention.retain_days", { "retention.retain_days": -1 }],
  ["retain_days > 0", report, "retention.retain_days", { "retention.retain_days": "180" }],
  ["0 <= archive_after_days", report, "retention.archive_after_days", { "retention.archive_after_days": -0.5 }],
  ["archive_after_days <= retain_days", report, "retention.archive_after_days", { "retention.retain_days": 29 }],
  ["purge_after follows", report, "retention.purge_after", { generated_at: "2026-11-26T20:00:00Z" }],
  ["resume_status is succeeded", playbook, "outcome.resume_status", { "outcome.resume_status": "Succeeded" }],
  ["recovery_reason_code", playbook, "outcome.recovery_reason_code", { "outcome.recovery_reason_code": "job_started" }]
]

describe("the verdict of a summary report", () => {
  const arms = template(proof)
  const summary = (change: object) => ({
    ...template(report),
    report_kind: "summary",
    publication: {
      report_path: ".tau/reports/m24/m24-example/m24-benchmark-report-summary.json",
      archive_path: ".tau/reports/archive/m24/2026/11/m24-benchmark-report-m24-example-summary.json"
    },
    criteria: arms["criteria"],
    summary: {
      pass: true,
      failed_criteria: [],
      mean_delta: 0.2,
      p_value: 0.001,
      confidence_level: 0.95,
      baseline: arms["baseline"],
      trained: arms["trained"],
      ...change
    }
  })
  const fields = (change: object) => reportProblems(summary(change)).map(({ field }) => field)

  it("is recomputed from its arms and criteria, and refused where it is another", () => {
    assert.deepStrictEqual(reportProblems(summary({})), [])
    assert.deepStrictEqual(fields({ pass: false }), ["summary.pass"])
    assert.deepStrictEqual(fields({ p_value: 0.3 }), ["summary.pass", "summary.failed_criteria"])
    assert.deepStrictEqual(fields({ p_value: 0.3, pass: false, failed_criteria: ["statistical_significance"] }), [])
    assert.deepStrictEqual(fields({ mean_delta: 0.3 }), ["summary.mean_delta"])
  })

  it("is not asked of a summary that is told otherwise", () => {
    assert.deepStrictEqual(reportProblems({ ...summary({}), summary: "The new prompt is better." }), [])
  })
})

describe("the rules of the evidence", () => {
  for (const [name, file, problems] of artifacts) {
    it.each(leaves(template(file)))(`refuses a ${name} without %s, or with null or a list in its place`, (field) => {
      for (const value of [undefined, null, []]) {
        const found = problems(withField(template(file), field, value)).map((one) => one.field)
        assert.include(found, field, JSON.stringify(value))
      }
      const [group = "", inner] = field.split(".")
      if (inner === undefined) return
      for (const value of [undefined, null, [], "text"]) {
        assert.include(problems(withField(template(file), group, value)).map((one) => one.field), group)
      }
    })
  }

  it.each(guide)("%s: %s is refused at %s with %j", (_, file, at, changes) => {
    const broken = Object.entries(changes).reduce(
      (json, [field, value]) => withField(json, field, value),
      template(file)
    )
    const [, , problems] = artifacts.find(([, name]) => name === file)!
    assert.include(problems(broken).map((one) => one.field), at)
  })

  it("accepts the smallest step inside of each bound", () => {
    const changed = (file: string, changes: Readonly<Record<string, unknown>>) =>
      Object.entries(changes).reduce((json, [field, value]) => withField(json, field, value), template(file))
    for (
      const fine of [
        { "criteria.max_p_value": 0.001 },
        { "significance.confidence_level": 1 },
        { "criteria.max_p_value": 1, "significance.p_value": 1 },
        { "criteria.max_safety_regression": 0.5, "trained.mean_safety_penalty": 0.5 },
        { "baseline.mean_reward": 0, "trained.mean_reward": 0.5, "criteria.min_reward_delta": 0.5 },
        // At the bound in decimals, though not in binary.
        { "baseline.mean_reward": 0.4, "trained.mean_reward": 0.42, "criteria.min_reward_delta": 0.02 },
        { "baseline.mean_reward": 0.7, "trained.mean_reward": 0.8, "criteria.min_reward_delta": 0.1 },
        {
          "baseline.mean_safety_penalty": 0.1,
          "trained.mean_safety_penalty": 0.3,
          "criteria.max_safety_regression": 0.2
        },
        { "baseline.episodes": 1, "trained.episodes": 1 }
      ]
    ) assert.deepStrictEqual(proofProblems(changed(proof, fine)), [], JSON.stringify(fine))
    for (
      const fine of [
        { "retention.archive_after_days": 0 },
        { "retention.archive_after_days": 180 },
        { "retention.policy": "retain-only" },
        { generated_at: "2026-11-25T20:00:00.000+00:00" },
        {
          "publication.archive_path":
            ".tau/reports/archive/m24/2027/05/m24-benchmark-report-m24-example-significance.json"
        }
      ]
    ) assert.deepStrictEqual(reportProblems(changed(report, fine)), [], JSON.stringify(fine))
  })

  it.each(reportBreaks)("refuses a report whose %s is %j", (field, value) => {
    assert.include(reportProblems(withField(template(report), field, value)).map((one) => one.field), field)
  })

  it.each(proofBreaks)("refuses a proof whose %s is %j", (field, value) => {
    assert.include(proofProblems(withField(template(proof), field, value)).map((one) => one.field), field)
  })

  it.each(playbookBreaks)("refuses a playbook whose %s is %j", (field, value) => {
    assert.include(playbookProblems(withField(template(playbook), field, value)).map((one) => one.field), field)
  })

  it.each(criteria)("refuses a proof that passes although its %s is %d", (field, value, criterion) => {
    const failing = withField(template(proof), field, value)
    const [problem] = proofProblems(failing)
    assert.strictEqual(problem?.field, "significance.pass")
    assert.include(problem?.text, criterion)
    assert.deepStrictEqual(proofProblems(withField(failing, "significance.pass", false)), [])
  })

  it("refuses a proof or a report that names other criteria than those that fail", () => {
    const failing = withField(withField(template(proof), "significance.p_value", 0.2), "significance.pass", false)
    const named = (names: unknown) =>
      proofProblems(withField(failing, "failed_criteria", names)).map(({ field }) => field)
    assert.deepStrictEqual(named(["statistical_significance"]), [])
    for (const names of [[], ["confidence_floor"], ["statistical_significance", "confidence_floor"], null, "none"]) {
      assert.deepStrictEqual(named(names), ["failed_criteria"])
    }
    const judged = withField(template(report), "criteria", {
      min_reward_delta: 0,
      max_safety_regression: 0,
      max_p_value: 0.05
    })
    const [problem] = reportProblems(withField(judged, "failed_criteria", ["confidence_floor"]))
    assert.deepInclude(problem, { field: "failed_criteria" })
    assert.include(problem?.text, "none: every criterion holds")
  })

  it("refuses a proof that fails although every criterion holds", () => {
    const [problem] = proofProblems(withField(template(proof), "significance.pass", false))
    assert.include(problem?.text, "true: every criterion holds")
  })

  it("recomputes the verdict of a significance report, by its own criteria where it has any", () => {
    const failing = withField(template(report), "significance.p_value", 0.2)
    assert.strictEqual(reportProblems(failing)[0]?.field, "significance.pass")
    assert.deepStrictEqual(reportProblems(withField(failing, "significance.pass", false)), [])
    const strict = withField(template(report), "criteria", {
      min_reward_delta: 0.5,
      max_safety_regression: 0,
      max_p_value: 0.05
    })
    assert.include(reportProblems(strict)[0]?.text, "reward_improvement")
    assert.deepStrictEqual(reportProblems(withField(strict, "significance.pass", false)), [])
  })

  it("asks the other kinds of report for no significance", () => {
    const plain = withField(
      withField(
        withField(withField(template(report), "significance", undefined), "report_kind", "baseline"),
        "publication.report_path",
        ".tau/reports/m24/m24-example/m24-benchmark-report-baseline.json"
      ),
      "publication.archive_path",
      ".tau/reports/archive/m24/2027/05/m24-benchmark-report-m24-example-baseline.json"
    )
    assert.deepStrictEqual(reportProblems(plain), [])
  })

  it.each([[null], [[]], ["text"], [{}]])("refuses %j as any artifact", (value) => {
    for (const problems of [reportProblems, proofProblems, playbookProblems]) assert.isNotEmpty(problems(value))
  })
})

describe("tau validate", () => {
  const scripts = [
    ["validate-m24-rl-benchmark-report.sh", "report", report],
    ["validate-m24-rl-benchmark-proof-template.sh", "proof", proof],
    ["validate-m24-rl-resume-after-crash-playbook.sh", "playbook", playbook]
  ] as const

  it.each(scripts)("%s accepts its template and refuses a broken one by the field's name", (script, kind, name) => {
    const run = (...args: ReadonlyArray<string>) => spawnSync(demo(script), args, { encoding: "utf8", cwd: folder })
    const fine = run(demo(name))
    assert.strictEqual(fine.status, 0, fine.stderr)
    assert.match(fine.stdout, /^ok - .*\n$/)

    const broken = join(folder, `${kind}.json`)
    writeFileSync(broken, JSON.stringify(withField(template(name), "run_id", 7)))
    const refused = run(broken)
    assert.strictEqual(refused.status, 1)
    assert.strictEqual(refused.stdout, "")
    assert.match(refused.stderr, /^error: .*: run_id: expected .*, found 7\n$/)

    for (const args of [[], [broken, broken], [join(folder, "absent.json")]]) assert.strictEqual(run(...args).status, 2)
  })

  it("says where a file is no JSON, and refuses a field that is given twice", () => {
    const file = join(folder, "text.json")
    writeFileSync(file, "{ \"schema_version\": 1,, }")
    const syntax = tau(["validate", "report", file])
    assert.strictEqual(syntax.status, 1)
    assert.include(syntax.stderr, "line 1, column 23")
    const text = JSON.stringify(template(proof))
    writeFileSync(file, `${text.slice(0, -1)}, "run_id": "m24-other"}`)
    const twice = tau(["validate", "proof", file])
    assert.strictEqual(twice.status, 1)
    assert.include(twice.stderr, "run_id: expected each key once")
  })

  it("refuses a kind it does not know as a usage error", () => {
    assert.strictEqual(tau(["validate", "prof", demo(proof)]).status, 2)
  })
})
