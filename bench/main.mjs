// `npm run bench [-- proxy | rollouts | queue | payloads | soak | reading] [--check] [--minutes n] [--spans n]`: figures as ratios measured side by side in one run. See README.md.
import { parseArgs } from "node:util"
import { benchPayloads } from "./payloads.mjs"
import { benchProxy } from "./proxy.mjs"
import { benchQueue } from "./queue.mjs"
import { benchReading } from "./reading.mjs"
import { benchRollouts } from "./rollouts.mjs"
import { benchSoak } from "./soak.mjs"
import { printTargets } from "./targets.mjs"

const { positionals: chosen, values: { check, minutes, spans } } = parseArgs({
  allowPositionals: true,
  options: {
    check: { type: "boolean", default: false },
    minutes: { type: "string", default: "30" },
    spans: { type: "string", default: "1000000" }
  }
})
const sections = {
  proxy: benchProxy,
  rollouts: benchRollouts,
  queue: async () => printTargets(await benchQueue()),
  payloads: benchPayloads,
  soak: () => benchSoak(Number(minutes)),
  reading: () => benchReading(Number(spans))
}
const unknown = chosen.filter((name) => !(name in sections))
if (unknown.length > 0) {
  console.error(`unknown bench ${unknown.join(", ")}; there are ${Object.keys(sections).join(", ")}`)
  process.exit(2)
}
let missed = 0
// The soak takes half an hour, and the large store its gigabytes: only when asked for.
for (const name of chosen.length === 0 ? ["proxy", "rollouts", "payloads"] : chosen) {
  missed += (await sections[name]()) ?? 0
}
if (check && missed > 0) {
  console.error(`${missed} targets missed`)
  process.exit(1)
}
