import { defineCommand } from "../Command.js"
import { path } from "../flags.js"
import { Mistake, readChoice, readInteger, readNumber, readPath } from "../FlagValue.js"
import { choice, json, optional, readPlace, store, text, textOf } from "../ReadingFlags.js"
import { shellWords } from "../ShellWords.js"
import { readTrafficFilter, trafficFlags } from "../SpanFlags.js"

const answers = ["expected", "reference"] as const

export const dataset = defineCommand({
  name: "dataset",
  summary: "Build examples and a config out of recorded traffic",
  description:
    "tau dataset build makes an example of each captured session whose calls ended well: what the user said first, and what was "
    + "answered last. It writes DIR/dataset.jsonl and DIR/config.json, which runs as it stands: against the model alone, with the "
    + "agent's system message as the prompt; or, with --command, with the agent itself, whose texts are rewritten on the wire. "
    + "docs/datasets.md tells more.",
  examples: [
    "tau dataset build --since 7d",
    "tau dataset build --command \"python3 agent.py\" --out rooms",
    "tau dataset build --answer reference --fraction 0.5 --seed 2 --force"
  ],
  operands: [{ name: "verb", words: ["build"] }],
  flags: [
    store,
    ...trafficFlags,
    text("system", "TEXT", "Only sessions whose system message or instructions hold TEXT: those of one agent"),
    {
      name: "out",
      value: path,
      placeholder: "DIR",
      default: "dataset",
      description: "Folder for dataset.jsonl and config.json"
    },
    { name: "force", value: { kind: "switch" }, description: "Overwrite the files of an earlier build" },
    text("command", "LINE", "The agent, as words of a command line; no shell is involved"),
    {
      ...choice("answer", answers, "The field that holds the answer: expected is scored against, reference is not"),
      default: "expected"
    },
    {
      name: "min-input",
      value: { kind: "integer", min: 1, max: 1_000_000, unit: "characters" },
      placeholder: "N",
      default: "1",
      description: "Leave out shorter inputs"
    },
    {
      name: "min-answer",
      value: { kind: "integer", min: 1, max: 1_000_000, unit: "characters" },
      placeholder: "N",
      default: "1",
      description: "Leave out shorter answers"
    },
    {
      name: "fraction",
      value: { kind: "number", min: 0, max: 1 },
      placeholder: "X",
      default: "0.3",
      description: "Share of the examples that validate; a hash of the input decides which"
    },
    {
      name: "seed",
      value: { kind: "integer", min: 0, max: 2_147_483_647, unit: "" },
      placeholder: "N",
      default: "1",
      description: "Another seed splits in another way"
    },
    {
      name: "limit",
      value: { kind: "integer", min: 1, max: 100_000, unit: "" },
      placeholder: "N",
      default: "10000",
      description: "Most examples; of more the newest"
    },
    json
  ],
  read: ({ flags }) => {
    const command = optional(flags, "command", (given) => {
      const words = shellWords(given.text)
      if (words === null) throw new Mistake(`${given.source}: expected a command line whose quotes are closed`)
      if (words.length === 0) throw new Mistake(`${given.source}: expected a command line, found an empty one`)
      return words
    })
    return {
      ...readPlace(flags),
      filter: readTrafficFilter(flags),
      rules: {
        inputCharsMin: readInteger(flags.get("min-input")),
        answerCharsMin: readInteger(flags.get("min-answer")),
        fraction: readNumber(flags.get("fraction")),
        seed: readInteger(flags.get("seed")),
        limit: readInteger(flags.get("limit"))
      },
      system: textOf(flags, "system"),
      out: readPath(flags.get("out")),
      force: flags.isOn("force"),
      answer: readChoice(flags.get("answer"), answers),
      command
    }
  },
  load: () => import("../traffic/DatasetCommand.js")
})
