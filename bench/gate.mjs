// The promotion gate over many simulated agents of known truth: how often it promotes what is no better, and how often it
// finds what is. The gate is the product's own, driven to its verdict; only the rollouts are drawn.
import { Chance } from "../dist/optimizer/Chance.js"
import { gate } from "../dist/optimizer/Gate.js"
import { gatePlan } from "../dist/optimizer/GatePlan.js"
import { gatePower } from "../dist/optimizer/GatePower.js"
import { defaultGateSettings } from "../dist/optimizer/GateSettings.js"
import { Draws } from "../dist/statistics/Draws.js"
import { mcNemar } from "../dist/statistics/McNemar.js"
import { normalQuantile } from "../dist/statistics/Normal.js"

const experiments = 2_000
const powerExperiments = 1_000
const incumbent = { system_prompt: "incumbent" }
const candidates = [1, 2, 3].map((k) => ({ system_prompt: `candidate ${k}` }))
const examples = (n) =>
  Array.from({ length: n }, (_, index) => ({ id: `x${index}`, input: `${index}`, expected: null }))

const normal = (draws) => normalQuantile((draws.bits() + 0.5) / 2 ** 32)
const clamped = (score) => Math.max(0, Math.min(1, score))

/** Worlds give the scores of one pair: of the example, then of each arm. `gain` is the true one. */
const worlds = {
  /** The arms disagree in 35 % of the pairs. */
  binary: (gain) => (draws) => {
    const at = draws.uniform()
    if (at < (0.35 + gain) / 2) return [0, 1]
    if (at < 0.35) return [1, 0]
    return draws.uniform() < 0.5 ? [1, 1] : [0, 0]
  },
  /** Each arm succeeds independently with the example's own chance: disagreement is largest. */
  difficulty: (gain) => (draws) => {
    const easy = 0.1 + (0.8 - gain) * draws.uniform()
    return [draws.uniform() < easy ? 1 : 0, draws.uniform() < easy + gain ? 1 : 0]
  },
  /** A rubric: partial credit around the example's level. */
  rubric: (gain) => (draws) => {
    const level = 0.3 + 0.4 * draws.uniform()
    return [clamped(level + 0.2 * normal(draws)), clamped(level + gain + 0.2 * normal(draws))]
  },
  /** A rare large win paid for by many small losses: no gain on the whole. */
  skewed: () => (draws) => draws.uniform() < 0.1 ? [0.1, 1] : [0.5, 0.4],
  /** The other way round: the hardest case for a sign-flip test, which takes a loss to be as large as a win. */
  rareLosses: () => (draws) => draws.uniform() < 0.1 ? [1, 0.1] : [0.4, clamped(0.5 + 0.05 * normal(draws))]
}

/** The verdict of one opening. A score is a matter of the experiment, the candidate and the example alone. */
const openOnce = (plan, settings, seed, world) => {
  const list = examples(plan.pairs)
  const chance = new Chance(seed)
  const steps = gate({
    incumbent,
    candidate: candidates[plan.opening - 1],
    examples: list,
    plan,
    settings,
    slices: new Map(),
    firstSample: plan.opening * settings.samples,
    chance
  })
  const drawn = new Map()
  const scoreOf = ({ examples: [example], sample, texts }) => {
    const key = `${example.id}/${sample}`
    if (!drawn.has(key)) drawn.set(key, world(chance.at(`world/${key}`)))
    return drawn.get(key)[texts === incumbent ? 0 : 1]
  }
  let turn = steps.next()
  while (turn.done !== true) {
    turn = steps.next(turn.value.map((ask) =>
      ask._tag === "Note" ? null : [{
        example: ask.examples[0],
        score: scoreOf(ask),
        failed: false,
        feedback: "",
        output: null,
        trace: null,
        tokens: 100
      }]
    ))
  }
  return turn.value
}

const percent = (share) => `${(100 * share).toFixed(1)} %`.padStart(7)

/** The most that 2,000 experiments may show of a true 5 %, 99 times out of 100. */
const limit = 0.05 + 2.33 * Math.sqrt(0.05 * 0.95 / experiments)

export const benchGate = () => {
  let missed = 0
  const check = (isMet) => {
    if (!isMet) missed += 1
    return isMet ? "" : "  MISSED"
  }
  const settings = { ...defaultGateSettings, draws: 999 }
  console.log(
    `False promotions of a candidate that is no better, ${experiments} experiments each; at most ${
      percent(limit).trim()
    }`
  )
  const nulls = [
    ["0/1, 35 % disagree", 60, "binary", settings],
    ["0/1, 35 % disagree", 150, "binary", settings],
    ["0/1, 35 % disagree", 300, "binary", settings],
    ["0/1, by difficulty", 100, "difficulty", settings],
    ["0/1, 3 samples each", 60, "difficulty", { ...settings, samples: 3 }],
    ["rubric scores", 100, "rubric", settings],
    ["rare wins, small losses", 100, "skewed", settings],
    ["rare losses, small wins", 100, "rareLosses", settings]
  ]
  console.log("scores                     pairs  1 opening  3 openings  pairs used")
  for (const [name, pairs, world, given] of nulls) {
    const plans = [1, 2, 3].map((opening) => gatePlan(pairs, opening, given))
    let first = 0
    let any = 0
    let used = 0
    for (let seed = 0; seed < experiments; seed += 1) {
      const promoted = plans.map((plan) => {
        const { decision, n } = openOnce(plan, given, seed * 3 + plan.opening, worlds[world](0))
        used += n
        return decision === "promote"
      })
      if (promoted[0]) first += 1
      if (promoted.some(Boolean)) any += 1
    }
    console.log(
      `${name.padEnd(26)} ${String(pairs).padStart(5)}  ${percent(first / experiments).padStart(9)}  ${
        percent(any / experiments).padStart(10)
      }  ${percent(used / (3 * experiments * pairs)).padStart(10)}${check(any / experiments <= limit)}`
    )
  }

  console.log("\nWithout a gate, 0/1, 35 % disagree, no difference: share of claims")
  console.log("pairs  higher mean  test at 5 % after every pair")
  for (const pairs of [60, 150, 300]) {
    let higher = 0
    let peeked = 0
    for (let seed = 0; seed < experiments; seed += 1) {
      const draws = new Draws(seed)
      let wins = 0
      let losses = 0
      let isClaimed = false
      for (let n = 0; n < pairs; n += 1) {
        const [old, next] = worlds.binary(0)(draws)
        if (next > old) wins += 1
        if (next < old) losses += 1
        isClaimed ||= isSignificant(wins, losses)
      }
      if (wins > losses) higher += 1
      if (isClaimed) peeked += 1
    }
    console.log(
      `${String(pairs).padStart(5)}  ${percent(higher / experiments).padStart(11)}  ${percent(peeked / experiments)}`
    )
  }

  console.log(
    `\nPower at the first opening, 0/1, 35 % disagree, ${powerExperiments} experiments each: stated beforehand, and seen`
  )
  console.log("pairs  gain   stated     seen  ended early  pairs used  gave up")
  const slack = 2.33 * Math.sqrt(0.25 / powerExperiments)
  for (
    const [pairs, gain] of [[40, 0.2], [60, 0.2], [60, 0.3], [100, 0.1], [100, 0.15], [100, 0.2], [200, 0.1], [
      200,
      0.2
    ]]
  ) {
    const plan = gatePlan(pairs, 1, settings)
    const stated = gatePower(pairs, plan.alpha.test, settings)(gain)
    const seen = { promoted: 0, early: 0, used: 0, futile: 0 }
    for (let seed = 0; seed < powerExperiments; seed += 1) {
      const { decision, n } = openOnce(plan, settings, seed, worlds.binary(gain))
      if (decision === "promote") seen.promoted += 1
      if (decision === "promote" && n < pairs) seen.early += 1
      if (decision === "futile") seen.futile += 1
      seen.used += n
    }
    const share = (count) => percent(count / powerExperiments)
    console.log(
      `${String(pairs).padStart(5)}  ${gain.toFixed(2)}  ${percent(stated)}  ${share(seen.promoted)}  ${
        share(seen.early).padStart(11)
      }  ${share(seen.used / pairs).padStart(10)}  ${share(seen.futile)}${
        check(seen.promoted / powerExperiments >= stated - slack)
      }`
    )
  }

  console.log("\nGates in words, 100 pairs")
  const plan = gatePlan(100, 1, settings)
  for (const [gain, seed] of [[0.2, 1], [0.1, 2], [0, 3]]) {
    const { decision, reason } = openOnce(plan, settings, seed, worlds.binary(gain))
    console.log(`true gain ${gain.toFixed(2)}: ${decision}: ${reason}`)
  }
  return missed
}

const isSignificant = (wins, losses) => {
  const key = `${wins}/${losses}`
  if (!significant.has(key)) significant.set(key, mcNemar(wins, losses, "greater").pValue <= 0.05)
  return significant.get(key)
}
const significant = new Map()
