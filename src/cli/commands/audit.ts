import { defineCommand } from "../Command.js"
import { path } from "../flags.js"
import { Mistake, readInteger } from "../FlagValue.js"
import { jsonAnswer, readStorePath } from "../ReadingFlags.js"

export const audit = defineCommand({
  name: "audit",
  summary: "List who steered a run, or verify that the log of it is intact",
  description:
    "tau audit list shows the last verbs that were asked for, denied ones included. tau audit verify works the hash chain "
    + "of the log out again and compares control-audit.jsonl with it; exit code 1 when a row was changed, removed or added.",
  examples: ["tau audit verify", "tau audit list --store .tau/training/store.sqlite --limit 10"],
  operands: [{ name: "what", words: ["verify", "list"] }],
  flags: [
    {
      name: "store",
      value: path,
      placeholder: "FILE",
      variable: "TAU_STORE",
      description: "The store; the audit file is looked for beside it"
    },
    {
      name: "state-dir",
      value: path,
      placeholder: "DIR",
      default: ".tau/training",
      description: "Folder of store.sqlite and control-audit.jsonl"
    },
    {
      name: "limit",
      value: { kind: "integer", min: 1, max: 10_000, unit: "rows" },
      placeholder: "N",
      default: "20",
      description: "How many rows list shows"
    },
    jsonAnswer
  ],
  read: ({ flags, operands }) => {
    const what = operands[0] === "list" ? "list" as const : "verify" as const
    if (what === "verify" && flags.explicit.has("limit")) {
      throw new Mistake("--limit is for tau audit list: verify reads every row")
    }
    return {
      what,
      storePath: readStorePath(flags),
      limit: readInteger(flags.get("limit")),
      json: flags.isOn("json")
    }
  },
  load: () => import("../AuditCommand.js")
})
