import { describe, expect, it } from "@effect/vitest"
import { commandNamed } from "../../src/cli/commands.js"
import { drillJson, type DrillReport, drillText } from "../../src/cli/DrillReport.js"

const kill = {
  n: 1,
  pid: 4711,
  runId: "run-0001-c0ffee",
  phase: "working: 2 rollouts, 1 call under way",
  recoveredInMs: 640.4,
  requeued: 2,
  unknownCalls: 1,
  breaches: []
}
const report: DrillReport = {
  runId: "m24-recovery-20261125-220000",
  seed: 1,
  storePath: "store.sqlite",
  evidencePath: "evidence",
  artifactPath: null,
  passed: false,
  result: {
    kills: [
      kill,
      { ...kill, n: 2, recoveredInMs: null, requeued: null, unknownCalls: null },
      { ...kill, n: 3, breaches: [{ invariant: "I8", what: "one success", ids: ["run-0001-c0ffee-train-0002"] }] }
    ],
    breaches: [],
    checks: 6,
    totals: {
      runs: 1,
      starts: 4,
      rollouts: 8,
      succeeded: 8,
      failed: 0,
      attempts: 12,
      calls: 30,
      callsUnknown: 2,
      callsReplayed: 3,
      tokensSaved: 99
    },
    exit: 0,
    stdout: ""
  }
}

describe("the report of a drill", () => {
  it("names what broke, after which kill, by the ids of its rows", () => {
    const text = drillText(report)
    expect(text).toContain("FAILED: m24-recovery-20261125-220000, seed 1, 3 kills, 6 checks of the store")
    expect(text).toContain("BROKEN    kill 3: I8 (one success): run-0001-c0ffee-train-0002")
    expect(text).toMatch(/^ {3}1 {2}working: 2 rollouts, 1 call under way +640 ms +2 +1 {2}hold$/m)
    expect(text).toMatch(/^ {3}2 .* killed again +- +- {2}hold$/m)
    expect(text).toMatch(/^ {3}3 .* BROKEN I8$/m)
    expect(text).toContain("p50 640 ms, longest 640 ms, over 2 recoveries")
    expect(text).toContain("3 replayed (99 tokens saved)")
  })

  it("counts one as one", () => {
    const { result } = report
    const one = drillText({
      ...report,
      result: { ...result, checks: 1, totals: { ...result.totals, attempts: 1, runs: 1 } }
    })
    expect(one).toContain("3 kills, 1 check of the store")
    expect(one).toContain("in 1 attempt of 1 run\n")
  })

  it("says the same as JSON", () => {
    expect(JSON.parse(drillJson(report))).toMatchObject({
      schema_version: 1,
      verdict: "failed",
      artifact_path: null,
      recovery_ms: { n: 2, p50: 640, max: 640 },
      kills: [{ n: 1, recovered_in_ms: 640 }, { recovered_in_ms: null }, {
        broken: [{ invariant: "I8", ids: ["run-0001-c0ffee-train-0002"] }]
      }]
    })
  })
})

describe("the arguments of tau drill", () => {
  const read = (...args: ReadonlyArray<string>) => commandNamed("drill")!.parse(args, {}).input

  it("has four rollouts for each kill, and no fewer than 16", () => {
    expect(read()).toMatchObject({ kills: 20, seed: 1, rollouts: 80, own: null, stateDir: null })
    expect(read("--kills=1")).toMatchObject({ rollouts: 16 })
  })

  it.each([
    [["--config=a.json"], "--config and --model go together"],
    [["--model=sim/arithmetic"], "--config and --model go together"],
    [["--config=a.json", "--model=sim/arithmetic", "--rollouts=2"], "--rollouts is for the simulated run"],
    [["--kills=0"], "--kills: expected a whole number of kills from 1 to 10000"]
  ])("%j is a mistake", (args, message) => {
    expect(() => read(...args)).toThrow(message)
  })
})
