import { assert, describe, it } from "@effect/vitest"
import { Chance } from "../../src/optimizer/Chance.js"
import { gatePlan } from "../../src/optimizer/GatePlan.js"
import { futileBelow, gatePower } from "../../src/optimizer/GatePower.js"
import { defaultGateSettings, type GateSettings } from "../../src/optimizer/GateSettings.js"
import { mcNemar } from "../../src/statistics/McNemar.js"
import { conditionalPower, mcNemarPower } from "../../src/statistics/Power.js"
import { examplesOf, opened, taskOf, type World } from "./gateDriver.js"

/** `npm run bench -- gate` does the same at full length, with more kinds of scores. */
const settings: GateSettings = { ...defaultGateSettings, draws: 199 }

/** Both arms of a pair are drawn at once, so that they can disagree in a set share of the pairs. */
const paired = (seed: number, scores: (uniform: number) => readonly [incumbent: number, candidate: number]): World => {
  const chance = new Chance(seed)
  return (arm, example, sample) => ({
    score: scores(chance.uniform(`${example.id}/${sample}`))[arm === "incumbent" ? 0 : 1]
  })
}

/** The arms disagree in 35 % of the pairs. */
const binary = (gain: number) => (at: number): readonly [number, number] =>
  at < (0.35 + gain) / 2 ? [0, 1] : at < 0.35 ? [1, 0] : at < 0.7 ? [1, 1] : [0, 0]

/** Partial credit in tenths, either way round. */
const rubric = (at: number): readonly [number, number] => {
  const cell = Math.floor(100 * at)
  return [Math.floor(cell / 10) / 10, cell % 10 / 10]
}

/** The share of experiments in which any of the openings promotes. */
const promoted = (
  experiments: number,
  pairs: number,
  openings: number,
  scores: (uniform: number) => readonly [number, number]
): number => {
  const plans = Array.from({ length: openings }, (_, k) => gatePlan(pairs, k + 1, settings))
  const examples = examplesOf(pairs)
  let count = 0
  for (let seed = 1; seed <= experiments; seed += 1) {
    const world = paired(seed, scores)
    const isPromoted = plans.some((plan) =>
      opened(taskOf(pairs, { examples, settings, seed, plan, firstSample: plan.opening }), world).verdict.decision ===
        "promote"
    )
    if (isPromoted) count += 1
  }
  return count / experiments
}

/** The most that so many experiments may show of a true 5 %, 99 times out of 100. */
const limit = (experiments: number) => 0.05 + 2.33 * Math.sqrt(0.05 * 0.95 / experiments)

describe("the gate on candidates whose truth is known", () => {
  it("promotes what is no better in at most 5 of 100 gates, peeking and three openings included", () => {
    const share = promoted(2_000, 40, 3, binary(0))
    assert.isAtMost(share, limit(2_000))
    assert.isAbove(share, 0.002, "so cautious that it would find nothing")
  })

  it("does so with partial credit as well", () => {
    assert.isAtMost(promoted(400, 40, 3, rubric), limit(400))
  })

  it("does so where rare large losses pay for many small wins", () => {
    assert.isAtMost(promoted(400, 60, 1, (at) => at < 0.1 ? [1, 0.1] : [0.4, 0.5]), 0.03)
    assert.isAtMost(promoted(400, 20, 1, (at) => at < 0.05 ? [1, 0.05] : [0.4, 0.45]), 0.03)
  })

  it("finds a gain as often as was stated beforehand, or a little oftener", () => {
    const [stated] = gatePlan(60, 1, settings).power.filter(({ gain }) => gain === 0.2)
    const seen = promoted(600, 60, 1, binary(0.2))
    assert.isAtLeast(seen, stated!.power - 2.33 * Math.sqrt(0.25 / 600))
    assert.isAtMost(seen, stated!.power + 0.03 + 2.33 * Math.sqrt(0.25 / 600))
  })

  it("gives up where the chance to promote is what the settings say, and not before half of the pairs", () => {
    for (const seen of [50, 70, 90]) {
      assert.closeTo(conditionalPower(futileBelow(seen, 100, 0.04, settings), seen / 100, 0.04), 0.1, 1e-9)
    }
    assert.strictEqual(futileBelow(40, 100, 0.04, settings), Number.NEGATIVE_INFINITY)
    assert.strictEqual(futileBelow(100, 100, 0.04, settings), Number.NEGATIVE_INFINITY)
  })

  it("states the exact test's power, less what looking for futility costs", () => {
    for (const pairs of [60, 150]) {
      const test = mcNemarPower({ pairs, discordant: 0.35, difference: 0.15 }, { alpha: 0.04, alternative: "greater" })
      assert.closeTo(gatePower(pairs, 0.04, { ...settings, futilityPower: 0 })(0.15), test, 1e-6)
      const withFutility = gatePower(pairs, 0.04, settings)(0.15)
      assert.isBelow(withFutility, test)
      assert.isAbove(withFutility, test - 0.06)
    }
    // Too many ways to follow: the test's own.
    assert.strictEqual(
      gatePower(700, 0.04, settings)(0.05),
      mcNemarPower({ pairs: 700, discordant: 0.35, difference: 0.05 }, { alpha: 0.04, alternative: "greater" })
    )
  })

  it("states the power of a gate with one look for futility as counting every way through it does", () => {
    const [alpha, gain, discordant, half] = [0.1, 0.3, 0.5, 6]
    /** Every count of wins and losses in half of the pairs, with its chance. */
    const ways = Array.from({ length: half + 1 }, (_, wins) =>
      Array.from({ length: half - wins + 1 }, (_, losses) => {
        const ties = half - wins - losses
        const orders = factorial(half) / factorial(wins) / factorial(losses) / factorial(ties)
        const chance = orders * 0.4 ** wins * 0.1 ** losses * (1 - discordant) ** ties
        return { wins, losses, chance }
      })).flat()
    const futile = futileBelow(half, 2 * half, alpha, settings)
    let power = 0
    for (const one of ways) {
      const z = one.wins + one.losses === 0 ? 0 : (one.wins - one.losses) / Math.sqrt(one.wins + one.losses)
      if (z < futile) continue
      for (const { chance, losses, wins } of ways) {
        const { pValue } = mcNemar(one.wins + wins, one.losses + losses, "greater")
        if (pValue <= alpha) power += one.chance * chance
      }
    }
    const stated = gatePower(2 * half, alpha, { ...settings, blockPairs: half, discordantShare: discordant })(gain)
    assert.closeTo(stated, power, 1e-9)
    const unlooked = gatePower(2 * half, alpha, { ...settings, blockPairs: 13, discordantShare: discordant })(gain)
    assert.isAbove(unlooked, power + 0.001)
  })
})

const factorial = (n: number): number => n < 2 ? 1 : n * factorial(n - 1)
