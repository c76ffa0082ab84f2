import { assert, describe, it } from "@effect/vitest"
import { compact, elapsed } from "../../src/domain/Figures.js"
import { RunId } from "../../src/domain/Ids.js"
import { interval } from "../../src/runtime/interval.js"
import { progressLine } from "../../src/runtime/progressLine.js"
import { type Summary, summaryJson } from "../../src/runtime/Summary.js"
import { summaryText } from "../../src/runtime/summaryText.js"
import { RunProgress } from "../../src/store/RunStore.js"

const summary: Summary = {
  runId: RunId.make("run-0001-c0ffee"),
  runState: "completed",
  stoppedReason: null,
  modelRef: "sim/arithmetic",
  simulated: true,
  storePath: ".tau/training/store.sqlite",
  statusPath: ".tau/training/status.json",
  resourcesVersion: 1,
  isSearch: false,
  start: 2,
  total: 60,
  succeeded: 59,
  failed: 1,
  cancelled: 0,
  scores: [{
    mode: "train",
    rollouts: 60,
    succeeded: 59,
    failed: 1,
    n: 60,
    mean: 0.75,
    interval: { low: 0.6277, high: 0.8422, method: "wilson" },
    unscored: null,
    broken: 0
  }],
  broken: [],
  rewards: [{ mode: "train", name: "exact_match", n: 59, mean: 0.1 + 0.2 }],
  calls: 61,
  inputTokens: 12_345,
  outputTokens: 678,
  cost: null,
  elapsedMs: 12_345.6,
  resume: {
    resumed: true,
    finishedBefore: 40,
    requeued: 4,
    unknownCalls: 3,
    crashed: true,
    resumedRollouts: 5,
    callsReplayed: 7,
    tokensSaved: 12_400,
    resourcesVersions: [1, 3],
    checkpointSource: "primary"
  },
  deaths: [],
  rewrites: [
    { rule: 0, component: "system_prompt", matched: 57, missed: 4 },
    { rule: 1, component: "find_description", matched: 0, missed: 61 }
  ],
  failures: [{
    id: "run-0001-c0ffee-train-0007",
    error: "exit code 3\n" + "x".repeat(200),
    rollouts: 1,
    stderrTail: "no such file\n"
  }]
}

const progress = (overrides: object = {}) =>
  new RunProgress({
    state: "running",
    desired: "run",
    total: 200,
    succeeded: 99,
    failed: 1,
    cancelled: 0,
    active: 2,
    meanScore: 0.8312,
    calls: 1_234,
    inputTokens: 1_000_000,
    outputTokens: 500_000,
    ...overrides
  })

describe("Summary", () => {
  it("reads well in 80 columns", () => {
    const lines = summaryText(summary).split("\n")
    assert.deepStrictEqual(lines.filter((line) => line.length > 80), [])
    assert.strictEqual(lines[0], "Run run-0001-c0ffee completed: 59 of 60 rollouts succeeded, 1 failed.")
    assert.include(lines, "  train score     0.750  n=60, 95% [0.628, 0.842] wilson")
    assert.include(lines, "  model           sim/arithmetic  (simulated)")
    assert.include(lines, "                  4 put back, 3 calls ended unknown")
    assert.include(lines, "  rewrite[0]      system_prompt: in place in 57 of 61 calls")
    assert.include(lines, "  rewrite[1]      find_description: its text was found in NONE of 61 calls")
    assert.strictEqual(lines.at(-1), "Note: the model is a simulation: these scores say nothing about a real model.")
  })

  it("reads as well of a run that was stopped", () => {
    const stopped = { runState: "failed" as const, stoppedReason: "completion_timeout", total: 300, failed: 100 }
    assert.deepStrictEqual(summaryText({ ...summary, ...stopped }).split("\n").slice(0, 3), [
      "Run run-0001-c0ffee failed (stopped: completion timeout): 59 of 300 rollouts",
      "succeeded, 100 failed.",
      ""
    ])
  })

  it("says of a search whose version it names: another one may be the latest when it ends", () => {
    assert.include(summaryText(summary), "\n  resources       version 1\n")
    assert.include(summaryText({ ...summary, isSearch: true }), "\n  seed            version 1 of the resources\n")
  })

  it("counts one of a thing as one", () => {
    const one = { finishedBefore: 1, requeued: 1, unknownCalls: 1, callsReplayed: 1 }
    const text = summaryText({ ...summary, resume: { ...summary.resume, ...one } })
    assert.include(
      text,
      "start 2; 1 rollout was finished before,\n                  1 put back, 1 call ended unknown\n"
    )
    assert.include(text, "1 call replayed, ")
  })

  it("says what was taken up again in one line, however many versions of the resources there are", () => {
    const line = (resumedRollouts: number, resourcesVersions: ReadonlyArray<number>) =>
      summaryText({ ...summary, resume: { ...summary.resume, resumedRollouts, resourcesVersions } }).split("\n")
        .find((line) => line.includes("taken up again"))?.trim()
    assert.strictEqual(line(5, [1]), "5 taken up again, under resources version 1")
    assert.strictEqual(line(5, [1, 3]), "5 taken up again, under resources versions 1, 3")
    assert.strictEqual(line(5, [1, 2, 3, 4, 5]), "5 taken up again, under resources versions 1 to 5")
    assert.strictEqual(line(5, [1, 2, 4, 27]), "5 taken up again, under 4 resources versions, 1 to 27")
    assert.strictEqual(line(0, [1, 2, 4, 27]), "none taken up again")
  })

  it("names the field that the examples without a score lack", () => {
    const [score] = summary.scores
    const lines = (mean: number | null, examples: number) =>
      summaryText({ ...summary, scores: [{ ...score!, mean, unscored: { examples, lacking: "field \"expected\"" } }] })
        .split("\n")
    assert.include(
      lines(null, 60),
      "  train score     none: 60 examples not scored: no field \"expected\", and no"
    )
    assert.include(
      lines(0.75, 1),
      "                  1 example not scored: no field \"expected\", and no scoring is set"
    )
  })

  it("says of a mode without a score what broke its rollouts", () => {
    const [score] = summary.scores
    const broken = ["401", "scorer"].map((brokenBy) => ({ mode: "train" as const, brokenBy, rollouts: 1, error: "e" }))
    const lines = summaryText({
      ...summary,
      scores: [{ ...score!, rollouts: 2, mean: null, interval: null, broken: 2 }],
      broken
    })
    assert.include(
      lines,
      "\n  train score     none: 2 of 2 rollouts failed: 1 because its model answered\n"
        + "                  401, 1 because its scorer could not judge\n"
    )
  })

  it("tells a long name of a reward from its mean, and how many rollouts have it", () => {
    const rewards = [{ mode: "train" as const, name: "safety.hard_gate_penalty", n: 2, mean: -1 }]
    assert.include(
      summaryText({ ...summary, rewards }).split("\n"),
      "    safety.hard_gate_penalty  -1.000  mean of the 2 that have it"
    )
  })

  it("tells each failure once, to its end, and where to read on", () => {
    const unreachable = "the model call was answered with 502: the upstream could not be reached "
      + `(http://127.0.0.1:9/${"v1/".repeat(100)}: connect ECONNREFUSED)`
    const failures = [
      { id: "run-0001-c0ffee-train-0001", error: unreachable, rollouts: 4, stderrTail: null },
      { id: "run-0001-c0ffee-train-0003", error: "the agent exited with code 2", rollouts: 1, stderrTail: "" }
    ]
    const lines = summaryText({ ...summary, simulated: false, failed: 5, failures }).split("\n")
    assert.deepStrictEqual(lines.filter((line) => line.length > 80), [])
    const told = lines.slice(lines.indexOf("Failures:") + 1)
    assert.strictEqual(told[0], "  run-0001-c0ffee-train-0001 and 3 more")
    assert.match(told.join("\n"), /^ {4}the model call was answered with 502: .*ECONNREFUSED\)\n/ms)
    assert.deepStrictEqual(told.slice(-3), [
      "  run-0001-c0ffee-train-0003",
      "    the agent exited with code 2",
      "One of them: tau rollout run-0001-c0ffee-train-0001"
    ])
    assert.include(
      summaryText({ ...summary, storePath: "s.sqlite" }),
      "tau rollout run-0001-c0ffee-train-0007 --store s.sqlite\n"
    )
  })

  it.each([
    [
      "Python",
      "loading\nTraceback (most recent call last):\n  File \"a.py\", line 4, in <module>\n    f({})\n"
      + "    ~^^^^\nKeyError: 'missing'\n",
      ["loading", "Traceback (most recent call last):", "KeyError: 'missing'"]
    ],
    [
      "Node",
      "/a.js:1\nthrow new Error('boom')\n      ^\n\nError: boom\n    at Object.<anonymous> (/a.js:1:7)\n\nNode.js v20.20.0\n",
      ["throw new Error('boom')", "Error: boom", "Node.js v20.20.0"]
    ],
    ["a shell", "  x: not found\n", ["x: not found"]],
    ["one that draws", `\u001b[2Jgone\n${"y".repeat(100)}`, ["\\u{1b}[2Jgone", `${"y".repeat(73)}…`]]
  ])("tells what an agent in %s said last, without the frames of its stack", (_, stderrTail, last) => {
    const [failure] = summary.failures
    const text = summaryText({ ...summary, failures: [{ ...failure!, error: "exit code 1", stderrTail }] })
    assert.include(text, ["    exit code 1", ...last.map((line) => `    | ${line}`), "One of them:"].join("\n"))
  })

  it("blames no rule where there were no calls", () => {
    const rewrites = [{ rule: 0, component: "system_prompt", matched: 0, missed: 0 }]
    assert.notInclude(summaryText({ ...summary, rewrites }), "rewrite[0]")
    const one = [{ rule: 0, component: "system_prompt", matched: 0, missed: 1 }]
    assert.include(summaryText({ ...summary, rewrites: one }), "found in NONE of 1 call\n")
  })

  it("says so when no call came through the run's proxy", () => {
    const hint = "none came through the run's proxy"
    assert.include(summaryText({ ...summary, calls: 0, resume: { ...summary.resume, callsReplayed: 0 } }), hint)
    assert.notInclude(summaryText({ ...summary, calls: 0 }), hint)
    assert.notInclude(summaryText(summary), hint)
  })

  it("says what the calls cost as far as anybody knows, and whose price is missing", () => {
    const costLines = (usd: number, unpriced: string | null, unmeteredCalls = 0) =>
      summaryText({ ...summary, cost: { usd, unpriced, unpricedCalls: unpriced === null ? 0 : 12, unmeteredCalls } })
        .split("\n").filter((line) => /^ +(cost|without|say\))/.test(line))
    assert.deepStrictEqual(costLines(1.234, null), ["  cost            about $1.23"])
    assert.deepStrictEqual(costLines(0.00123, null), ["  cost            about $0.0012"])
    assert.deepStrictEqual(costLines(0.0000123, null), ["  cost            about $0.000012"])
    assert.deepStrictEqual(costLines(2, "my\u001B[2Jmodel"), [
      "  cost            at least $2.00",
      "                  without 12 calls that have no price (of my\\u{1b}[2Jmodel,",
      "                  say): see optimizer.prices"
    ])
    const one = { usd: 2, unpriced: "m", unpricedCalls: 1, unmeteredCalls: 0 }
    assert.include(summaryText({ ...summary, cost: one }), "without 1 call that has no price (of m, say): see")
    assert.include(summaryText({ ...summary, inputTokens: 1 }), " 1 token in,")
    assert.deepStrictEqual(costLines(0, "llama3"), [])
    assert.deepStrictEqual(costLines(2, null, 1), [
      "  cost            at least $2.00",
      "                  without 1 call whose answer tells no usage"
    ])
    assert.deepStrictEqual(costLines(0, null, 3), [
      "  cost            unknown",
      "                  without 3 calls whose answers tell no usage"
    ])
    assert.deepStrictEqual(summaryText(summary).match(/^ {2}cost/m), null)
    const json = summaryJson({
      ...summary,
      cost: { usd: 0.1 + 0.2, unpriced: "m", unpricedCalls: 2, unmeteredCalls: 1 }
    })
    assert.deepInclude(JSON.parse(json), { cost: { usd: 0.3, unpriced: "m", unpriced_calls: 2, unmetered_calls: 1 } })
  })

  it("is harmless for a terminal as JSON too, and still what was written", () => {
    const error = "\u009B2J\u202Eevil\u0007"
    const json = summaryJson({ ...summary, failures: [{ id: "r", error, rollouts: 1, stderrTail: null }] })
    assert.match(json, /^[ -~\n]+$/)
    assert.strictEqual((JSON.parse(json) as { failures: ReadonlyArray<{ error: string }> }).failures[0]!.error, error)
  })

  it("is one JSON object with documented names for programs", () => {
    const json = JSON.parse(summaryJson(summary)) as Record<string, unknown>
    assert.deepInclude(json, {
      schema_version: 1,
      run_id: "run-0001-c0ffee",
      run_state: "completed",
      model_ref: "sim/arithmetic",
      simulated: true,
      store_path: ".tau/training/store.sqlite",
      total_rollouts: 60,
      succeeded: 59,
      failed: 1,
      cancelled: 0,
      rewards: [{ mode: "train", name: "exact_match", n: 59, mean: 0.3 }],
      rewrites: summary.rewrites,
      resume: {
        resumed: true,
        finished_before: 40,
        requeued: 4,
        unknown_calls: 3,
        crash_detected: true,
        rollouts_resumed: 5,
        calls_replayed: 7,
        tokens_saved: 12_400,
        resources_versions: [1, 3],
        checkpoint_source: "primary"
      }
    })
    assert.isFalse("note" in (JSON.parse(summaryJson({ ...summary, simulated: false })) as object))
  })
})

describe("interval", () => {
  const of = (scores: ReadonlyArray<number>, n = scores.length) =>
    interval({
      scoreSum: scores.reduce((sum, score) => sum + score, 0),
      scoreSquareSum: scores.reduce((sum, score) => sum + score ** 2, 0),
      partial: scores.filter((score) => score !== 0 && score !== 1).length
    }, n)

  it("is Wilson's for right and wrong answers", () => {
    // Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263, and 0 of 20.
    const large = of(Array.from({ length: 263 }, (_, n) => n < 81 ? 1 : 0))
    assert.closeTo(large!.low, 0.2553, 5e-5)
    assert.closeTo(large!.high, 0.3662, 5e-5)
    const none = of(Array.from({ length: 20 }, () => 0))
    assert.closeTo(none!.high, 0.1611, 5e-5)
    assert.strictEqual(none!.low, 0)
  })

  it("is Student's for graded answers, and counts failures as 0", () => {
    const graded = of([0.2, 0.4, 0.6, 0.8, 0.5, 0.5])!
    // mean 0.5, standard deviation 0.2, t(0.975, 5) = 2.5706
    assert.strictEqual(graded.method, "student-t")
    assert.closeTo(graded.high - 0.5, 2.5706 * 0.2 / Math.sqrt(6), 1e-3)
    assert.isBelow(of([0.9, 0.9], 4)!.low, 0.1)
    assert.isNull(of([0.5]))
  })

  it("does not leave the scale that scores are on", () => {
    assert.deepInclude(of([0.1, 0, 0, 0]), { low: 0, method: "student-t" })
    assert.deepInclude(of([0.9, 1, 1, 1]), { high: 1, method: "student-t" })
  })

  it("takes for a count what rounding alone keeps from being one", () => {
    const exact = of([1, 1, 1])
    for (const scoreSum of [3 - 2 ** -51, 3 + 2 ** -51]) {
      assert.deepStrictEqual(interval({ scoreSum, scoreSquareSum: 3, partial: 0 }, 3), exact)
    }
  })

  it("leaves room for examples that did not show themselves where all scores are the same", () => {
    const equal = of([0.1, 0.1, 0.1, 0.1, 0.1, 0.1])!
    assert.strictEqual(equal.method, "rule-of-three")
    // Those that did not show themselves are at worst 0, and at best 1.
    assert.closeTo(equal.low, 0.1 * 0.025 ** (1 / 6), 1e-9)
    assert.closeTo(equal.high, 0.1 + 0.9 * (1 - 0.025 ** (1 / 6)), 1e-9)
  })
})

describe("progressLine", () => {
  it("fits the terminal, and drops the least important facts first", () => {
    const style = { columns: 80, colours: false }
    assert.strictEqual(
      progressLine(progress(), 65_000, style),
      "[######------] 100/200 rollouts · score 0.831 · 1 failed · 1 min 05 s"
    )
    assert.strictEqual(
      progressLine(progress({ failed: 0 }), 5_000, style),
      "[#####-------] 99/200 rollouts · score 0.831 · 5.0 s · 1.2k calls · 1.5M tokens"
    )
    // A run that was cancelled half way stays there.
    assert.strictEqual(
      progressLine(progress({ cancelled: 100 }), 65_000, style),
      "[######------] 100/200 rollouts · score 0.831 · 1 failed · 100 cancelled"
    )
    assert.isBelow(progressLine(progress({ desired: "pause" }), 65_000, { columns: 40, colours: false }).length, 40)
    assert.include(progressLine(progress(), 0, { columns: 80, colours: true }), "\u001B[32m")
  })

  it("writes times and counts as people do", () => {
    assert.deepStrictEqual([850, 12_345, 245_000, 7_440_000].map(elapsed), [
      "850 ms",
      "12.3 s",
      "4 min 05 s",
      "2 h 04 min"
    ])
    assert.deepStrictEqual([950, 12_345, 999_960, 4_000_000].map(compact), ["950", "12.3k", "1.0M", "4.0M"])
  })
})
