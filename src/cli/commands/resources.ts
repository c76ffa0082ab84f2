import { defineCommand } from "../Command.js"
import { after, json, limit, readPaging, readPlace, readVersion, store } from "../ReadingFlags.js"

export const resources = defineCommand({
  name: "resources",
  summary: "List the versions of the resources, or show one",
  description:
    "tau resources lists the versions of what agents are given, newest first; with a version it shows that one's "
    + "texts in full, and what runs scored under it.",
  examples: ["tau resources", "tau resources 1"],
  operands: [{ name: "version", optional: true }],
  flags: [store, limit(20, "How many versions"), after, json],
  read: ({ flags, operands: [version] }) => {
    const paging = readPaging(flags)
    if (paging.after !== null) readVersion(paging.after)
    return { ...readPlace(flags), ...paging, version: version === undefined ? null : readVersion(version) }
  },
  load: () => import("../reading/ResourcesCommand.js")
})
