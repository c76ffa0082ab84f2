import { rolloutModes } from "../../domain/Lifecycle.js"
import { defineCommand } from "../Command.js"
import { choice, choiceOf, json, readPlace, store } from "../ReadingFlags.js"

export const compare = defineCommand({
  name: "compare",
  summary: "Tell whether a run scored better than another one, example by example",
  description:
    "tau compare puts two runs side by side on the examples that both have scored: the difference of their means with its 95 % "
    + "interval and p-value, where the second is better or worse, and what each cost. For runs that evaluate: other texts, "
    + "another model, another version of the agent. What a search came to is in tau report.",
  examples: [
    "tau compare run-0001-c85398 run-0002-a1b2c3",
    "tau compare run-0001-c85398 run-0002-a1b2c3 --fail-if-worse --json"
  ],
  operands: [{ name: "baseline" }, { name: "run" }],
  flags: [
    store,
    choice("mode", rolloutModes, "Only examples of this part of the config"),
    {
      name: "fail-if-worse",
      value: { kind: "switch" },
      description: "Exit with 1 when the second run is shown to be worse, for scripts"
    },
    json
  ],
  read: ({ flags, operands: [baseline, run] }) => ({
    ...readPlace(flags),
    baselineId: baseline!,
    runId: run!,
    mode: choiceOf(flags, "mode", rolloutModes),
    failIfWorse: flags.isOn("fail-if-worse")
  }),
  load: () => import("../reading/CompareCommand.js")
})
