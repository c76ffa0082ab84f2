import { usageGroups } from "../../domain/Lifecycle.js"
import { defineCommand } from "../Command.js"
import { readInteger } from "../FlagValue.js"
import { choice, choiceOf, json, limit, readPlace, store } from "../ReadingFlags.js"
import { readSpanFilter, spanFlags } from "../SpanFlags.js"

export const usage = defineCommand({
  name: "usage",
  summary: "Add up what recorded calls used and cost, by model, day, session and more",
  description:
    "tau usage adds up the recorded model calls that the filters choose, those of runs as those of a capture proxy: how many there were, how "
    + "many failed, their tokens, what they cost as far as prices are known, and how long half of them and 95 % of them took at most. The "
    + "dearest group stands first, of days the newest.",
  examples: ["tau usage", "tau usage --by day --since 7d", "tau usage --by key --model gpt-4o-mini --json"],
  flags: [
    store,
    { ...choice("by", usageGroups, "What to group calls by; a day is one of UTC"), default: "model" },
    ...spanFlags,
    limit(20, "How many groups"),
    json
  ],
  read: ({ flags }) => ({
    ...readPlace(flags),
    by: choiceOf(flags, "by", usageGroups) ?? "model",
    limit: readInteger(flags.get("limit")),
    filter: readSpanFilter(flags)
  }),
  load: () => import("../reading/UsageCommand.js")
})
