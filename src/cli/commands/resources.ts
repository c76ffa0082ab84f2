import { defineCommand } from "../Command.js"
import { Mistake } from "../FlagValue.js"
import { after, json, limit, readPaging, readPlace, readVersion, store } from "../ReadingFlags.js"

export const resources = defineCommand({
  name: "resources",
  summary: "List the versions of the resources, show one, or discover an agent's texts",
  description:
    "tau resources lists the versions of what agents are given, newest first; with a version it shows that one's "
    + "texts in full, and what runs scored under it. tau resources discover lists the texts that an agent gives with many of "
    + "its recorded calls, and the part of a config by which a run optimizes them; docs/rewrite.md tells more.",
  examples: ["tau resources", "tau resources 1", "tau resources discover --json"],
  operands: [{ name: "version|discover", optional: true }],
  flags: [store, limit(20, "How many versions, or texts"), after, json],
  read: ({ flags, operands: [version] }) => {
    const paging = readPaging(flags)
    if (version === "discover") {
      if (paging.after !== null) throw new Mistake("--after means nothing for tau resources discover")
      return { ...readPlace(flags), ...paging, version: "discover" as const }
    }
    if (paging.after !== null) readVersion(paging.after)
    return { ...readPlace(flags), ...paging, version: version === undefined ? null : readVersion(version) }
  },
  load: () => import("../reading/ResourcesCommand.js")
})
