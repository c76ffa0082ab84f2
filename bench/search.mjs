// One search in a task world, in this process: the optimizer, the conductor that keeps its budget, and a world that answers at
// once. Answers what the incumbent was worth, in truth, after how many rollouts.
import { Chance } from "../dist/optimizer/Chance.js"
import { Conductor } from "../dist/optimizer/Conductor.js"
import { gate } from "../dist/optimizer/Gate.js"
import { gatePlan } from "../dist/optimizer/GatePlan.js"
import { defaultGateSettings } from "../dist/optimizer/GateSettings.js"
import { reflection } from "../dist/testing/index.js"

/** Iterations without a new rollout before a search ends. */
const stallMax = 40

const asExample = ({ expected, id, input }) => ({ id, input, expected })

/** Tokens of any rollout: what a longer prompt costs is not what is measured here. */
const tokens = 100

/** Rollouts in a world, as an optimizer is told of them. */
const outcomeIn = (world, requests, { example, sample, texts }) => {
  const { feedback, output, score } = world.run(texts, requests.get(example.id), sample)
  return { example, score, failed: false, feedback, output, trace: null, tokens }
}

/** Carries a generator's work out in the world until it ends. Calls `onWork` with each batch and what was spent before it. */
export const drive = (
  { budget, onWork = () => {}, reflectionsMax = Math.ceil(budget / 5), requests, steps, strength, world, seed }
) => {
  const conductor = new Conductor(steps, { rolloutsMax: budget, reflectionsMax, stallMax })
  let turn = conductor.begin()
  let before = 0
  while (!turn.done) {
    const { work } = turn
    onWork(work, before)
    turn = conductor.resume({
      outcomes: new Map(work.rollouts.map((fresh) => [fresh.key, outcomeIn(world, requests, fresh)])),
      reflections: work.reflections.map(({ path, prompt }) => ({ text: reflection(strength, seed, prompt, path) })),
      // The agent makes one call: its answer tells all that it did.
      traces: new Map(work.traces.map((key) => [key, ""]))
    })
    before = conductor.spent.rollouts
  }
  return { found: turn.value, spent: conductor.spent }
}

/**
 * @param optimizer a function of a task that answers its steps
 * @param train, selection numbers of examples
 */
export const searchIn = ({ budget, optimizer, seed, selection, strength, train, world }) => {
  const examples = { train: world.examples(0, train), selection: world.examples(train, selection) }
  const requests = new Map([...examples.train, ...examples.selection].map((request) => [request.id, request]))
  const start = world.spec.seed
  const task = {
    seed: start,
    train: examples.train.map(asExample),
    selection: examples.selection.map(asExample),
    chance: new Chance(Number(seed))
  }
  /** Best so far by rollouts spent, from the seed on. */
  const curve = [{ rollouts: 0, truth: world.trueScore(start) }]
  const events = {}
  const onWork = ({ asks }, rollouts) => {
    for (const ask of asks) {
      if (ask._tag !== "Note") continue
      const { event } = ask
      const name = event.type === "rejected" ? `rejected: ${event.reason}` : event.type
      events[name] = (events[name] ?? 0) + 1
      if (event.type === "incumbent") curve.push({ rollouts, truth: world.trueScore(event.candidate) })
    }
  }
  const { found, spent } = drive({ budget, onWork, requests, seed, steps: optimizer(task), strength, world })
  curve.push({ rollouts: spent.rollouts, truth: world.trueScore(found.best) })
  const seedMean = examples.selection.reduce((sum, request) => sum + world.run(start, request).score, 0) / selection
  return { found, spent, curve, events, claimed: (found.mean ?? seedMean) - seedMean }
}

/** The gate's verdict on what a search found: fresh examples that it never saw, fresh rollouts of both arms. */
export const gateOf = ({ best, examples, plan, seed, world }) => {
  const steps = gate({
    incumbent: world.spec.seed,
    candidate: best,
    examples: examples.map(asExample),
    plan,
    settings: defaultGateSettings,
    slices: new Map(),
    firstSample: 1000,
    chance: new Chance(Number(seed))
  })
  const requests = new Map(examples.map((request) => [request.id, request]))
  return drive({ budget: Infinity, requests, steps, world }).found
}

/** The plan of a gate that opens for the first time. */
export const firstPlan = (pairs) => gatePlan(pairs, 1, defaultGateSettings)

/** True score of what was the best after so many rollouts. */
export const truthAt = (curve, rollouts) => curve.findLast((point) => point.rollouts <= rollouts).truth

/** Rollouts until the best was as good as that for the first time; null if never. */
export const rolloutsTo = (curve, target) => curve.find(({ truth }) => truth >= target)?.rollouts ?? null
