import { defineCommand } from "../Command.js"
import { json, readPlace, readVersionOrLatest, store } from "../ReadingFlags.js"

export const diff = defineCommand({
  name: "diff",
  summary: "Compare two versions of the resources, and what runs scored under each",
  description:
    "tau diff compares two versions of the resources, each a number or latest, text by text: lines that are gone and lines that are new, or "
    + "with --words the words inside them. Below it stand the scores of the runs under each version.",
  examples: ["tau diff 1 2", "tau diff 1 latest --words"],
  operands: [{ name: "from" }, { name: "to" }],
  flags: [
    store,
    { name: "words", value: { kind: "switch" }, description: "Compare word by word: [-gone-] and {+new+}" },
    json
  ],
  read: ({ flags, operands: [from, to] }) => ({
    ...readPlace(flags),
    from: readVersionOrLatest(from!),
    to: readVersionOrLatest(to!),
    words: flags.isOn("words")
  }),
  load: () => import("../reading/DiffCommand.js")
})
