// Writes examples/gsm8k.json from examples/data/gsm8k.jsonl: the questions stand inline in the config, as in any config.
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

const text = `${JSON.stringify(config, null, 2)}\n`
const path = file("gsm8k.json")
if (process.argv.includes("--check")) {
  if (readFileSync(path, "utf8") === text) process.exit(0)
  console.error(
    "examples/gsm8k.json is not what scripts/dev/make-examples.mjs makes of examples/data/gsm8k.jsonl: run it"
  )
  process.exit(1)
}
writeFileSync(path, text)
