import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { widthOf } from "../../../src/domain/TerminalText.js"
import { candidatesTable } from "../../../src/optimizer/report/candidatesTable.js"
import { lineageText } from "../../../src/optimizer/report/lineageText.js"
import { scorePlot } from "../../../src/optimizer/report/scorePlot.js"
import { candidatesJson, searchJson } from "../../../src/optimizer/report/searchJson.js"
import { searchProgress } from "../../../src/optimizer/report/searchProgress.js"
import { type SearchReport, winsAndLosses } from "../../../src/optimizer/report/SearchReport.js"
import { searchText } from "../../../src/optimizer/report/searchText.js"
import { report } from "./reports.js"

const oneOf = <const A extends string>(...words: Array<A>): FastCheck.Arbitrary<A> => FastCheck.constantFrom(...words)

const text = FastCheck.oneof(
  FastCheck.fullUnicodeString({ maxLength: 200 }),
  FastCheck.constantFrom(
    "\u001B[31mred",
    "a\u202Eb",
    "]]>&<script>\"'",
    "漢字 ".repeat(60),
    "\r\n\t\u0000",
    "word ".repeat(50)
  )
)
const mean = FastCheck.double({ min: 0, max: 1, noNaN: true })
const score = FastCheck.option(mean)
const bounds = FastCheck.record({ low: mean, high: mean })
const count = FastCheck.nat(100_000)
const spent = FastCheck.record({ spent: count, limit: FastCheck.option(count) })
const texts = FastCheck.dictionary(FastCheck.oneof(FastCheck.constantFrom("system_prompt", "tool"), text), text, {
  maxKeys: 3
})
const slice = FastCheck.option(FastCheck.record({ low: mean, high: mean, mean }))

const candidates = FastCheck.array(
  FastCheck.record({
    parents: FastCheck.array(FastCheck.nat(30), { maxLength: 4 }),
    change: FastCheck.option(FastCheck.record({
      component: text,
      kind: oneOf("edits", "rewrite", "merge", "ablation", "corpus"),
      edits: FastCheck.array(text, { maxLength: 7 }),
      hypotheses: FastCheck.array(text, { maxLength: 4 })
    })),
    state: oneOf("accepted", "rejected", "winner"),
    reason: FastCheck.option(text),
    mean: score,
    examples: count,
    interval: FastCheck.option(bounds),
    resourcesVersion: FastCheck.option(count),
    rollouts: count
  }),
  { maxLength: 30 }
).map((list) => list.map((one, n) => ({ ...one, n })))

const reports: FastCheck.Arbitrary<SearchReport> = FastCheck.record({
  runId: text,
  algorithm: text,
  randomSeed: count,
  ended: FastCheck.option(text),
  stopped: FastCheck.option(text),
  configPath: text,
  seed: texts,
  winner: FastCheck.option(texts),
  candidates,
  best: FastCheck.nat(30),
  incumbents: FastCheck.array(FastCheck.record({ rollouts: count, mean, low: mean, high: mean }), { maxLength: 20 }),
  budget: FastCheck.record({
    rollouts: FastCheck.record({ spent: count, limit: FastCheck.option(count), gate: FastCheck.option(count) }),
    reflections: spent,
    tokens: spent,
    usd: FastCheck.record({
      spent: count,
      limit: FastCheck.option(count),
      unpriced: FastCheck.option(text),
      unpricedCalls: count,
      unmeteredCalls: count
    }),
    seconds: spent
  }),
  examples: FastCheck.array(
    FastCheck.record({ id: text, input: text, seed: score, winner: score, feedback: FastCheck.option(text) }),
    { maxLength: 20 }
  ),
  slices: FastCheck.array(FastCheck.record({ name: text, n: count, seed: slice, winner: slice }), { maxLength: 5 }),
  unanswered: FastCheck.option(text),
  troubles: FastCheck.array(FastCheck.record({ kind: text, n: count, last: text }), { maxLength: 4 }),
  promotedVersion: FastCheck.option(count),
  openGate: FastCheck.option(FastCheck.record({ pairs: count, n: count, wins: count, losses: count })),
  gate: FastCheck.option(FastCheck.record({
    openingsLeft: count,
    leftOut: FastCheck.record({ seen: count, wornOut: count }),
    decision: text,
    sentence: text,
    incumbent: FastCheck.option(count),
    n: count,
    wins: count,
    losses: count,
    gain: score,
    interval: FastCheck.option(bounds),
    p: score,
    test: FastCheck.option(text),
    guardRails: FastCheck.array(
      FastCheck.record({
        name: FastCheck.constantFrom("tokens" as const, "failures" as const, "slice" as const),
        slice: FastCheck.option(text),
        n: count,
        incumbent: mean,
        candidate: mean,
        change: mean,
        interval: FastCheck.record({ low: mean, high: FastCheck.option(mean) }),
        bound: mean,
        state: FastCheck.constantFrom("kept" as const, "unproven" as const, "suspect" as const, "broken" as const)
      }),
      { maxLength: 4 }
    ),
    opening: count
  }))
})

/** Nothing in it but line breaks can move a cursor, and no line is wider than 80 columns. */
const fits = (shown: string) => {
  assert.notMatch(shown.replaceAll("\n", ""), /(?![\u200C\u200D])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u)
  for (const line of shown.split("\n")) assert.isAtMost(widthOf(line), 80, line)
}

const golden = `The new prompt is better: it won 14 of the 16 examples of the gate on which the
two differ (p = 0.0042).

  run           run-0007-abc123
  algorithm     rgepa, random seed 1
  ended         rollouts: the next batch did not fit into the search's 80
  candidates    4 tried, 2 accepted

Winning text
  --- system_prompt, seed
  +++ system_prompt, winner
  @@ -1,2 +1,3 @@
   You answer questions.
  +Give the result as a number, without its unit.
   Be brief.
  tool_note: as in the seed

Lineage
  system_prompt
    2 edits of 0: 0.667 [0.391, 0.862] n=12
      because answers come as sentences where a number is wanted
      add after "You answer questions.": Give the result as a number.
    4 edits of 2 and 1: 0.833 [0.552, 0.953] n=12
      change "as a number." to "as a number, without its unit."

Scores
  examples   n  seed                  winner                  gain
  all       12  0.500 [0.254, 0.746]  0.833 [0.552, 0.953]  +0.333
  money      4  0.250 [0.046, 0.699]  -                          -

Examples, winner against seed
  2 won, 1 lost, 1 alike
  lost  1.000 → 0.000  b  How long does it take?
        expected 4, got 5
  won   0.000 → 1.000  a  How many apples are left?
  won   0.500 → 1.000  c  How much is it?

Cost
  rollouts      112 of 120, of which 40 are kept for the gate
  reflections   5 of 40
  tokens        81.3k
  dollars       0.13 of 5.00
  time          1 min 35 s

Gate
  decision      promoted
  examples      40 of its own: 14 won, 2 lost
  gain          +0.300 [0.110, 0.490]
  p             0.0042 (exact McNemar, one-sided)
  opening       the first of these examples, 2 left

Guard rails, old and new version
          state       old    new  change                  bound
  tokens  unproven    812   1.2k  ×1.48 [1.30, ∞]         ≤ ×1.62
  money   kept      0.500  0.750  +0.250 [-0.020, 0.410]  ≥ -0.050`

describe("searchText", () => {
  it("says first what came of the search, then everything else", () => {
    assert.strictEqual(searchText(report), golden)
  })

  it("has a plain sentence without a gate, too", () => {
    const first = (more: Partial<SearchReport>) =>
      searchText({ ...report, gate: null, ...more }).split("\n\n")[0]!
        .replaceAll("\n", " ")
    const seedOnly = report.candidates.slice(0, 1)
    assert.strictEqual(
      first({}),
      "Candidate 4 scores 0.833, the seed 0.500, over 12 examples that the search saw: no gate has judged it."
    )
    assert.strictEqual(
      first({ candidates: seedOnly }),
      "No better text was found than the seed, which scores 0.500 over 12 examples and stays as it is."
    )
    assert.strictEqual(
      first({ ended: null }),
      "The search is under way; candidate 4 scores 0.833, the seed 0.500, over 12 examples."
    )
    assert.strictEqual(
      first({ ended: null, stopped: "completion_timeout" }).replaceAll("\n", " "),
      "The search stopped before its end; candidate 4 scores 0.833, the seed 0.500, over 12 examples. "
        + "Its time was up; running /work/config.json again continues it."
    )
    assert.strictEqual(
      first({ candidates: seedOnly, unanswered: "the reflection model answered 500" }).replaceAll("\n", " "),
      "No reflection was answered, so that nothing but the seed was looked at: the reflection model answered 500."
    )
    assert.strictEqual(
      first({ ended: null, stopped: "paused" }).replaceAll("\n", " "),
      "The search is paused; candidate 4 scores 0.833, the seed 0.500, over 12 examples. "
        + "It was told to pause; tau --prompt-optimization-control-resume continues it."
    )
    assert.include(searchText({ ...report, ended: null, stopped: "paused" }), "  ended         not yet, and paused\n")
    const undecided = report.candidates.map((candidate) => ({ ...candidate, state: "accepted" as const }))
    assert.strictEqual(
      first({ ended: null, candidates: undecided, winner: null }),
      "The search is under way; candidate 4 scores 0.833, the seed 0.500, over 12 examples."
    )
    assert.match(searchText({ ...report, ended: null, winner: null }), /^ {2}examples +n +seed +best so far +gain$/m)
    assert.strictEqual(
      first({ ended: null, candidates: undecided, best: 0 }),
      "The search is under way; nothing is better than the seed yet, which scores 0.500 over 12 examples."
    )
    assert.strictEqual(
      first({ ended: null, openGate: { pairs: 40, n: 20, wins: 7, losses: 1 } }),
      "The search has ended and its gate is open: 20 of 40 pairs, 7 won, 1 lost."
    )
    assert.strictEqual(
      first({ candidates: [] }),
      "The search ended before the seed was scored on all selection examples."
    )
  })

  it("says in its line what helps where no call told its usage", () => {
    assert.include(
      searchText({ ...report, ended: "unmetered" }),
      "\n  ended         unmetered: no call told its usage; a stream has to be asked\n"
    )
  })

  it("gives no sum of dollars where nobody says what a model costs", () => {
    const cost = (spent: number) => {
      const usd = { spent, limit: 5, unpriced: "my-model", unpricedCalls: 12, unmeteredCalls: 1 }
      return /dollars.*\n.*\n.*\n.*/.exec(searchText({ ...report, budget: { ...report.budget, usd } }))?.[0]
    }
    // The calls are of all models without a price, of which one is named.
    const why = [
      "without 12 calls that have no price (of my-model, say): see",
      "optimizer.prices",
      "without 1 call whose answer tells no usage"
    ].map((line) => `\n${" ".repeat(16)}${line}`).join("")
    assert.strictEqual(cost(0), `dollars       unknown of 5.00${why}`)
    assert.strictEqual(cost(0.5), `dollars       at least 0.50 of 5.00${why}`)
    const usd = { ...report.budget.usd, unpriced: "my-model", unpricedCalls: 12 }
    assert.include(
      searchText({ ...report, ended: "usd", budget: { ...report.budget, usd } }),
      "\n  ended         usd: max_usd cannot be kept where a price is unknown\n"
    )
  })

  it("shows ten examples and counts the others", () => {
    const examples = Array.from({ length: 14 }, (_, n) => ({ ...report.examples[0]!, id: `example ${n}` }))
    const lines = searchText({ ...report, examples }).split("\n")
    assert.lengthOf(lines.filter((line) => line.startsWith("  won ")), 10)
    assert.include(lines, "  and 4 more that differ")
  })
})

describe("candidatesTable", () => {
  it("has a line for each candidate", () => {
    assert.strictEqual(
      candidatesTable(report),
      `#  from   mean  95 %             n  v  at  state             change
0        0.500  [0.254, 0.746]  12  1  12  accepted          seed
1  0     0.333  [0.097, 0.700]   6  2  32  rejected: screen  edits system_prompt
2  0     0.667  [0.391, 0.862]  12  3  52  accepted          edits system_prompt
3  0         -  -                0  -  72  rejected: parse   rewrite tool_note
4  2,1   0.833  [0.552, 0.953]  12  4  92  winner            edits system_prompt`
    )
  })
})

describe("lineageText", () => {
  it("is a tree of first parents that names the others", () => {
    assert.strictEqual(
      lineageText(report),
      `0 seed  0.500 n=12  accepted
├─ 1 edits of system_prompt  0.333 n=6  rejected: screen
├─ 2 edits of system_prompt  0.667 n=12  accepted
│  └─ 4 edits of system_prompt  0.833 n=12  winner  (also from 1)
└─ 3 rewrite of tool_note  rejected: parse`
    )
  })

  it("draws lines of descent that are long, and those of which the beginning is missing", () => {
    const chain = Array.from(
      { length: 500 },
      (_, n) => ({ ...report.candidates[2]!, n, parents: n === 0 ? [7] : [n - 1] })
    )
    const lines = lineageText({ candidates: chain }).split("\n")
    assert.lengthOf(lines, 500)
    assert.match(lines.at(-1)!, /^ *\(499 deep\) 499 edits/)
  })

  it.prop("has each candidate once", [candidates], ([list]) => {
    assert.lengthOf(lineageText({ candidates: list }).split("\n"), Math.max(1, list.length))
  })
})

describe("winsAndLosses", () => {
  it.prop("counts each example that both were run on once, and mirrors itself", [reports], ([{ examples }]) => {
    const { losses, ties, wins } = winsAndLosses({ examples })
    const both = examples.filter(({ seed, winner }) => seed !== null && winner !== null)
    assert.strictEqual(wins.length + losses.length + ties, both.length)
    const turned = winsAndLosses({ examples: examples.map((one) => ({ ...one, seed: one.winner, winner: one.seed })) })
    assert.deepStrictEqual([turned.wins.length, turned.losses.length], [losses.length, wins.length])
    for (const { seed, winner } of wins) assert.isAbove(winner, seed)
  })
})

describe("searchText", () => {
  it("says of a seed that is still scored that it is, above the mean so far", () => {
    const seed = { ...report.candidates[0]!, mean: null, interval: null }
    const begun = { ...report, candidates: [seed], best: 0, winner: null, gate: null, openGate: null, ended: null }
    const [told] = searchText({ ...begun, stopped: null }).split("\n\n")
    assert.strictEqual(
      told!.replaceAll("\n", " "),
      "The search is under way; the seed is not scored yet on all selection examples."
    )
  })
})

describe("searchProgress", () => {
  const progress = {
    best: 0.812,
    low: 0.701,
    high: 0.89,
    tried: 14,
    accepted: 3,
    gate: null,
    rolloutsEnded: 412,
    rolloutsFailed: 0,
    rolloutsMax: 600,
    otherBudgets: [],
    secondsLeft: 245
  }

  it("is one line, which says that rollouts fail also before anything has a score", () => {
    assert.strictEqual(
      searchProgress(progress),
      "best 0.812 [0.701, 0.890] · 14 tried, 3 accepted · 412/600 rollouts · 4 min left"
    )
    assert.strictEqual(
      searchProgress({ ...progress, secondsLeft: 7_500 }, 100),
      "best 0.812 [0.701, 0.890] · 14 tried, 3 accepted · 412/600 rollouts · 2 h 5 min left"
    )
    assert.strictEqual(
      searchProgress({ ...progress, best: null, low: null, high: null, rolloutsFailed: 47 }),
      "no score yet · 14 tried, 3 accepted · 412/600 rollouts · 47 failed · 4 min left"
    )
    assert.strictEqual(
      searchProgress({ ...progress, otherBudgets: ["$1.20/$5"] }, 100),
      "best 0.812 [0.701, 0.890] · 14 tried, 3 accepted · 412/600 rollouts · $1.20/$5 · 4 min left"
    )
    assert.strictEqual(
      searchProgress({ ...progress, gate: { pairs: 40, n: 20, wins: 7, losses: 1 }, secondsLeft: null }, 100),
      "best 0.812 [0.701, 0.890] · gate: 20 of 40 pairs, 7 won, 1 lost · 412/600 rollouts"
    )
  })

  it.prop("fits, however large its figures", [
    count,
    count,
    count,
    FastCheck.double({ noNaN: true }),
    FastCheck.integer({ min: 1, max: 120 })
  ], (
    [tried, accepted, rolloutsMax, secondsLeft, columns]
  ) => {
    const line = searchProgress({ ...progress, tried, accepted, rolloutsMax, secondsLeft }, columns)
    assert.isAtMost(widthOf(line), columns)
    assert.notInclude(line, "\n")
  })
})

describe("scorePlot", () => {
  it("draws the best score in steps, with its interval", () => {
    const svg = scorePlot(report)
    assert.include(svg, `<polyline points="120,175 320,175 320,133.25 520,133.25 520,91.75 620,91.75" class="best"/>`)
    assert.include(svg, "prefers-color-scheme:dark")
    assert.include(svg, ">run run-0007-abc123: 0.833 [0.552, 0.953] after 92 rollouts, by candidate 4</text>")
    assert.include(scorePlot({ ...report, incumbents: [] }), "nothing was scored")
  })
})

describe("any report", () => {
  it.prop("fits 80 columns and moves no cursor", [reports], ([any]) => {
    fits(searchText(any))
    fits(candidatesTable(any))
    fits(lineageText(any))
  })

  it.prop("is JSON with the same figures", [reports], ([any]) => {
    const shown = searchJson(any)
    assert.notMatch(shown.replaceAll("\n", ""), /(?![\u200C\u200D])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u)
    const read = JSON.parse(shown)
    assert.strictEqual(read.schema_version, 1)
    assert.deepStrictEqual(read.examples.wins, winsAndLosses(any).wins.length)
    assert.lengthOf(read.candidates, any.candidates.length)
    assert.deepStrictEqual(JSON.parse(candidatesJson(any)).candidates, read.candidates)
    // Names of components are the config's own.
    JSON.stringify({ ...read, seed: null, winner: null }, (name, value: unknown) => {
      assert.match(name, /^[a-z0-9_]*$/)
      return value
    })
  })

  it.prop("is an SVG in which no text is markup", [reports], ([any]) => {
    const svg = scorePlot(any)
    assert.notMatch(svg.replaceAll("\n", ""), /[\p{Cc}\p{Cs}]/u)
    assert.notInclude(svg, "<script")
    const bare = svg.replaceAll(
      /<\/?(?:svg|title|style|rect|text|line|polygon|polyline|circle)(?: [\w-]+="[^"<>]*")*\/?>/g,
      ""
    )
    assert.notMatch(bare.replaceAll(/&(?:amp|lt|gt|quot);/g, ""), /[<>&]/)
    assert.notMatch(svg, /NaN|Infinity|undefined/)
  })
})
