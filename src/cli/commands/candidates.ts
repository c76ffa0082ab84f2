import { defineCommand } from "../Command.js"
import { json, readPlace, store } from "../ReadingFlags.js"

export const candidates = defineCommand({
  name: "candidates",
  summary: "List the texts that a search tried, and what became of each",
  description:
    "tau candidates lists the texts that the search of a run tried, the last run without one: how each came to be, its mean " +
    "score over how many examples, and why it went no further.",
  examples: ["tau candidates", "tau candidates run-0002-a1b2c3 --json"],
  operands: [{ name: "run", optional: true }],
  flags: [store, json],
  read: ({ flags, operands: [runId] }) => ({ ...readPlace(flags), runId: runId ?? null, shown: "candidates" as const }),
  load: () => import("../reading/SearchCommand.js")
})
