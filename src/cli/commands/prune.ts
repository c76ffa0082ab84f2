import { defineCommand } from "../Command.js"
import { Mistake, readInteger, readPath } from "../FlagValue.js"
import { jsonAnswer, store } from "../ReadingFlags.js"

export const prune = defineCommand({
  name: "prune",
  summary: "Delete captured calls that are older than so many days",
  description:
    "tau prune deletes calls that a recording proxy has captured beside runs, once they are older than you need them, and the " +
    "bodies that no call has any more. Calls of runs stay: their reports and a resume go by them. It may be used beside proxies " +
    "and runs; what it frees, new calls fill.",
  examples: ["tau prune --older-than-days 30 --dry-run", "tau prune --older-than-days 30"],
  operands: [],
  flags: [
    { ...store, description: "The store to delete from" },
    {
      name: "older-than-days",
      value: { kind: "integer", min: 0, max: 36_500, unit: "days" },
      placeholder: "N",
      description: "Delete calls that began more than so many days ago; 0 is all that are over"
    },
    { name: "dry-run", value: { kind: "switch" }, description: "Say what would be deleted, and delete nothing" },
    jsonAnswer
  ],
  read: ({ flags }) => {
    const days = flags.find("older-than-days")
    if (days === undefined) throw new Mistake("tau prune needs --older-than-days: see tau prune --help")
    return {
      storePath: readPath(flags.get("store")),
      days: readInteger(days),
      dryRun: flags.isOn("dry-run"),
      json: flags.isOn("json")
    }
  },
  load: () => import("../PruneCommand.js")
})
