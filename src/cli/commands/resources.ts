import { defineCommand } from "../Command.js"
import { Mistake } from "../FlagValue.js"
import {
  after,
  json,
  limit,
  readPaging,
  readPlace,
  readVersion,
  readVersionOrLatest,
  store,
  text,
  textOf
} from "../ReadingFlags.js"

export const resources = defineCommand({
  name: "resources",
  summary: "List the versions of the resources, show one, or discover an agent's texts",
  description:
    "tau resources lists the versions of what agents are given, newest first; with a version it shows that one's "
    + "texts in full, and what runs scored under it. The latest is the one that a gate or a person chose last, and until one is "
    + "chosen the one that a config gave last. "
    + "tau resources discover lists the texts that an agent gives with many of "
    + "its recorded calls, and the part of a config by which a run optimizes them; docs/rewrite.md tells more.",
  examples: [
    "tau resources",
    "tau resources 1",
    "tau resources latest --text system_prompt > prompt.txt",
    "tau resources discover --json"
  ],
  operands: [{ name: "version|latest|discover", optional: true }],
  flags: [
    store,
    limit(20, "How many versions, or texts"),
    after,
    text("text", "NAME", "Of a version: write this text alone, byte for byte"),
    json
  ],
  read: ({ flags, operands: [version] }) => {
    const paging = readPaging(flags)
    const place = readPlace(flags)
    const text = textOf(flags, "text")
    if (text !== null && (version === undefined || version === "discover")) {
      throw new Mistake("--text needs a version: tau resources latest --text NAME")
    }
    if (text !== null && place.json) throw new Mistake("--text and --json exclude each other")
    if (version === "discover") {
      if (paging.after !== null) throw new Mistake("--after means nothing for tau resources discover")
      return { ...place, ...paging, text, version: "discover" as const }
    }
    for (const name of version === undefined ? [] : ["limit", "after"]) {
      if (flags.explicit.has(name)) throw new Mistake(`--${name} is for the list: tau resources without a version`)
    }
    if (paging.after !== null) readVersion(paging.after)
    const wanted = version === undefined ? null : readVersionOrLatest(version)
    return { ...place, ...paging, text, version: wanted }
  },
  load: () => import("../reading/ResourcesCommand.js")
})
