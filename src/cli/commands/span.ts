import { defineCommand } from "../Command.js"
import { Mistake } from "../FlagValue.js"
import { choice, choiceOf, json, readPlace, store } from "../ReadingFlags.js"

const bodies = ["request", "response", "answer", "original"] as const

export const span = defineCommand({
  name: "span",
  summary: "Show a recorded call: messages, tool calls, usage, timing",
  description:
    "tau span shows one recorded call: its messages and tool calls, what was answered, what it used and how long "
    + "it took. It can also give the exact bytes of a body, or a curl command that makes the call again.",
  examples: ["tau span 67451a2b5f0c1e01", "tau span 67451a2b5f0c1e01 --raw request > request.json"],
  operands: [{ name: "id" }],
  flags: [
    store,
    choice(
      "raw",
      bodies,
      "Write the exact recorded bytes of this body to stdout; answer is what a stream amounts to, original the request "
        + "as the agent had it before a rewrite"
    ),
    {
      name: "curl",
      value: { kind: "switch" },
      description: "Print the call as a curl command for a shell; keys are variables in it"
    },
    json
  ],
  read: ({ flags, operands }) => {
    const place = readPlace(flags)
    const raw = choiceOf(flags, "raw", bodies)
    const curl = flags.isOn("curl")
    if (Number(raw !== null) + Number(curl) + Number(place.json) > 1) {
      throw new Mistake("--raw, --curl and --json exclude each other")
    }
    return { ...place, id: operands[0]!, raw, curl }
  },
  load: () => import("../reading/SpanCommand.js")
})
