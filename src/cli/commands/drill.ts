import { defineCommand } from "../Command.js"
import { path } from "../flags.js"
import { Mistake, readInteger, readModel, readPath } from "../FlagValue.js"
import { jsonAnswer, optional } from "../ReadingFlags.js"

export const drill = defineCommand({
  name: "drill",
  summary: "Kill a real run again and again, resume it, and check that nothing was lost",
  description:
    "tau drill starts an optimization as a process of its own, kills it (SIGKILL) at instants drawn from the seed, "
    + "starts it again by the same command, and checks the store after every kill and every restart. Without --config the "
    + "run is of agent processes on a simulated model, which note what they saw. It ends with a table, a verdict and a "
    + "playbook with its evidence; exit code 1 when an invariant broke or the run did not complete.",
  examples: [
    "tau drill --kills 20 --seed 1",
    "tau drill --kills 5 --config examples/arithmetic.json --model sim/arithmetic"
  ],
  flags: [
    {
      name: "kills",
      value: { kind: "integer", min: 1, max: 10_000, unit: "kills" },
      placeholder: "N",
      default: "20",
      description: "How often the process is killed"
    },
    {
      name: "seed",
      value: { kind: "integer", min: 0, max: 4_294_967_295, unit: "" },
      placeholder: "N",
      default: "1",
      description: "Same seed, same instants"
    },
    {
      name: "state-dir",
      value: path,
      placeholder: "DIR",
      description: "State root of the drilled run, which must have no store yet; by default a new folder in .tau/drill"
    },
    {
      name: "rollouts",
      value: { kind: "integer", min: 1, max: 100_000, unit: "rollouts" },
      placeholder: "N",
      description: "Rollouts of the simulated run; by default four for each kill, and no fewer than 16"
    },
    {
      name: "config",
      value: path,
      placeholder: "FILE",
      description:
        "Drill this optimization instead of the simulated one; its calls are paid for again where they are cut off"
    },
    {
      name: "model",
      value: { kind: "model" },
      placeholder: "PROVIDER/MODEL",
      description: "Model of --config"
    },
    {
      name: "run-id",
      value: { kind: "text" },
      placeholder: "ID",
      description: "m24-recovery-…, digits and hyphens; by default the time in UTC"
    },
    {
      name: "artifact",
      value: path,
      placeholder: "FILE",
      description: "Where the playbook is written; by default resume-after-crash-playbook.json in the state root"
    },
    jsonAnswer
  ],
  read: ({ flags }) => {
    const pathOf = (name: string) => optional(flags, name, readPath)
    const model = flags.find("model")
    const rollouts = flags.find("rollouts")
    const configPath = pathOf("config")
    if ((configPath === null) !== (model === undefined)) throw new Mistake("--config and --model go together")
    if (configPath !== null && rollouts !== undefined) {
      throw new Mistake("--rollouts is for the simulated run: the config has its own examples")
    }
    if (model !== undefined) readModel(model)
    const kills = readInteger(flags.get("kills"))
    return {
      kills,
      seed: readInteger(flags.get("seed")),
      stateDir: pathOf("state-dir"),
      rollouts: rollouts === undefined ? Math.max(16, 4 * kills) : readInteger(rollouts),
      own: configPath === null || model === undefined ? null : { configPath, model: model.text },
      runId: flags.find("run-id")?.text ?? null,
      artifact: pathOf("artifact"),
      json: flags.isOn("json")
    }
  },
  load: () => import("../DrillCommand.js")
})
