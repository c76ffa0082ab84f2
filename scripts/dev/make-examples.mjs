// Writes the configs of examples/ and the benchmark suite from examples/data: the examples stand inline in all of them.
// With --check it only looks whether the files are what it would write.
import { readFileSync, writeFileSync } from "node:fs"

const file = (path) => new URL(`../../examples/${path}`, import.meta.url)
const rowsOf = (name) =>
  readFileSync(file(`data/${name}.jsonl`), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line))

/** The `optimize` and `validate` of a config; the input goes by the name that its executor or agent reads. */
const splits = (name, input = "prompt") => {
  const examples = (split) =>
    rowsOf(name).filter((row) => row.split === split).map(({ expected, id, input: given }) => ({
      id,
      [input]: given,
      expected
    }))
  return { optimize: examples("optimize"), validate: examples("validate") }
}

const run = { worker_count: 4, completion_timeout_secs: 600 }

const gsm8k = {
  ...splits("gsm8k"),
  resources: { system_prompt: "You are a helpful assistant. Answer the question." },
  ...run,
  executor: { kind: "command", command: ["node", "agents/gsm8k-agent.mjs"] },
  scoring: [{ kind: "numeric" }]
}

const suite = {
  suite_id: "grade-school-math-v1",
  family: "reasoning",
  description: "Word problems of GSM8K; the last number of the answer counts.",
  cases: rowsOf("gsm8k").map(({ expected, id, input }, index) => ({
    case_id: id,
    seed: index + 1,
    prompt: input,
    expected_outcome: expected,
    scoring_rubric: { numeric: 1 }
  }))
}

/** A search takes as long as it takes: these are its limits. */
const search = { worker_count: 8, completion_timeout_secs: 7200 }
const rgepa = (limits) => ({ algorithm: "rgepa", reflection_model: "openai/gpt-4.1", seed: 1, ...limits })
const gate = { alpha: 0.05, fraction: 0.4 }
const chat = { kind: "chat", parameters: { temperature: 0 } }

const gsm8kSearch = {
  ...splits("gsm8k-search"),
  resources: { system_prompt: "You are a helpful assistant. Answer the question." },
  ...search,
  executor: chat,
  scoring: [{ kind: "numeric" }],
  optimizer: rgepa({ components: ["system_prompt"], max_rollouts: 1500, max_reflections: 100, max_usd: 5 }),
  gate
}

const banking77 = {
  ...splits("banking77"),
  resources: { system_prompt: "Name the intent of the customer's message. Answer with its label and nothing else." },
  ...search,
  executor: chat,
  scoring: [{ kind: "exact_match" }],
  optimizer: rgepa({
    components: ["system_prompt"],
    max_rollouts: 2000,
    max_reflections: 200,
    max_usd: 5,
    minibatch: 8
  }),
  gate
}

const rooms = {
  ...splits("rooms", "input"),
  resources: { system_prompt: "You book meeting rooms. Answer with the room.", rooms_tool: "Lists rooms." },
  ...search,
  executor: { kind: "command", command: ["python3", "agents/meeting_rooms_agent.py"] },
  scoring: [{ kind: "exact_match" }],
  optimizer: rgepa({ components: ["system_prompt", "rooms_tool"], max_rollouts: 600, max_reflections: 60, max_usd: 5 }),
  gate
}

const extract = {
  ...splits("extract"),
  resources: {
    system_prompt: "You read business documents.\nAnswer with one JSON object of the fields that the document has."
  },
  ...search,
  executor: { kind: "chat", parameters: { temperature: 1 } },
  scoring: [{ kind: "json_equal" }],
  optimizer: {
    ...rgepa({ components: ["system_prompt"], max_rollouts: 1500 }),
    reflection_model: "sim/reflector-strong"
  },
  gate
}

const files = {
  "gsm8k.json": gsm8k,
  "suites/grade-school-math-v1.json": suite,
  "gsm8k-search.json": gsm8kSearch,
  "banking77.json": banking77,
  "rooms.json": rooms,
  "extract.json": extract
}

for (const [name, content] of Object.entries(files)) {
  const text = `${JSON.stringify(content, null, 2)}\n`
  const path = file(name)
  if (!process.argv.includes("--check")) writeFileSync(path, text)
  else if (readFileSync(path, "utf8") !== text) {
    console.error(`examples/${name} is not what scripts/dev/make-examples.mjs makes of examples/data: run it`)
    process.exitCode = 1
  }
}
