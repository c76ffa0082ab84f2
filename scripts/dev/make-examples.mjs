// Writes examples/gsm8k.json and the benchmark suite from examples/data/gsm8k.jsonl: the questions stand inline in both.
// With --check it only looks whether the file is what it would write.
import { readFileSync, writeFileSync } from "node:fs"

const file = (path) => new URL(`../../examples/${path}`, import.meta.url)
const rows = readFileSync(file("data/gsm8k.jsonl"), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line))

const examples = (split) =>
  rows.filter((row) => row.split === split).map(({ expected, id, input }) => ({ id, prompt: input, expected }))

const config = {
  optimize: examples("optimize"),
  validate: examples("validate"),
  resources: { system_prompt: "You are a helpful assistant. Answer the question." },
  worker_count: 4,
  completion_timeout_secs: 600,
  executor: { kind: "command", command: ["node", "agents/gsm8k-agent.mjs"] },
  scoring: [{ kind: "numeric" }]
}

const suite = {
  suite_id: "grade-school-math-v1",
  family: "reasoning",
  description: "Word problems of GSM8K; the last number of the answer counts.",
  cases: rows.map(({ expected, id, input }, index) => ({
    case_id: id,
    seed: index + 1,
    prompt: input,
    expected_outcome: expected,
    scoring_rubric: { numeric: 1 }
  }))
}

for (const [name, content] of [["gsm8k.json", config], ["suites/grade-school-math-v1.json", suite]]) {
  const text = `${JSON.stringify(content, null, 2)}\n`
  const path = file(name)
  if (!process.argv.includes("--check")) writeFileSync(path, text)
  else if (readFileSync(path, "utf8") !== text) {
    console.error(
      `examples/${name} is not what scripts/dev/make-examples.mjs makes of examples/data/gsm8k.jsonl: run it`
    )
    process.exitCode = 1
  }
}
