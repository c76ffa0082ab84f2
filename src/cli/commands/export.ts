import { type Dialect, dialects } from "../../openai/ExportDialect.js"
import { defineCommand } from "../Command.js"
import { Mistake, readChoice, readPath } from "../FlagValue.js"
import { choice, json, store } from "../ReadingFlags.js"
import { readRolloutFilter, rolloutFlags } from "../RolloutFlags.js"
import { readSpanFilter, spanFlags } from "../SpanFlags.js"

const nouns = ["spans", "rollouts", "triplets", "events"] as const
type Noun = typeof nouns[number]

const formats = ["jsonl", "otlp"] as const
type Format = typeof formats[number]

const ofSpans = new Set(["run", "rollout", "attempt", "kind", "state", "model", "role", "session", "since", "until"])
const ofRollouts = new Set(["run", "status", "mode", "min-score", "max-score"])
const allowed: Readonly<Record<Noun, ReadonlySet<string>>> = {
  spans: new Set([...ofSpans, "failed", "dialect", "no-content"]),
  rollouts: new Set([...ofRollouts, "failed"]),
  triplets: new Set(["run", "mode", "min-score", "max-score"]),
  events: new Set(["run"])
}

export const exporting = defineCommand({
  name: "export",
  summary: "Write spans, rollouts, triplets or events of searches as JSON lines",
  description:
    "tau export writes everything that the filters fit as JSON lines to stdout, in a stable order and in constant memory. "
    + "Spans go by time; rollouts, triplets and events by run and position. A triplet is a model call of an attempt that succeeded: "
    + "prompt, response, and the attempt's score as the reward. An event is something that a search or its gate did. docs/reading.md has the fields.",
  examples: [
    "tau export spans --since 1d > spans.jsonl",
    "tau export spans --format otlp > traces.jsonl",
    "tau export rollouts --run run-0001-d74f2d > rollouts.jsonl",
    "tau export triplets --min-score 1 > triplets.jsonl",
    "tau export events --run run-0002-a1b2c3 > events.jsonl"
  ],
  operands: [{ name: "what", words: nouns }],
  flags: [
    store,
    {
      ...choice("format", formats, "How it is written; otlp is OpenTelemetry's protocol in JSON, of spans"),
      default: "jsonl"
    },
    { ...json, description: "One JSON object with all of them in a list, instead of lines" },
    { ...choice("dialect", dialects, "Of spans: whose names the attributes have"), default: "genai" },
    { name: "no-content", value: { kind: "switch" }, description: "Of spans: leave out what was said" },
    ...spanFlags.filter(({ name }) => name !== "failed"),
    ...rolloutFlags.map((flag) =>
      flag.name === "failed" ? { ...flag, description: "Only spans or rollouts that failed" } : flag
    )
  ],
  read: ({ flags, operands }) => {
    const what = operands[0] as Noun
    for (const [name, { source }] of flags.explicit) {
      if (name !== "store" && name !== "format" && name !== "json" && !allowed[what].has(name)) {
        throw new Mistake(`${source} means nothing for tau export ${what}`)
      }
    }
    if (flags.isOn("json") && flags.explicit.has("format")) {
      throw new Mistake(`${flags.get("json").source} and ${flags.get("format").source} do not go together: choose one`)
    }
    const format = readChoice<Format>(flags.get("format"), formats)
    if (format === "otlp" && what !== "spans") {
      throw new Mistake(`${flags.get("format").source} otlp is for spans: the protocol knows no ${what}`)
    }
    return {
      storePath: readPath(flags.get("store")),
      what,
      format,
      json: flags.isOn("json"),
      dialect: readChoice<Dialect>(flags.get("dialect"), dialects),
      content: !flags.isOn("no-content"),
      spans: readSpanFilter(flags),
      rollouts: readRolloutFilter(flags)
    }
  },
  load: () => import("../reading/ExportCommand.js")
})
