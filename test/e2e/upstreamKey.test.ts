import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { tau } from "../support/command.js"
import { rowsOf, scratchFolder } from "../support/store.js"
import { upstream } from "../support/upstream.js"

/** It looks like none, as keys of Azure and of many gateways do. */
const keys = { run: "0123456789abcdef0123456789abcdef", judge: "fedcba9876543210fedcba9876543210" }

const agent = [
  "fetch(process.env.OPENAI_BASE_URL + '/chat/completions', { method: 'POST', body: '{\"model\":\"m\",\"messages\":[]}',",
  "  headers: { authorization: 'Bearer ' + process.env.OPENAI_API_KEY, 'content-type': 'application/json' } })",
  "  .then((answer) => answer.text()).then((text) => { console.error(text); process.exitCode = 3 })"
].join("\n")

/** A server that repeats the key that it was shown. */
const repeating = (status: number) =>
  upstream((request, response) => {
    const said = `Incorrect API key provided: ${request.headers.authorization?.slice("Bearer ".length)}.`
    const body = status === 200
      ? { choices: [{ index: 0, message: { role: "assistant", content: said }, finish_reason: "stop" }] }
      : { error: { message: said, code: "invalid_api_key" } }
    request.resume().on("end", () =>
      void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body)))
  })

const cases = [
  { what: "an error of a chat call", status: 401, config: {}, kept: "SELECT error AS text FROM attempts" },
  {
    what: "what an agent prints of an error",
    status: 401,
    config: { executor: { kind: "command", command: [process.execPath, "-e", agent] } },
    kept: "SELECT stderr_tail AS text FROM attempts"
  },
  {
    what: "an error of a judge of another provider",
    status: 401,
    config: {
      executor: { kind: "command", command: ["echo", "hello"] },
      scoring: [{ kind: "judge", rubric: "Is it kind?", model: "openai/large" }]
    },
    kept: "SELECT error AS text FROM attempts"
  },
  { what: "an answer", status: 200, config: {}, kept: "SELECT output AS text FROM rollouts" },
  { what: "what a scorer says of an answer", status: 200, config: {}, kept: "SELECT feedback AS text FROM rewards" }
] as const

describe("The key of a run's upstream", () => {
  for (const { config, kept, status, what } of cases) {
    it.scopedLive(`is in no file and no line of the run where ${what} repeats it`, () =>
      Effect.gen(function*() {
        const folder = yield* scratchFolder
        const url = yield* repeating(status)
        writeFileSync(
          join(folder, "config.json"),
          JSON.stringify({
            optimize: [{ prompt: "Greet me.", expected: "Hello." }],
            resources: { system_prompt: "Be kind." },
            upstream_url: url,
            max_attempts: 1,
            ...config
          })
        )
        const command = ["--model=vllm/m", "--prompt-optimization-config=config.json", "--prompt-optimization-json"]
        const { stderr, stdout } = yield* tau(folder, command, {
          VLLM_API_KEY: keys.run,
          OPENAI_BASE_URL: url,
          OPENAI_API_KEY: keys.judge
        })
        const [row] = rowsOf<{ text: string }>(join(folder, ".tau/training/store.sqlite"), kept)
        assert.include(row!.text, "Incorrect API key provided: [REDACTED]")
        const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
        const texts = files.map(({ name, parentPath }) => readFileSync(join(parentPath, name), "latin1"))
        for (const text of [stderr, stdout, ...texts]) {
          for (const key of Object.values(keys)) assert.notInclude(text, key.slice(0, 16))
        }
      }))
  }
})
