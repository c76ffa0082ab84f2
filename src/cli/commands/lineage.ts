import { defineCommand } from "../Command.js"
import { path } from "../flags.js"
import { readPath } from "../FlagValue.js"
import { json, readPlace, store } from "../ReadingFlags.js"

export const lineage = defineCommand({
  name: "lineage",
  summary: "Show who came of whom in a search, as a tree",
  description:
    "tau lineage shows the candidates of a search as a tree: each under the one it was made of. With --svg it draws the best " +
    "score over the rollouts spent, with its interval.",
  examples: ["tau lineage", "tau lineage run-0002-a1b2c3 --svg search.svg"],
  operands: [{ name: "run", optional: true }],
  flags: [
    store,
    { name: "svg", value: path, placeholder: "FILE", description: "Draw the best score over rollouts into this file" },
    json
  ],
  read: ({ flags, operands: [runId] }) => {
    const svg = flags.find("svg")
    return {
      ...readPlace(flags),
      runId: runId ?? null,
      shown: "lineage" as const,
      ...(svg !== undefined && { svgPath: readPath(svg) })
    }
  },
  load: () => import("../reading/SearchCommand.js")
})
