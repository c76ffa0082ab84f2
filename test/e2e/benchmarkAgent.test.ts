import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { suiteArgs } from "../support/benchmark.js"
import { startTau, tau } from "../support/command.js"
import { rowsOf, scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

/** An agent with a prompt of its own in its code. */
const agent = `
let example = ""
for await (const chunk of process.stdin) example += chunk
const response = await fetch(process.env.OPENAI_BASE_URL + "/chat/completions", {
  method: "POST",
  headers: { authorization: "Bearer " + process.env.OPENAI_API_KEY },
  body: JSON.stringify({
    model: process.env.TAU_MODEL,
    messages: [
      { role: "system", content: "You are a concise assistant." },
      { role: "user", content: JSON.parse(example).prompt }
    ]
  })
})
console.log((await response.json()).choices[0].message.content)
`

const suite = {
  suite_id: "sums-v1",
  family: "arithmetic",
  description: "Sums of two small numbers.",
  cases: [1, 2, 3].map((n) => ({
    case_id: `sum-${n}`,
    seed: n,
    prompt: `What is ${n} + 2?`,
    expected_outcome: String(n + 2),
    scoring_rubric: { exact_match: 1 }
  }))
}

const config = {
  optimize: [{ prompt: "What is 1 + 1?" }],
  resources: { system_prompt: "You are a concise assistant." },
  executor: { kind: "command", command: ["node", "agent.mjs"] },
  rewrite: [{ component: "system_prompt", where: { kind: "system", equal: "You are a concise assistant." } }]
}

const agentFolder = (configs: Readonly<Record<string, unknown>> = {}) =>
  Effect.tap(scratchFolder, (folder) =>
    Effect.sync(() => {
      const files = { "suite.json": suite, "agent.json": config, "tone.json": { tone: "kind" }, ...configs }
      for (const [name, value] of Object.entries(files)) writeFileSync(join(folder, name), JSON.stringify(value))
      writeFileSync(join(folder, "agent.mjs"), agent)
      writeFileSync(join(folder, "own.txt"), "You are a concise assistant.\n")
      writeFileSync(join(folder, "number.txt"), "Answer with the number only.\n")
    }))

const ask = (folder: string, ...args: Parameters<typeof suiteArgs>) => tau(folder, suiteArgs(...args))

describe("tau benchmark run --config", () => {
  it.scoped(
    "asks the suite of a whole agent, with the texts of the checkpoint in place of its own",
    () =>
      Effect.gen(function*() {
        const folder = yield* agentFolder()
        for (const [kind, resources] of [["baseline", "own.txt"], ["trained", "number.txt"]] as const) {
          const { code, stderr } = yield* ask(folder, kind, resources, "--config=agent.json")
          assert.strictEqual(code, 0, stderr)
        }
        const [baseline, trained] = (["baseline", "trained"] as const).map((kind) => {
          const text = readFileSync(join(folder, `tasks/reports/m24-benchmark-${kind}.json`), "utf8")
          return JSON.parse(text) as { readonly metrics: object; readonly inputs: object }
        })
        assert.deepStrictEqual(baseline!.metrics, { episodes: 3, mean_reward: 0, mean_safety_penalty: 0 })
        assert.deepStrictEqual(trained!.metrics, { episodes: 3, mean_reward: 1, mean_safety_penalty: 0 })
        assert.deepStrictEqual(baseline!.inputs, trained!.inputs)
        assert.strictEqual((yield* tau(folder, ["benchmark", "significance"])).code, 0)

        const attempts = rowsOf<{ readonly n: number }>(
          join(folder, ".tau/training/store.sqlite"),
          "SELECT count(DISTINCT attempt_id) AS n FROM spans WHERE attributes ->> '$.\"tau.rewrite.matched\"' = '[0]'"
        )
        assert.deepStrictEqual(attempts, [{ n: 6 }])

        // One chat call is another agent, and so is one that is tried again less often.
        writeFileSync(join(folder, "agent.json"), JSON.stringify({ ...config, max_attempts: 1 }))
        for (const more of [[], ["--config=agent.json"]]) {
          yield* ask(folder, "trained", "number.txt", ...more)
          const refused = yield* tau(folder, ["benchmark", "significance"])
          assert.strictEqual(refused.code, 1)
          assert.include(refused.stderr, "inputs differ: inputs.settings.agent_sha256\n")
        }
      }),
    120_000
  )

  it.scoped("asks one chat call as its config has it, each episode under its own seed", () =>
    Effect.gen(function*() {
      const executor = { kind: "chat", user: "{{prompt}} Please.", parameters: { temperature: 0.5 } }
      const folder = yield* agentFolder({ "chat.json": { ...config, rewrite: [], executor } })
      const { code, stderr } = yield* ask(folder, "baseline", "own.txt", "--config=chat.json", "--episodes=6")
      assert.strictEqual(code, 0, stderr)
      const bodies = rowsOf<{ readonly body: string }>(
        join(folder, ".tau/training/store.sqlite"),
        "SELECT CAST(p.content AS TEXT) AS body FROM spans s JOIN payloads p ON p.sha256 = s.request_sha256"
      ).map(({ body }) =>
        JSON.parse(body) as {
          readonly seed: number
          readonly temperature: number
          readonly messages: ReadonlyArray<{ readonly content: string }>
        }
      )
      assert.strictEqual(new Set(bodies.map(({ seed }) => seed)).size, 6)
      for (const { messages, temperature } of bodies) {
        assert.strictEqual(temperature, 0.5)
        assert.match(messages[1]!.content, /^What is \d \+ 2\? Please\.$/)
      }
    }))

  it.scoped("says how many episodes failed, and what the agent said, with and without a report", () =>
    Effect.gen(function*() {
      const failing = (when: string) => ({
        ...config,
        rewrite: [],
        max_attempts: 1,
        executor: {
          kind: "command",
          command: ["node", "-e", `${when} console.log(1); else throw Error("no database")`]
        }
      })
      const folder = yield* agentFolder({
        "some.json": failing("if (require('fs').readFileSync(0, 'utf8').includes('sum-1'))"),
        "none.json": failing("if (false)")
      })
      const told = /^ {4}\| Error: no database$[^]*^One of them: tau rollout run-000\d-\w{6}-val-000\d$/m
      const some = yield* ask(folder, "baseline", "own.txt", "--config=some.json")
      assert.strictEqual(some.code, 0, some.stderr)
      assert.include(some.stdout, "3 episodes of 3 cases, 2 failed\n")
      assert.match(some.stderr, told)
      const none = yield* ask(folder, "baseline", "own.txt", "--config=none.json")
      assert.strictEqual(none.code, 1)
      assert.match(none.stderr, told)
      assert.include(none.stderr, "\ntau: no report was written: none of the 3 episodes succeeded")
    }))

  it.scopedLive("says of a run that was cancelled that the same command begins a new one", () =>
    Effect.gen(function*() {
      const waits = "require('fs').writeFileSync('begun', ''); setInterval(() => {}, 1_000)"
      const executor = { kind: "command", command: ["node", "-e", waits] }
      const folder = yield* agentFolder({ "waits.json": { ...config, executor } })
      const running = yield* startTau(folder, suiteArgs("baseline", "own.txt", "--config=waits.json"))
      yield* eventually("an agent", Effect.sync(() => existsSync(join(folder, "begun")) ? true : undefined))
      assert.strictEqual((yield* tau(folder, ["--prompt-optimization-control-cancel"])).code, 0)
      assert.strictEqual(yield* running.exit, 1)
      assert.match(
        running.stderr(),
        /\ntau: no report was written: the run run-0001-\w{6} was cancelled; the same command begins a new one\n$/
      )
    }))

  it.scoped("refuses, before any call, an agent that could not be asked the suite", () =>
    Effect.gen(function*() {
      const folder = yield* agentFolder({
        "asks.json": { ...config, optimize: [{ q: "?" }], rewrite: [], executor: { kind: "chat", user: "{{q}}" } },
        "names.json": {
          ...config,
          rewrite: [],
          resources: { ton: "kind" },
          executor: { kind: "chat", parameters: { user: "{{resources.ton}}" } }
        },
        "alike.json": { ...config, rewrite: [], executor: { kind: "chat", user: "Go on." } },
        "absent.json": { ...config, executor: { kind: "command", command: ["./absent.mjs"] } }
      })
      for (
        const [flags, message] of [
          [
            ["tone.json", "--config=agent.json"],
            "agent.json: $.rewrite[0].component: expected the name of a text in --resources tone.json, found \"system_prompt\""
          ],
          [
            ["tone.json", "--config=names.json"],
            "names.json: $.executor.parameters.user: expected the name of a resource in --resources tone.json, "
            + "found \"ton\"; did you mean \"tone\"?"
          ],
          [["own.txt", "--config=asks.json"], "case sum-1: expected the field \"q\" that $.executor.user names"],
          [["own.txt", "--config=alike.json"], "alike.json: $.executor.user: expected a placeholder for a field"],
          [["own.txt", "--config=absent.json"], "$.executor.command[0]: expected a program, found nothing at "],
          [["own.txt", "--config=none.json"], "none.json"],
          [["own.txt", "--config=agent.json", "--temperature=1"], "--temperature is for one chat call: with --config"]
        ] as const
      ) {
        const [resources, ...more] = flags
        const { code, stderr } = yield* ask(folder, "baseline", resources, ...more)
        assert.strictEqual(code, 2, stderr)
        assert.include(stderr, message)
      }
      const store = join(folder, ".tau/training/store.sqlite")
      assert.deepStrictEqual(rowsOf(store, "SELECT id FROM runs"), [])
    }))
})
