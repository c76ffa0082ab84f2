import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { Chance } from "../../src/optimizer/Chance.js"
import { Conductor } from "../../src/optimizer/Conductor.js"
import { gate } from "../../src/optimizer/Gate.js"
import { gatePlan } from "../../src/optimizer/GatePlan.js"
import { defaultGateSettings } from "../../src/optimizer/GateSettings.js"
import { guardRails } from "../../src/optimizer/GuardRails.js"
import { type Ask, type SearchEvent, SearchStopped } from "../../src/optimizer/Search.js"
import {
  answered,
  candidate,
  evaluationsIn,
  examplesOf,
  incumbent,
  opened,
  outcomeOf,
  taskOf,
  type World
} from "./gateDriver.js"

const numberOf = ({ id }: { readonly id: string }) => Number(id.split("-")[1])

/** The candidate gets right what the incumbent gets wrong on every n-th example, and never the other way round. */
const betterOnEvery = (n: number): World => (arm, example) => ({
  score: numberOf(example) % n === 0 ? (arm === "candidate" ? 1 : 0) : 1
})
/** Heads or tails for either arm. */
const noBetter = (seed: number): World => (arm, example, sample) => ({
  score: new Chance(seed).uniform(`${arm}/${example.id}/${sample}`) < 0.5 ? 1 : 0
})

describe("the promotion gate", () => {
  it("promotes a clear win before the planned end, with bounds that hold at any stop", () => {
    const { batches, verdict } = opened(taskOf(100), betterOnEvery(2))
    assert.strictEqual(verdict.decision, "promote")
    assert.isBelow(verdict.n, 60)
    assert.strictEqual(batches.length, verdict.n / 10)
    assert.isAtLeast(verdict.evidence.max, verdict.plan.evidenceNeeded)
    assert.isAtMost(verdict.evidence.enoughAt!, verdict.n)
    assert.strictEqual(verdict.interval!.method, "confidence sequence")
    assert.isAbove(verdict.interval!.low, 0)
    assert.strictEqual(verdict.test!.p, null)
    assert.match(
      verdict.reason,
      /^better by \+\d+\.\d points \[.*\] on \d+ pairs, \d+ wins and 0 losses: clear enough to end/
    )
  })

  it("says at which pair the evidence was enough, and ends with the block of that pair, unless it is the last", () => {
    const always: World = (arm) => ({ score: arm === "candidate" ? 1 : 0 })
    const early = opened(taskOf(100), always).verdict
    assert.deepStrictEqual([early.n, early.evidence.enoughAt, early.test!.p], [20, 11, null])
    const last = opened(taskOf(20), always).verdict
    assert.deepStrictEqual([last.n, last.evidence.enoughAt], [20, 11])
    assert.closeTo(last.test!.p!, 2 ** -20, 1e-12)
    assert.strictEqual(last.interval!.method, "Newcombe 1998, method 10")
  })

  it("notes its opening, how it stands after every block but the last, and what it decides", () => {
    const { events, verdict } = opened(taskOf(25, { opening: 2 }), betterOnEvery(5))
    assert.deepStrictEqual(events.slice(0, 3), [
      { type: "gate_opened", candidate, pairs: 25, opening: 2, alpha: verdict.plan.alpha.opening },
      { ...events[1], type: "gate_looked", n: 10, wins: 2, losses: 0, gain: 0.2 } as SearchEvent,
      { ...events[2], type: "gate_looked", n: 20, wins: 4, losses: 0, gain: 0.2 } as SearchEvent
    ])
    const { decision, reason } = verdict
    assert.deepStrictEqual(events.slice(3), [
      { type: "gate_decided", candidate, n: 25, wins: 5, losses: 0, gain: 0.2, decision, reason }
    ])
    const same = opened(taskOf(20, { candidate: incumbent }), betterOnEvery(5))
    assert.deepStrictEqual(same.events.map(({ type }) => type), ["gate_decided"])
  })

  it("promotes a smaller gain at the planned end by the exact test", () => {
    const { verdict } = opened(taskOf(100), betterOnEvery(10))
    assert.strictEqual(verdict.decision, "promote")
    assert.deepStrictEqual([verdict.n, verdict.wins, verdict.losses, verdict.ties], [100, 10, 0, 90])
    assert.strictEqual(verdict.test!.method, "exact McNemar")
    assert.closeTo(verdict.test!.p!, 2 ** -10, 1e-12)
    assert.strictEqual(verdict.interval!.method, "Newcombe 1998, method 10")
    assert.closeTo(verdict.gain!, 0.1, 1e-12)
    assert.strictEqual(verdict.evidence.enoughAt, null)
    assert.strictEqual(verdict.candidate!.meanScore, 1)
    assert.strictEqual(verdict.incumbent!.tokens, 10_000)
    assert.strictEqual(verdict.pairs.length, 100)
  })

  it("rejects, or gives up on, what is worse or no better", () => {
    const worse = opened(
      taskOf(100),
      (arm, example) => ({ score: arm === "candidate" && numberOf(example) % 3 === 0 ? 0 : 1 })
    )
    assert.strictEqual(worse.verdict.decision, "futile")
    assert.strictEqual(worse.verdict.n, 50)
    assert.isBelow(worse.verdict.conditionalPower!, 0.1)
    const same = opened(taskOf(100, { settings: { futilityPower: 0 } }), () => ({ score: 1 }))
    assert.strictEqual(same.verdict.decision, "reject")
    assert.strictEqual(same.verdict.test!.p, 1)
    assert.match(same.verdict.reason, /^no gain is shown: \+0\.0 points .* \(p = 1\.0, at most 0\.024 needed\)$/)
  })

  it("does not promote small equal wins that one unseen loss could take back", () => {
    const { verdict } = opened(taskOf(20), (arm) => ({ score: arm === "candidate" ? 0.45 : 0.4 }))
    assert.strictEqual(verdict.decision, "reject")
    assert.isBelow(verdict.test!.p!, 0.001)
    assert.match(
      verdict.reason,
      /^no gain is shown: \+5\.0 points .* at most 0\.024 needed, but the bounds at that level hold 0\)$/
    )
    const large = opened(taskOf(20), (arm) => ({ score: arm === "candidate" ? 0.75 : 0.4 }))
    assert.strictEqual(large.verdict.decision, "promote")
  })

  it("holds the bounds of unequal scores against the level of the test, on the one side that counts", () => {
    const world: World = (arm, example) => {
      const n = numberOf(example)
      if (arm === "incumbent" || n > 14) return { score: n === 14 ? 0.8 : 0.4 }
      return { score: n === 14 ? 0.6 : 0.42 + 0.02 * (n % 8) }
    }
    for (const seed of [1, 2, 3]) {
      const { verdict } = opened(taskOf(20, { seed, settings: { futilityPower: 0 } }), world)
      assert.strictEqual(verdict.decision, "promote", verdict.reason)
    }
  })

  it("asks both arms for fresh samples of each example, side by side, ten pairs at a time", () => {
    const { batches } = opened(taskOf(25, { firstSample: 7, settings: { samples: 2 } }), betterOnEvery(5))
    assert.deepStrictEqual(batches.map((batch) => batch.length), [40, 40, 20])
    for (const batch of batches) {
      for (let at = 0; at < batch.length; at += 2) {
        const [one, other] = [batch[at]!, batch[at + 1]!]
        assert.strictEqual(one.split, "gate")
        assert.deepStrictEqual(one.examples, other.examples)
        assert.strictEqual(one.sample, other.sample)
        assert.isTrue(one.sample === 7 || one.sample === 8)
        assert.sameDeepMembers([one.texts, other.texts], [incumbent, candidate])
      }
    }
    const first = batches.flatMap((batch) => batch.filter((_, at) => at % 2 === 0).map(({ texts }) => texts))
    assert.isAbove(first.filter((texts) => texts === incumbent).length, 10, "one arm always goes first")
    assert.isAbove(first.filter((texts) => texts === candidate).length, 10, "one arm always goes first")
  })

  it("averages the samples of an example before it counts it", () => {
    const world: World = (arm, example, sample) => ({
      score: arm === "candidate" && (numberOf(example) % 2 === 0 || sample === 100) ? 1 : 0
    })
    const { verdict } = opened(taskOf(20, { settings: { samples: 2, draws: 999 } }), world)
    assert.sameDeepMembers([...new Set(verdict.pairs.map(({ difference }) => difference))], [1, 0.5])
    assert.match(verdict.test!.method, /^sign flips/)
    assert.closeTo(verdict.gain!, verdict.pairs.reduce((sum, pair) => sum + pair.difference, 0) / verdict.n, 1e-12)
  })

  it("gives the same verdict to the same answers, in whatever order the config has the examples", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.shuffledSubarray([...examplesOf(60)], { minLength: 60 }),
        (seed, shuffled) => {
          const settings = { draws: 199 }
          const one = opened(taskOf(60, { seed, settings }), noBetter(seed))
          const other = opened(taskOf(60, { seed, settings, examples: shuffled }), noBetter(seed))
          assert.deepStrictEqual(other.batches, one.batches)
          assert.deepStrictEqual(other.verdict, one.verdict)
          assert.deepStrictEqual(JSON.parse(JSON.stringify(one.verdict)), one.verdict)
        }
      ),
      { numRuns: 20 }
    )
  })

  it("never promotes when the budget ends it, however well it stands", () => {
    for (const rolloutsMax of [0, 19, 20, 45, 60]) {
      const task = taskOf(100, { settings: { minRewardDelta: 1 } })
      const conductor = new Conductor(gate(task), { rolloutsMax, reflectionsMax: 0, stallMax: 40 })
      let turn = conductor.begin()
      while (!turn.done) {
        const outcomes = new Map(
          turn.work.rollouts.map(({ example, key, sample, split, texts }) => [
            key,
            outcomeOf(
              { _tag: "Evaluate", examples: [example], sample, split, texts, withTraces: false },
              example,
              (arm) => ({ score: arm === "candidate" ? 0.9 : 0 })
            )
          ])
        )
        turn = conductor.resume({ outcomes, reflections: [], traces: new Map() })
      }
      const pairs = 10 * Math.floor(rolloutsMax / 20)
      assert.strictEqual(turn.value.decision, "reject")
      assert.strictEqual(
        turn.value.reason,
        `the budget ended the gate after ${pairs} of 100 pairs: 20 more rollouts would exceed the budget of ${rolloutsMax}`
      )
      assert.strictEqual(turn.value.n, pairs)
      assert.isAtMost(conductor.spent.rollouts, rolloutsMax)
    }
  })

  it("lets any other failure through", () => {
    const steps = gate(taskOf(20))
    steps.next()
    assert.throws(() => steps.throw(new Error("disk full")), "disk full")
    const stopped = gate(taskOf(20))
    stopped.next()
    const last = stopped.throw(new SearchStopped("usd", "5 dollars are spent"))
    assert.deepStrictEqual([last.done, evaluationsIn(last.value as ReadonlyArray<Ask>)], [false, []])
    assert.strictEqual(stopped.next([null]).done, true)
  })

  it("runs nothing for a candidate that is the incumbent, or when there is nothing to test on", () => {
    const same = opened(taskOf(60, { candidate: { ...incumbent } }), noBetter(1))
    assert.strictEqual(same.verdict.decision, "identical")
    assert.deepStrictEqual(same.batches, [])
    const few = opened(taskOf(0), noBetter(1))
    assert.strictEqual(few.verdict.decision, "not_testable")
    assert.strictEqual(few.verdict.reason, "not testable: the gate has no examples")
    assert.deepStrictEqual([few.verdict.gain, few.verdict.interval, few.verdict.test], [null, null, null])
    assert.deepStrictEqual(few.batches, [])
  })

  it("asks for new examples once these were used too often", () => {
    const { batches, verdict } = opened(taskOf(60, { opening: 4 }), betterOnEvery(1))
    assert.strictEqual(verdict.decision, "not_testable")
    assert.match(verdict.reason, /were used 3 times.*at a level of 0\.0019: add new examples/)
    assert.deepStrictEqual(batches, [])
    assert.strictEqual(opened(taskOf(60, { opening: 3 }), betterOnEvery(1)).verdict.decision, "promote")
    // No examples help where alpha itself is too small for any test.
    const { reason } = opened(taskOf(60, { settings: { alpha: 0.003 } }), betterOnEvery(1)).verdict
    assert.match(reason, /^gate\.alpha leaves a first test a level of 0\.0018, .*: make it larger$/)
  })

  it("wants the gain that was asked for, besides one that is no luck", () => {
    const { verdict } = opened(taskOf(100, { settings: { minRewardDelta: 0.2 } }), betterOnEvery(10))
    assert.strictEqual(verdict.decision, "reject")
    assert.match(verdict.reason, /^the gain is less than the 20\.0 points asked for: \+10\.0 points/)
    // Not one that rounding alone falls short of: 0.3 − 0.2 is less than 0.1.
    const settings = { minRewardDelta: 0.1 }
    const raised: World = (arm) => ({ score: arm === "candidate" ? 0.3 : 0.2 })
    assert.strictEqual(opened(taskOf(60, { settings }), raised).verdict.decision, "promote")
    assert.strictEqual(
      opened(taskOf(60, { settings: { minRewardDelta: 0.101 } }), raised).verdict.decision,
      "reject"
    )
  })
})

describe("guard rails", () => {
  const winning = betterOnEvery(2)

  it("keep out a candidate that takes many more tokens", () => {
    const world = (ratio: number, tokens = 10_000): World => (arm, example, sample) => ({
      ...winning(arm, example, sample),
      tokens: (tokens + numberOf(example) % 7) * (arm === "candidate" ? ratio : 1)
    })
    const dear = opened(taskOf(100), world(1.5)).verdict
    assert.strictEqual(dear.decision, "reject")
    assert.strictEqual(dear.n, 100, "a win behind a broken rail goes on to the planned end")
    assert.match(dear.reason, /^better by .*, but it takes 1\.50 times the tokens, 1\.2 times allowed$/)
    // Where a rise by 500 tokens is the bound, it is no round number.
    const small = opened(taskOf(60), world(3, 700)).verdict
    assert.match(small.reason, /^better by .*, but it takes 3\.00 times the tokens, 1\.71 times allowed$/)
    const fair = opened(taskOf(100), world(1.1)).verdict
    assert.strictEqual(fair.decision, "promote")
    assert.deepInclude(fair.guardRails[0], { name: "tokens", state: "kept", bound: 1.2 })
    // A short prompt may grow: rules that are written down have their length.
    assert.strictEqual(opened(taskOf(100), world(3, 100)).verdict.decision, "promote")
    assert.strictEqual(opened(taskOf(100), world(7, 100)).verdict.decision, "reject")
  })

  it("keep out a candidate that fails more often", () => {
    const { verdict } = opened(
      taskOf(100),
      (arm, example, sample) =>
        arm === "candidate" && numberOf(example) % 6 === 1 ? { score: 0, failed: true } : winning(arm, example, sample)
    )
    assert.strictEqual(verdict.decision, "reject")
    assert.match(verdict.reason, /but its failure rate changes by \+17\.0 points, \+2\.0 allowed$/)
  })

  it("keep out a candidate that ruins one slice, and do not let it end before the slice was seen", () => {
    const slices = new Map(
      examplesOf(120).map((example) => [example.id, numberOf(example) % 3 === 1 ? ["rare"] : ["common"]])
    )
    const ruined: World = (arm, example) =>
      numberOf(example) % 3 === 1
        ? { score: arm === "candidate" && numberOf(example) % 2 === 0 ? 0 : 1 }
        : { score: arm === "candidate" ? 1 : 0 }
    const { verdict } = opened(taskOf(120, { slices }), ruined)
    assert.strictEqual(verdict.decision, "reject")
    assert.match(verdict.reason, /but the slice "rare" changes by −50\.0 points, −5\.0 allowed$/)
    assert.deepStrictEqual(verdict.guardRails.map(({ name, slice, state }) => [name, slice, state]), [
      ["tokens", null, "kept"],
      ["failures", null, "unproven"],
      ["slice", "common", "kept"],
      ["slice", "rare", "broken"]
    ])
    const whole = opened(taskOf(120, { slices }), (arm) => ({ score: arm === "candidate" ? 1 : 0 })).verdict
    assert.strictEqual(whole.decision, "promote")
    for (const rail of whole.guardRails) if (rail.name === "slice") assert.isAtLeast(rail.n, 30)
    const few = opened(taskOf(60, { slices }), ruined).verdict
    assert.isFalse(few.guardRails.some(({ slice }) => slice === "rare"), "20 examples are not guarded")
  })

  it("allow all that their bounds say, whatever rounding makes of it", () => {
    const everybody = examplesOf(300)
    const arm = (score: number, failureRate: number) => ({ score, failureRate, tokensPerRollout: 0 })
    const states = (sliceScore: number, failureRate: number) =>
      guardRails(
        everybody.map(({ id }) => ({
          exampleId: id,
          incumbent: arm(0.8, 0.3),
          candidate: arm(sliceScore, failureRate),
          difference: sliceScore - 0.8
        })),
        new Map([["all", new Set(everybody.map(({ id }) => id))]]),
        defaultGateSettings,
        1
      ).map(({ state }) => state)
    assert.deepStrictEqual(states(0.75, 0.32), ["unproven", "unproven"])
    assert.deepStrictEqual(states(0.749, 0.321), ["broken", "broken"])
  })

  it("say nothing of tokens where none are told", () => {
    const { verdict } = opened(taskOf(60), (arm, example, sample) => ({ ...winning(arm, example, sample), tokens: 0 }))
    assert.strictEqual(verdict.decision, "promote")
    assert.isFalse(verdict.guardRails.some(({ name }) => name === "tokens"))
  })
})

describe("the plan of a gate", () => {
  it("charges each opening, so that all together cost alpha", () => {
    const total = Array.from({ length: 2_000 }, (_, k) => gatePlan(0, k + 1, defaultGateSettings).alpha.opening)
      .reduce((sum, share) => sum + share, 0)
    assert.isBelow(total, 0.05)
    assert.isAbove(total, 0.0499)
    const { alpha, evidenceNeeded, openingsLeft } = gatePlan(0, 1, defaultGateSettings)
    assert.closeTo(alpha.opening, 0.0304, 1e-4)
    assert.closeTo(alpha.peeking + alpha.test, alpha.opening, 1e-12)
    assert.closeTo(evidenceNeeded, 164.5, 0.05)
    assert.strictEqual(openingsLeft, 2)
    assert.strictEqual(gatePlan(0, 1, { ...defaultGateSettings, alpha: 0.1 }).openingsLeft, 4)
  })

  it("finds more with more pairs and larger gains, and says which gain it finds 8 times out of 10", () => {
    const [few, many] = [gatePlan(40, 1, defaultGateSettings), gatePlan(120, 1, defaultGateSettings)]
    for (const [at, { power }] of few.power.entries()) assert.isBelow(power, many.power[at]!.power)
    for (const { power } of [few, many]) {
      for (let at = 1; at < power.length; at += 1) assert.isAbove(power[at]!.power, power[at - 1]!.power)
    }
    assert.isBelow(many.detectableGain!, few.detectableGain!)
    assert.isNull(gatePlan(3, 1, defaultGateSettings).detectableGain)
  })

  it("must be for the examples that are tested", () => {
    assert.throws(() => opened({ ...taskOf(60), examples: examplesOf(50) }, noBetter(1)), "a plan for 60 pairs")
    assert.deepStrictEqual(answered([], noBetter(1)), [])
  })
})
