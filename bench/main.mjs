// `npm run bench [-- proxy | rollouts]`: figures as ratios measured side by side in one run. See README.md.
import { benchProxy } from "./proxy.mjs"
import { benchRollouts } from "./rollouts.mjs"

const sections = { proxy: benchProxy, rollouts: benchRollouts }
const chosen = process.argv.slice(2).filter((argument) => argument !== "--")
const unknown = chosen.filter((name) => !(name in sections))
if (unknown.length > 0) {
  console.error(`unknown bench ${unknown.join(", ")}; there are ${Object.keys(sections).join(", ")}`)
  process.exit(2)
}
for (const name of chosen.length === 0 ? Object.keys(sections) : chosen) await sections[name]()
