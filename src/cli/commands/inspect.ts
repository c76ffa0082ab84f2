import { join } from "node:path"
import { defineCommand } from "../Command.js"
import { path } from "../flags.js"
import { Mistake, readPath } from "../FlagValue.js"

export const inspect = defineCommand({
  name: "inspect",
  summary: "Look into the live processes of a store",
  description:
    "tau inspect tree shows the actors of every live process that works on the store: state, uptime, restarts, mailbox, and "
    + "what each runner works on. It asks the processes themselves; exit code 1 when there is none.",
  examples: ["tau inspect tree --store .tau/training/store.sqlite --json"],
  operands: [{ name: "what", words: ["tree"] }],
  flags: [
    {
      name: "store",
      value: path,
      placeholder: "FILE",
      variable: "TAU_STORE",
      description: "The store that the processes work on"
    },
    {
      name: "state-dir",
      value: path,
      placeholder: "DIR",
      default: ".tau/training",
      description: "Folder of store.sqlite"
    },
    {
      name: "json",
      value: { kind: "switch" },
      description: "Print the answer as JSON on stdout"
    }
  ],
  read: ({ flags }) => {
    const store = flags.explicit.get("store")
    const folder = flags.explicit.get("state-dir")
    if (store !== undefined && folder !== undefined) throw new Mistake("--store and --state-dir do not go together")
    const chosen = store ?? (folder === undefined ? flags.find("store") : undefined)
    return {
      storePath: chosen === undefined ? join(readPath(flags.get("state-dir")), "store.sqlite") : readPath(chosen),
      json: flags.isOn("json")
    }
  },
  load: () => import("../InspectCommand.js")
})
