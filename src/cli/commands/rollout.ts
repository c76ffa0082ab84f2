import { defineCommand } from "../Command.js"
import { readInteger } from "../FlagValue.js"
import { json, limit, readPlace, store } from "../ReadingFlags.js"

export const rollout = defineCommand({
  name: "rollout",
  summary: "Show a rollout: example, output, rewards, and the calls of its attempts",
  description:
    "tau rollout shows one rollout: what the agent was asked, what it answered, what that earned and why, and for each "
    + "attempt its model calls along the time they took. The id of an attempt shows that attempt alone; the id of a capture "
    + "session shows the calls recorded under it.",
  examples: ["tau rollout run-0001-d74f2d-train-0001", "tau rollout run-0001-d74f2d-train-0001:attempt-1"],
  operands: [{ name: "id" }],
  flags: [store, limit(100, "How many calls of each attempt"), json],
  read: ({ flags, operands }) => ({ ...readPlace(flags), id: operands[0]!, limit: readInteger(flags.get("limit")) }),
  load: () => import("../reading/RolloutCommand.js")
})
