import { defineCommand } from "../Command.js"
import { Mistake, readPath } from "../FlagValue.js"
import { rbacPolicy, store, text } from "../ReadingFlags.js"

export const promote = defineCommand({
  name: "promote",
  summary: "Make the best version of a search the latest against its gate, on record",
  description:
    "tau promote makes the best version that a search found the latest resources although its gate did not, because it could " +
    "not be tested, say. It wants --force, and the promotion is recorded as forced, with who did it and why. " +
    "Whom the policy lets use the verb rollback may promote too.",
  examples: ["tau promote run-0002-a1b2c3 --force --reason \"reviewed by hand\""],
  operands: [{ name: "run" }],
  flags: [
    { ...store, description: "The store that holds the run" },
    { name: "force", value: { kind: "switch" }, description: "Yes, against the gate" },
    text("reason", "TEXT", "Why, for the record"),
    { ...rbacPolicy, description: "Who may use rollback, and so promote; no file means everybody may" }
  ],
  read: ({ flags, operands: [runId] }) => {
    if (!flags.isOn("force")) {
      throw new Mistake("tau promote needs --force: versions that pass the gate are promoted by their run")
    }
    return {
      storePath: readPath(flags.get("store")),
      runId: runId!,
      reason: flags.find("reason")?.text ?? null,
      rbacPolicyPath: readPath(flags.get("rbac-policy"))
    }
  },
  load: () => import("../PromoteCommand.js")
})
