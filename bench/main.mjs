// `npm run bench [-- section…]`: figures as ratios measured side by side in one run. See README.md.
import { parseArgs } from "node:util"
import { benchGate } from "./gate.mjs"
import { benchOptimizers } from "./optimizers.mjs"
import { benchPayloads } from "./payloads.mjs"
import { benchProxy } from "./proxy.mjs"
import { benchQueue } from "./queue.mjs"
import { benchReading } from "./reading.mjs"
import { benchRollouts } from "./rollouts.mjs"
import { benchSoak } from "./soak.mjs"
import { printTargets } from "./targets.mjs"

const refuse = (message) => {
  console.error(`bench: ${message}; bench/README.md says what there is`)
  process.exit(2)
}
const parsed = () => {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        check: { type: "boolean", default: false },
        budget: { type: "string" },
        json: { type: "boolean", default: false },
        only: { type: "string" },
        quick: { type: "boolean", default: false },
        reflector: { type: "string", default: "medium" },
        seeds: { type: "string" },
        tasks: { type: "string" },
        minutes: { type: "string", default: "30" },
        spans: { type: "string", default: "1000000" }
      }
    })
  } catch (error) {
    return refuse(error.message.split(". ")[0])
  }
}
const { positionals: chosen, values } = parsed()
const { budget, check, json, minutes, only, quick, reflector, seeds, spans, tasks } = values
for (const [name, text] of Object.entries({ budget, minutes, seeds, spans })) {
  if (text !== undefined && !(Number(text) > 0)) refuse(`--${name} takes a number above zero, found ${text}`)
}
const sections = {
  proxy: benchProxy,
  rollouts: benchRollouts,
  queue: async () => printTargets(await benchQueue()),
  payloads: benchPayloads,
  soak: () => benchSoak(Number(minutes)),
  reading: () => benchReading(Number(spans)),
  gate: benchGate,
  optimizers: () =>
    benchOptimizers({
      budget: Number(budget ?? (quick ? 1000 : 3000)),
      seeds: Number(seeds ?? (quick ? 6 : 40)),
      strength: reflector,
      json,
      ...(only !== undefined && { only: only.split(",") }),
      ...(tasks !== undefined && { tasks: tasks.split(",") })
    })
}
const unknown = chosen.filter((name) => !(name in sections))
if (unknown.length > 0) refuse(`no section ${unknown.join(", ")}; there are ${Object.keys(sections).join(", ")}`)
let missed = 0
// The soak takes half an hour, the large store its gigabytes, and gate and optimizers say nothing of speed: only when asked for.
for (const name of chosen.length === 0 ? ["proxy", "rollouts", "payloads"] : chosen) {
  missed += (await sections[name]()) ?? 0
}
if (check && missed > 0) {
  console.error(`${missed} targets missed`)
  process.exit(1)
}
