import { defineCommand } from "../Command.js"
import { after, json, limit, readPaging, readPlace, store } from "../ReadingFlags.js"
import { readSpanFilter, spanFlags } from "../SpanFlags.js"

export const spans = defineCommand({
  name: "spans",
  summary: "List recorded calls, newest first",
  description: "tau spans lists recorded calls, newest first, those of runs as those of a capture proxy.",
  examples: ["tau spans", "tau spans --failed --since 2h", "tau spans --rollout run-0001-d74f2d-train-0001 --json"],
  flags: [store, ...spanFlags, limit(20, "How many calls"), after, json],
  read: ({ flags }) => ({ ...readPlace(flags), ...readPaging(flags), filter: readSpanFilter(flags) }),
  load: () => import("../reading/SpansCommand.js")
})
