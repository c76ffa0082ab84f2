import { defineCommand } from "../Command.js"
import { after, json, limit, readPaging, readPlace, store, text, textOf } from "../ReadingFlags.js"

export const workers = defineCommand({
  name: "workers",
  summary: "List the workers of a store, newest first",
  description:
    "tau workers lists the workers that runs have had, newest first: live, ended, or lost with their process, and "
    + "what a live one works on.",
  examples: ["tau workers --live"],
  flags: [
    store,
    text("run", "ID", "Only workers of this run"),
    { name: "live", value: { kind: "switch" }, description: "Only workers that are there now" },
    limit(20, "How many workers"),
    after,
    json
  ],
  read: ({ flags }) => ({
    ...readPlace(flags),
    ...readPaging(flags),
    runId: textOf(flags, "run"),
    isLive: flags.isOn("live")
  }),
  load: () => import("../reading/WorkersCommand.js")
})
