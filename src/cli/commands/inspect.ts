import { defineCommand } from "../Command.js"
import { path } from "../flags.js"
import { jsonAnswer, readStorePath } from "../ReadingFlags.js"

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
    jsonAnswer
  ],
  read: ({ flags }) => ({ storePath: readStorePath(flags), json: flags.isOn("json") }),
  load: () => import("../InspectCommand.js")
})
