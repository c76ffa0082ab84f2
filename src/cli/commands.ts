/** Every sub-command, in the order of the help. Loads no Effect. */
import type { Command } from "./Command.js"
import { audit } from "./commands/audit.js"
import { benchmark } from "./commands/benchmark.js"
import { candidates } from "./commands/candidates.js"
import { compare } from "./commands/compare.js"
import { dashboard } from "./commands/dashboard.js"
import { dataset } from "./commands/dataset.js"
import { diff } from "./commands/diff.js"
import { drill } from "./commands/drill.js"
import { exporting } from "./commands/export.js"
import { inspect } from "./commands/inspect.js"
import { keys } from "./commands/keys.js"
import { lineage } from "./commands/lineage.js"
import { promote } from "./commands/promote.js"
import { prune } from "./commands/prune.js"
import { report } from "./commands/report.js"
import { resources } from "./commands/resources.js"
import { rollout } from "./commands/rollout.js"
import { rollouts } from "./commands/rollouts.js"
import { runs } from "./commands/runs.js"
import { simulate } from "./commands/simulate.js"
import { span } from "./commands/span.js"
import { spans } from "./commands/spans.js"
import { usage } from "./commands/usage.js"
import { validate } from "./commands/validate.js"
import { workers } from "./commands/workers.js"

export const commands: ReadonlyArray<Command> = [
  runs,
  rollouts,
  rollout,
  spans,
  span,
  usage,
  resources,
  diff,
  compare,
  report,
  candidates,
  lineage,
  promote,
  dataset,
  workers,
  exporting,
  inspect,
  dashboard,
  audit,
  drill,
  keys,
  prune,
  benchmark,
  validate,
  simulate
]

export const commandNamed = (name: string | undefined): Command | undefined =>
  commands.find((command) => command.name === name)
