import { defineCommand } from "../Command.js"
import { milliseconds, path } from "../flags.js"
import { readBind, readInteger, readPath } from "../FlagValue.js"

export const simulate = defineCommand({
  name: "simulate",
  summary: "Serve a simulated model, for trying things out: no key, no network",
  description:
    "tau simulate runs a simulated OpenAI-compatible model server until SIGINT or SIGTERM. It needs no key and no "
    + "network, and the same seed gives the same answers.",
  examples: ["tau simulate --bind 127.0.0.1:8789 --seed 1 --latency-ms 50"],
  untilStopped: true,
  flags: [
    {
      name: "bind",
      value: { kind: "bind" },
      placeholder: "HOST:PORT",
      default: "127.0.0.1:8789",
      description: "Where the simulated server listens; port 0 picks a free one"
    },
    {
      name: "seed",
      value: { kind: "integer", min: 0, max: Number.MAX_SAFE_INTEGER, unit: "" },
      placeholder: "N",
      default: "1",
      description: "Same seed, same answers"
    },
    {
      name: "answers",
      value: path,
      placeholder: "FILE",
      description: "Behaviour file, see docs/task-world.md: adds a question-and-answer model to those that are built in"
    },
    {
      name: "log",
      value: path,
      placeholder: "FILE",
      description: "Write one JSON line per answer"
    },
    {
      name: "latency-ms",
      value: milliseconds(0),
      placeholder: "MS",
      default: "0",
      description: "Wait before every answer"
    }
  ],
  read: ({ flags }) => {
    const answers = flags.find("answers")
    const log = flags.find("log")
    return {
      bind: readBind(flags.get("bind")),
      seed: readInteger(flags.get("seed")),
      ...(answers !== undefined && { answersPath: readPath(answers) }),
      ...(log !== undefined && { logPath: readPath(log) }),
      latencyMs: readInteger(flags.get("latency-ms"))
    }
  },
  load: () => import("../SimulateCommand.js")
})
