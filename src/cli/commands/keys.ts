import { defineCommand } from "../Command.js"
import { path } from "../flags.js"
import { Mistake, readInteger } from "../FlagValue.js"
import { jsonAnswer, optional, readStorePath } from "../ReadingFlags.js"

/** More is no name, and fills every line of the list. */
const nameCharsMax = 200

export const keys = defineCommand({
  name: "keys",
  summary: "Make, list and revoke the keys that clients of the proxy show",
  description:
    "tau keys manages the keys by which a recording proxy knows its clients. A key is shown once, when it is made; "
    + "the store has its hash only. Proxies that run know of a new or revoked key within a second.",
  examples: ["tau keys create --name laptop", "tau keys list", "tau keys revoke 0a1b2c3d4e"],
  operands: [{ name: "verb", words: ["create", "list", "revoke"] }, { name: "id", optional: true }],
  flags: [
    {
      name: "state-dir",
      value: path,
      placeholder: "DIR",
      default: ".tau",
      description: "State root of the proxy: the keys are in DIR/training/store.sqlite"
    },
    {
      name: "store",
      value: path,
      placeholder: "FILE",
      variable: "TAU_STORE",
      description: "The store itself, instead of a state root"
    },
    { name: "name", value: { kind: "text" }, placeholder: "NAME", description: "What to call a new key" },
    {
      name: "scope",
      value: { kind: "text" },
      placeholder: "SCOPE",
      default: "capture",
      description: "What a new key is good for: capture, or the id of a run for calls of its rollouts only"
    },
    {
      name: "expires-days",
      value: { kind: "integer", min: 1, max: 36_500, unit: "days" },
      placeholder: "N",
      description: "A new key is good for so many days; by default until it is revoked"
    },
    jsonAnswer
  ],
  read: ({ flags, operands: [verb, id] }) => {
    if (verb === "revoke" && id === undefined) throw new Mistake("tau keys revoke needs <id>; see tau keys list")
    if (verb !== "revoke" && id !== undefined) throw new Mistake(`tau keys ${verb} takes no id; see tau keys --help`)
    const typed = ["name", "scope", "expires-days"].find((name) => flags.explicit.has(name))
    if (verb !== "create" && typed !== undefined) throw new Mistake(`--${typed} needs tau keys create`)
    const scope = flags.get("scope").text
    if (scope !== "capture" && !/^run-[\w-]{1,64}$/.test(scope)) {
      throw new Mistake("--scope: expected capture or the id of a run, such as run-0001-d74f2d")
    }
    const name = flags.find("name")?.text ?? ""
    if (name.length > nameCharsMax) {
      throw new Mistake(`--name: expected at most ${nameCharsMax} characters, found ${name.length}`)
    }
    return {
      verb: verb as "create" | "list" | "revoke",
      id: id ?? null,
      storePath: readStorePath(flags, "training/store.sqlite"),
      name,
      scope,
      expiresDays: optional(flags, "expires-days", readInteger),
      json: flags.isOn("json")
    }
  },
  load: () => import("../KeysCommand.js")
})
