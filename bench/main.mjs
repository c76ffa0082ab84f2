// `npm run bench [-- proxy | rollouts] [--check]`: figures as ratios measured side by side in one run. See README.md.
import { benchProxy } from "./proxy.mjs"
import { benchRollouts } from "./rollouts.mjs"

const sections = { proxy: benchProxy, rollouts: benchRollouts }
const given = process.argv.slice(2).filter((argument) => argument !== "--")
const chosen = given.filter((argument) => argument !== "--check")
const unknown = chosen.filter((name) => !(name in sections))
if (unknown.length > 0) {
  console.error(`unknown bench ${unknown.join(", ")}; there are ${Object.keys(sections).join(", ")}`)
  process.exit(2)
}
let missed = 0
for (const name of chosen.length === 0 ? Object.keys(sections) : chosen) missed += (await sections[name]()) ?? 0
if (given.includes("--check") && missed > 0) {
  console.error(`${missed} targets missed`)
  process.exit(1)
}
