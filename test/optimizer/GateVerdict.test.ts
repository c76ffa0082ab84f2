import { assert, describe, it } from "@effect/vitest"
import { gatePlan, validateNeeded } from "../../src/optimizer/GatePlan.js"
import { gatePower } from "../../src/optimizer/GatePower.js"
import { defaultGateSettings } from "../../src/optimizer/GateSettings.js"
import { guardedSlices, guardRails } from "../../src/optimizer/GuardRails.js"
import { mcNemar } from "../../src/statistics/McNemar.js"
import { examplesOf, opened, taskOf, type World } from "./gateDriver.js"

const numberOf = ({ id }: { readonly id: string }) => Number(id.split("-")[1])
const toTheEnd = { futilityPower: 0, peekingShare: 0.001, draws: 199 }
const verdictOf = (pairs: number, world: World, settings = {}) =>
  opened(taskOf(pairs, { settings: { ...toTheEnd, ...settings } }), world).verdict

describe("the verdict of a gate", () => {
  it("counts losses against wins, and has its bounds at the level of the whole gate", () => {
    // Nine wins, three losses.
    const world: World = (arm, example) => {
      const n = numberOf(example)
      return { score: n < 9 ? (arm === "candidate" ? 1 : 0) : n < 12 ? (arm === "incumbent" ? 1 : 0) : 1 }
    }
    const verdict = verdictOf(30, world, { alpha: 0.1 })
    assert.deepStrictEqual([verdict.wins, verdict.losses, verdict.ties], [9, 3, 18])
    const { midPValue, pValue } = mcNemar(9, 3, "greater")
    assert.deepStrictEqual(verdict.test, { method: "exact McNemar", p: pValue, midP: midPValue })
    assert.strictEqual(verdict.interval!.level, 0.9)
    assert.isAtMost(verdict.evidence.last, verdict.evidence.max)
    assert.isNull(verdict.conditionalPower)
  })

  it("tells how the evidence stood at the end, besides the most there was", () => {
    const orders = Array.from({ length: 8 }, (_, seed) =>
      opened(
        taskOf(20, { seed, settings: toTheEnd }),
        (arm, example) => ({ score: (numberOf(example) % 2 === 0) === (arm === "candidate") ? 1 : 0 })
      ).verdict.evidence)
    assert.isTrue(orders.some(({ last, max }) => last < max))
  })

  it("tests by sign flips wherever a score of either arm is neither 0 nor 1, all of them for up to 14 differences", () => {
    const graded = (differing: number): World => (arm, example) => ({
      score: arm === "candidate" ? 1 : numberOf(example) < differing ? 0.5 : 1
    })
    assert.strictEqual(verdictOf(20, graded(14)).test!.method, "sign flips, all counted")
    assert.strictEqual(verdictOf(20, graded(15)).test!.method, "sign flips, drawn")
  })

  it("adds up the tokens of all samples", () => {
    const { candidate, incumbent } = verdictOf(
      20,
      (arm) => ({ score: 1, tokens: arm === "candidate" ? 110 : 100 }),
      { samples: 3 }
    )
    assert.deepStrictEqual([incumbent!.tokens, candidate!.tokens], [6_000, 6_600])
    assert.closeTo(candidate!.tokensPerRollout, 110, 1e-9)
  })
})

describe("a guard rail", () => {
  const arm = (score: number, failureRate: number, tokensPerRollout: number) => ({
    score,
    failureRate,
    tokensPerRollout
  })
  const pairsOf = (n: number, candidate: (at: number) => ReturnType<typeof arm>, incumbent = arm(1, 0, 100)) =>
    Array.from({ length: n }, (_, at) => ({
      exampleId: `example-${at}`,
      incumbent,
      candidate: candidate(at),
      difference: candidate(at).score - incumbent.score
    }))
  const settings = { ...defaultGateSettings, draws: 199 }
  const railOf = (name: string, pairs: ReturnType<typeof pairsOf>, slices = new Map<string, ReadonlySet<string>>()) =>
    guardRails(pairs, slices, settings, 1).find((rail) => rail.name === name)!

  it("is suspect where the change is out of bounds and may be luck, and broken where it is more than that", () => {
    const failing = (n: number, often: number) =>
      railOf("failures", pairsOf(n, (at) => arm(1, at < often ? 1 : 0, 100))).state
    assert.strictEqual(failing(20, 1), "suspect")
    assert.strictEqual(failing(100, 20), "broken")
    const dear = (first: number, others: number) =>
      railOf("tokens", pairsOf(10, (at) => arm(1, 0, at === 0 ? first : others), arm(1, 0, 10_000))).state
    assert.deepStrictEqual([dear(60_000, 8_000), dear(13_100, 13_000)], ["suspect", "broken"])
  })

  it("has bounds with its alpha on either side", () => {
    const rail = railOf("failures", pairsOf(100, (at) => arm(1, at < 10 ? 1 : 0, 100)))
    const wide = guardRails(
      pairsOf(100, (at) => arm(1, at < 10 ? 1 : 0, 100)),
      new Map(),
      { ...settings, guardRails: { ...settings.guardRails, alpha: 0.025 } },
      1
    ).find(({ name }) => name === "failures")!
    assert.closeTo(rail.interval.low, 0.0551, 5e-3)
    assert.isBelow(wide.interval.low, rail.interval.low)
  })

  it("has no upper bound where nothing bounds it", () => {
    const pairs = pairsOf(4, (at) => arm(1, 0, at === 0 ? 1_000 : 1)).map((pair, at) =>
      at === 1 ? { ...pair, incumbent: arm(1, 0, 900) } : { ...pair, incumbent: arm(1, 0, 0) }
    )
    assert.isNull(railOf("tokens", pairs).interval.high)
  })

  it("is put up for slices that are large enough, in the order of their names", () => {
    const ids = examplesOf(7).map(({ id }) => id)
    const slices = new Map(ids.map((id, at) => [id, at < 3 ? ["b", "all"] : at < 5 ? ["c", "all"] : ["all"]] as const))
    assert.deepStrictEqual([...guardedSlices(slices, ids, 3).keys()], ["all", "b"])
  })
})

describe("what a gate can find", () => {
  it("is found at the level of its test, and needs so many examples of validate", () => {
    const plan = gatePlan(60, 1, defaultGateSettings)
    const powerOf = gatePower(60, plan.alpha.test, defaultGateSettings)
    for (const { gain, power } of plan.power) assert.strictEqual(power, powerOf(gain))
    assert.strictEqual(validateNeeded(defaultGateSettings), 168)
    // No fewer pairs can disagree than a gain of 20 points takes.
    const [least, fewer] = [0.2, 0.1].map((discordantShare) =>
      validateNeeded({ ...defaultGateSettings, discordantShare })
    )
    assert.strictEqual(fewer, least)
  })
})
