import { runStands } from "../../domain/Lifecycle.js"
import { defineCommand } from "../Command.js"
import { after, choice, choiceOf, json, limit, readPaging, readPlace, store } from "../ReadingFlags.js"

export const runs = defineCommand({
  name: "runs",
  summary: "List the runs of a store, newest first",
  description:
    "tau runs lists the runs of a store, newest first: how they stand, how many of their rollouts are finished, and their "
    + "mean score, in which failed rollouts count as 0.",
  examples: ["tau runs", "tau runs --state completed --limit 5 --json"],
  flags: [store, choice("state", runStands, "Only runs that stand so"), limit(20, "How many runs"), after, json],
  read: ({ flags }) => ({ ...readPlace(flags), ...readPaging(flags), state: choiceOf(flags, "state", runStands) }),
  load: () => import("../reading/RunsCommand.js")
})
