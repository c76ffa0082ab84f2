// `npm run demo`: the main job on the embedded defaults, no key and no network. A thin shell over two `tau` commands.
// `npm run demo -- --live` runs the same two against OpenAI (OPENAI_API_KEY) or a local Ollama.
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = join(dirname(fileURLToPath(import.meta.url)), "../..")
const tau = join(root, "dist/cli/main.js")
const unknown = process.argv.slice(2).filter((argument) => argument !== "--live")
if (unknown.length > 0) {
  console.error(`demo: unknown argument ${unknown[0]}; there is only --live`)
  process.exit(2)
}

/** The model of each part: simulated, unless something real is asked for and there. */
const models = async () => {
  if (!process.argv.includes("--live")) {
    return { arithmetic: "sim/arithmetic", gsm8k: "sim/examples/data/gsm8k.simulated.json", folder: ".tau/demo" }
  }
  const live = process.env.OPENAI_API_KEY ? "openai/gpt-4o-mini" : await ollamaModel()
  if (live === undefined) {
    console.error("demo: --live needs OPENAI_API_KEY, or an Ollama with a model on 127.0.0.1:11434")
    process.exit(1)
  }
  return { arithmetic: live, gsm8k: live, folder: ".tau/demo-live" }
}

const ollamaModel = async () => {
  try {
    const answer = await fetch("http://127.0.0.1:11434/api/tags", { signal: AbortSignal.timeout(2_000) })
    const name = (await answer.json()).models?.[0]?.name
    return name === undefined ? undefined : `ollama/${name}`
  } catch {
    return undefined
  }
}

const run = (title, args) =>
  new Promise((resolve) => {
    console.log(`\n${title}\n\n  $ tau ${
      args.map((arg, n) => arg.startsWith("--") && n > 0 ? `\\\n      ${arg}` : arg).join(" ")
    }\n`)
    const child = spawn(process.execPath, [tau, ...args], { cwd: root, stdio: ["ignore", "inherit", "inherit"] })
    // Ctrl-C reaches the whole group: the command winds down by itself and says how to resume.
    process.on("SIGINT", () => {})
    child.on("close", (code) =>
      resolve(code ?? 1))
  })

if (!existsSync(tau)) {
  console.error("demo: dist is missing; run `npm ci` or `npm run build` first")
  process.exit(1)
}
const { arithmetic, folder, gsm8k } = await models()
const config = (name) => ["--prompt-optimization-config", `examples/${name}.json`]
const store = (name) => ["--prompt-optimization-store-sqlite", `${folder}/${name}/store.sqlite`]

const first = await run("1. The guide's example: two sums, asked of the model directly", [
  "--model",
  arithmetic,
  ...config("arithmetic"),
  ...store("arithmetic")
])
if (first !== 0) process.exit(first)
console.log(`
exact_match wants the bare number. "You are a concise assistant." does not ask for one, so an answer like "2 + 2 = 4."
earns nothing: that is what a better prompt is for.`)
const second = await run(
  "2. 60 word problems (GSM8K), each answered by an agent process on the official OpenAI client",
  [
    "--model",
    gsm8k,
    ...config("gsm8k"),
    ...store("gsm8k")
  ]
)
if (second !== 0) process.exit(second)

console.log(`
Left to look at: ${folder}/arithmetic and ${folder}/gsm8k. Each has store.sqlite (any SQLite tool opens it; docs/store.md names
the tables), status.json, and proxy-attribution.jsonl with a line per call.

Four commands to try next:

  1. What was asked and answered, and what it earned:
     npx tau rollouts --store ${folder}/gsm8k/store.sqlite

  2. The same two sums under a prompt that asks for only the number:
     npx tau --model ${arithmetic} \\
       --prompt-optimization-config examples/arithmetic-number.json

  3. Run the demo again, press Ctrl-C in its second part, and run it once more: it goes on where it was.
     npm run demo

  4. Record an agent of your own, whatever it is written in:
     npx tau --prompt-optimization-proxy-server \\
       --prompt-optimization-proxy-upstream-url https://api.openai.com/v1
`)
