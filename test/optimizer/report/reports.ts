/** A report as a search of three components might leave it. */
import type { ReportedCandidate, SearchReport } from "../../../src/optimizer/report/SearchReport.js"

const candidate = (n: number, more: Partial<ReportedCandidate>): ReportedCandidate => ({
  n,
  parents: [0],
  change: { component: "system_prompt", kind: "edits", edits: [], hypotheses: [] },
  state: "rejected",
  reason: null,
  mean: null,
  examples: 0,
  interval: null,
  resourcesVersion: null,
  rollouts: 20 * n + 12,
  ...more
})

export const report: SearchReport = {
  runId: "run-0007-abc123",
  algorithm: "rgepa",
  randomSeed: 1,
  ended: "rollouts",
  stopped: null,
  configPath: "/work/config.json",
  seed: { system_prompt: "You answer questions.\nBe brief.", tool_note: "Books a room." },
  winner: {
    system_prompt: "You answer questions.\nGive the result as a number, without its unit.\nBe brief.",
    tool_note: "Books a room."
  },
  candidates: [
    candidate(0, {
      parents: [],
      change: null,
      state: "accepted",
      mean: 0.5,
      examples: 12,
      interval: { low: 0.254, high: 0.746 },
      resourcesVersion: 1
    }),
    candidate(1, {
      reason: "screen",
      mean: 0.333,
      examples: 6,
      interval: { low: 0.097, high: 0.7 },
      resourcesVersion: 2
    }),
    candidate(2, {
      state: "accepted",
      mean: 0.667,
      examples: 12,
      interval: { low: 0.391, high: 0.862 },
      resourcesVersion: 3,
      change: {
        component: "system_prompt",
        kind: "edits",
        edits: ["add after \"You answer questions.\": Give the result as a number."],
        hypotheses: ["answers come as sentences where a number is wanted"]
      }
    }),
    candidate(3, {
      parents: [0],
      reason: "parse",
      change: { component: "tool_note", kind: "rewrite", edits: [], hypotheses: [] }
    }),
    candidate(4, {
      parents: [2, 1],
      state: "winner",
      mean: 0.833,
      examples: 12,
      interval: { low: 0.552, high: 0.953 },
      resourcesVersion: 4,
      change: {
        component: "system_prompt",
        kind: "edits",
        edits: ["change \"as a number.\" to \"as a number, without its unit.\""],
        hypotheses: []
      }
    })
  ],
  best: 4,
  incumbents: [
    { rollouts: 12, mean: 0.5, low: 0.254, high: 0.746 },
    { rollouts: 52, mean: 0.667, low: 0.391, high: 0.862 },
    { rollouts: 92, mean: 0.833, low: 0.552, high: 0.953 }
  ],
  budget: {
    rollouts: { spent: 112, limit: 120, gate: 40 },
    reflections: { spent: 5, limit: 40 },
    tokens: { spent: 81_250, limit: null },
    usd: { spent: 0.125, limit: 5, unpriced: null, unpricedCalls: 0, unmeteredCalls: 0 },
    seconds: { spent: 95, limit: null }
  },
  examples: [
    { id: "a", input: "How many apples are left?", seed: 0, winner: 1, feedback: null },
    { id: "b", input: "How long does it take?", seed: 1, winner: 0, feedback: "expected 4, got 5" },
    { id: "c", input: "How much is it?", seed: 0.5, winner: 1, feedback: null },
    { id: "d", input: "How old is she?", seed: 1, winner: 1, feedback: null },
    { id: "e", input: "How far is it?", seed: null, winner: 1, feedback: null }
  ],
  slices: [
    {
      name: "all",
      n: 12,
      seed: { mean: 0.5, low: 0.254, high: 0.746 },
      winner: { mean: 0.833, low: 0.552, high: 0.953 }
    },
    { name: "money", n: 4, seed: { mean: 0.25, low: 0.046, high: 0.699 }, winner: null }
  ],
  troubles: [],
  unanswered: null,
  promotedVersion: null,
  openGate: null,
  gate: {
    decision: "promoted",
    sentence:
      "The new prompt is better: it won 14 of the 16 examples of the gate on which the two differ (p = 0.0042).",
    n: 40,
    wins: 14,
    losses: 2,
    gain: 0.3,
    interval: { low: 0.11, high: 0.49 },
    p: 0.0042,
    test: "exact McNemar, one-sided",
    guardRails: [
      {
        name: "tokens",
        slice: null,
        n: 40,
        incumbent: 812.4,
        candidate: 1_204.1,
        change: 1.4822,
        interval: { low: 1.3, high: null },
        bound: 1.61546,
        state: "unproven"
      },
      {
        name: "slice",
        slice: "money",
        n: 31,
        incumbent: 0.5,
        candidate: 0.75,
        change: 0.25,
        interval: { low: -0.02, high: 0.41 },
        bound: -0.05,
        state: "kept"
      }
    ],
    openingsLeft: 2,
    incumbent: null,
    leftOut: { seen: 0, wornOut: 0 },
    opening: 1
  }
}
