// The optimizers in task worlds whose truth is known: how many rollouts until the best prompt is good, how good it is after so
// many, and what is claimed for it.
import { evaluation } from "../dist/optimizer/Evaluation.js"
import { gepa } from "../dist/optimizer/Gepa.js"
import { rgepa } from "../dist/optimizer/Rgepa.js"
import { apo } from "../dist/optimizer/TextualGradient.js"
import { mcNemar } from "../dist/statistics/McNemar.js"
import { pairedPermutation } from "../dist/statistics/Permutation.js"
import { taskSpecs, TaskWorld } from "../dist/testing/index.js"
import { firstPlan, gateOf, rolloutsTo, searchIn, truthAt } from "./search.mjs"

const optimizers = { evaluate: evaluation, apo, gepa, rgepa }

/** Examples to learn from, to select by and for the gate; a target is this part of the way from the seed to all rules. */
const train = 100
const selection = 60
const gate = 200
const share = 0.75

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length
const median = (values) => {
  const sorted = values.toSorted((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}
const spread = (values) => {
  const centre = mean(values)
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1) / values.length)
}

/** All searches of one optimizer on one task. */
const measure = ({ budget, checkpoints, name, plan, seeds, spec, strength }) => {
  const start = process.cpuUsage()
  const runs = Array.from({ length: seeds }, (_, n) => {
    const seed = String(n + 1)
    const world = new TaskWorld(spec, { seed })
    const target = world.trueScore(spec.seed) + share * (world.trueScore(world.best) - world.trueScore(spec.seed))
    const { claimed, curve, events, found, spent } = searchIn({
      budget,
      optimizer: optimizers[name],
      seed,
      selection,
      strength,
      train,
      world
    })
    const verdict = gateOf({ best: found.best, examples: world.examples(train + selection, gate), plan, seed, world })
    return {
      seed,
      reached: spec.formatComponent === null ? null : rolloutsTo(curve, target),
      truths: checkpoints.map((rollouts) => truthAt(curve, rollouts)),
      claimed,
      gained: world.trueScore(found.best) - world.trueScore(spec.seed),
      best: found.best,
      reason: found.reason,
      gate: verdict.decision,
      gate_pairs: verdict.n,
      spent,
      events
    }
  })
  const reached = runs.map((run) => run.reached ?? Infinity)
  return {
    task: spec.name,
    optimizer: name,
    rollouts_to_target: median(reached) === Infinity ? null : median(reached),
    reached: reached.filter((rollouts) => rollouts < Infinity).length,
    true_scores: checkpoints.map((_, at) => mean(runs.map(({ truths }) => truths[at]))),
    claimed_gain: mean(runs.map(({ claimed }) => claimed)),
    true_gain: mean(runs.map(({ gained }) => gained)),
    improved: runs.filter(({ claimed }) => claimed > 0).length,
    promoted: runs.filter((run) => run.gate === "promote").length,
    gate_pairs: mean(runs.map((run) => run.gate_pairs)),
    rollouts: mean(runs.map(({ spent }) => spent.rollouts)),
    reflections: mean(runs.map(({ spent }) => spent.reflections)),
    cpu_seconds: (process.cpuUsage(start).user + process.cpuUsage(start).system) / 1e6,
    runs
  }
}

/** `rgepa` against `gepa`, search by search: the same examples, luck and reflector in both. */
const compare = (rows, checkpoints, budget) => {
  const of = (name) => rows.find(({ optimizer }) => optimizer === name)?.runs
  const [ours, theirs] = [of("rgepa"), of("gepa")]
  if (ours === undefined || theirs === undefined) return null
  const differences = ours.map((run, at) => run.truths.at(-1) - theirs[at].truths.at(-1))
  const isIn = ({ reached }) => reached !== null
  const wins = ours.filter((run, at) => isIn(run) && !isIn(theirs[at])).length
  const losses = ours.filter((run, at) => !isIn(run) && isIn(theirs[at])).length
  const sooner = ours.map((run, at) => (theirs[at].reached ?? budget) - (run.reached ?? budget))
  return {
    task: rows[0].task,
    checkpoint: checkpoints.at(-1),
    gain: mean(differences),
    standard_error: spread(differences),
    p_gain: pairedPermutation(differences).pValue,
    only_rgepa_reached: wins,
    only_gepa_reached: losses,
    p_reached: mcNemar(wins, losses).pValue,
    rollouts_saved: mean(sooner),
    p_saved: pairedPermutation(sooner).pValue
  }
}

const figure = (value, digits = 3) => value.toFixed(digits)
const points = (value) => `${value >= 0 ? "+" : "−"}${(100 * Math.abs(value)).toFixed(1)}`

const printTask = (spec, rows, checkpoints, seeds) => {
  const world = new TaskWorld(spec)
  const isNull = spec.formatComponent === null
  console.log(
    `\n${spec.name}: true score ${figure(world.trueScore(spec.seed))} at the start${
      isNull ? ", whatever the text" : `, ${figure(world.trueScore(world.best))} with all rules`
    }`
  )
  const at = checkpoints.map((rollouts) => `@${rollouts}`.padStart(7)).join("")
  console.log(`  ${"".padEnd(9)} to target reached${at} claimed   true   gate`)
  for (const row of rows) {
    const toTarget = isNull
      ? "–"
      : row.rollouts_to_target === null
      ? "never"
      : String(Math.round(row.rollouts_to_target))
    const reached = isNull ? "–" : `${row.reached}/${seeds}`
    console.log(
      `  ${row.optimizer.padEnd(9)} ${toTarget.padStart(9)} ${reached.padStart(7)}${
        row.true_scores.map((score) => figure(score).padStart(7)).join("")
      } ${points(row.claimed_gain).padStart(7)} ${points(row.true_gain).padStart(6)} ${
        `${row.promoted}/${seeds}`.padStart(6)
      }`
    )
  }
}

const printComparison = (pair) => {
  if (pair === null) return
  console.log(
    `  rgepa − gepa at ${pair.checkpoint}: ${points(pair.gain)} points (se ${figure(100 * pair.standard_error, 1)}, p ${
      figure(pair.p_gain)
    })`
  )
  console.log(
    `  reached alone: rgepa ${pair.only_rgepa_reached}, gepa ${pair.only_gepa_reached} (p ${
      figure(pair.p_reached)
    }); rollouts saved ${Math.round(pair.rollouts_saved)} (p ${figure(pair.p_saved)})`
  )
}

/** Returns 0: there are figures, no targets. */
export const benchOptimizers = ({ budget = 3000, json = false, only, seeds = 40, strength = "medium", tasks } = {}) => {
  const checkpoints = [500, 1000, 2000, 3000].filter((rollouts) => rollouts <= budget)
  if (checkpoints.length === 0) checkpoints.push(budget)
  const specs = taskSpecs.filter(({ name }) => tasks === undefined || tasks.includes(name))
  const names = Object.keys(optimizers).filter((name) => only === undefined || only.includes(name))
  const plan = firstPlan(gate)
  const results = []
  const comparisons = []
  if (!json) {
    console.log(
      `optimizers: ${seeds} searches each, ${strength} reflector, budget ${budget},\n${train} examples to learn from, ${selection} to select by, ${gate} for the gate`
    )
  }
  for (const spec of specs) {
    const rows = names.map((name) => measure({ budget, checkpoints, name, plan, seeds, spec, strength }))
    const pair = spec.formatComponent === null ? null : compare(rows, checkpoints, budget)
    results.push(...rows)
    if (pair !== null) comparisons.push(pair)
    if (json) continue
    printTask(spec, rows, checkpoints, seeds)
    printComparison(pair)
    if (spec.formatComponent === null) {
      const said = rows.map(({ improved, optimizer }) => `${optimizer} ${improved}/${seeds}`).join(", ")
      console.log(`  mean of selection went up: ${said}`)
    }
  }
  if (json) {
    console.log(
      JSON.stringify({ schema_version: 1, seeds, strength, budget, train, selection, gate, results, comparisons })
    )
  }
  return 0
}
