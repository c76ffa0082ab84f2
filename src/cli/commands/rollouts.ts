import { defineCommand } from "../Command.js"
import { after, json, limit, readPaging, readPlace, store, text, textOf } from "../ReadingFlags.js"
import { readRolloutFilter, rolloutFlags } from "../RolloutFlags.js"

export const rollouts = defineCommand({
  name: "rollouts",
  summary: "List the rollouts of a run, in order",
  description:
    "tau rollouts lists the rollouts of a run in the order of its examples: how they stand, what they scored "
    + "and what the agent answered.",
  examples: ["tau rollouts", "tau rollouts --run run-0001-d74f2d --mode val --max-score 0.5"],
  flags: [
    store,
    text("run", "ID", "The run; by default the one that was made last"),
    ...rolloutFlags,
    limit(20, "How many rollouts"),
    after,
    json
  ],
  read: ({ flags }) => ({
    ...readPlace(flags),
    ...readPaging(flags),
    runId: textOf(flags, "run"),
    filter: readRolloutFilter(flags)
  }),
  load: () => import("../reading/RolloutsCommand.js")
})
