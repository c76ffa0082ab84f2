import { defineCommand } from "../Command.js"
import { json, readPlace, store } from "../ReadingFlags.js"

export const report = defineCommand({
  name: "report",
  summary: "Tell what a search came to: the winning text, its scores, the gate's verdict",
  description:
    "tau report tells what the search of a run came to, the last run without one, or where it stands: the gate's verdict in a " +
    "sentence, the winning text against the seed, where it came from, scores with intervals, wins and losses, and the cost.",
  examples: ["tau report", "tau report run-0002-a1b2c3 --json"],
  operands: [{ name: "run", optional: true }],
  flags: [store, json],
  read: ({ flags, operands: [runId] }) => ({ ...readPlace(flags), runId: runId ?? null, shown: "report" as const }),
  load: () => import("../reading/SearchCommand.js")
})
