import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, rmdirSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { printed, startProcess, startTau, tau } from "../support/command.js"
import { roomsModel } from "../support/roomsModel.js"
import { scratchFolder } from "../support/store.js"
import { upstream, withBody } from "../support/upstream.js"

const agent = join(import.meta.dirname, "../../examples/agents/rooms_agent.py")

const own = "You book meeting rooms.\nLook rooms up before you answer, and name the smallest that fits."

const tasks = ["A room for 3", "A room for 7", "A room for 12", "A room for 3"]

/** A store with the calls of an agent that was pointed at a capture proxy. */
const captured = (folder: string, url: string) =>
  Effect.scoped(Effect.gen(function*() {
    const proxy = yield* startTau(folder, [
      "--prompt-optimization-proxy-server",
      "--prompt-optimization-proxy-bind=127.0.0.1:0",
      `--prompt-optimization-proxy-upstream-url=${url}`
    ])
    const origin = yield* printed(proxy, /(http:\/\/127\.0\.0\.1:\d+)/)
    for (const task of tasks) {
      const run = yield* startProcess(folder, "python3", [agent], { OPENAI_BASE_URL: `${origin}/v1` }, task)
      assert.strictEqual(yield* run.exit, 0, run.stderr())
    }
    proxy.process.kill("SIGTERM")
    assert.strictEqual(yield* proxy.exit, 0, proxy.stderr())
  }))

const jsonOf = (text: string) => JSON.parse(text) as Record<string, never>

const runArgs = (config: string, url: string) => [
  "--model=openai/gpt-4o-mini",
  `--prompt-optimization-config=${config}`,
  `--prompt-optimization-proxy-upstream-url=${url}`,
  "--prompt-optimization-json"
]

describe("from traffic to a run", { timeout: 240_000 }, () => {
  it.scopedLive("finds an agent's texts, builds examples of its sessions, and both run as they stand", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* roomsModel
      const folder = yield* scratchFolder
      yield* captured(folder, url)

      const discovered = yield* tau(folder, ["resources", "discover", "--json"])
      assert.strictEqual(discovered.code, 0, discovered.stderr)
      const { calls, config, texts } = jsonOf(discovered.stdout) as Record<string, unknown>
      assert.strictEqual(calls, 8)
      assert.deepInclude((texts as ReadonlyArray<object>)[0]!, {
        component: "system_prompt",
        place: "system",
        calls: 8,
        share: 1,
        forms: 1,
        first_line: "You book meeting rooms."
      })
      const fragment = {
        resources: { system_prompt: own, find_rooms_description: "Lists rooms – with at least so many seats." },
        rewrite: [
          { component: "system_prompt", where: { kind: "system", equal: own } },
          { component: "find_rooms_description", where: { kind: "tool_description", tool: "find_rooms" } }
        ]
      }
      assert.deepStrictEqual(config, fragment)
      const page = yield* tau(folder, ["resources", "discover"])
      assert.match(page.stdout, /^system_prompt +system +8 +100% +\d+ +1 +You book /m)
      assert.deepStrictEqual(jsonOf(page.stdout.slice(page.stdout.indexOf("\n{"))), fragment as never)
      assert.strictEqual((yield* tau(folder, ["resources", "discover", "--after=1"])).code, 2)
      assert.include((yield* tau(folder, ["resources"])).stdout, "No resources in")

      const build = ["dataset", "build", "--json", "--command", `python3 '${agent}'`, "--out=out", "--fraction=0.5"]
      const built = yield* tau(folder, build)
      assert.strictEqual(built.code, 0, built.stderr)
      assert.deepInclude(jsonOf(built.stdout) as object, {
        sessions: 4,
        components: ["system_prompt", "find_rooms_description"],
        skipped: { no_input: 0, no_answer: 0, impaired: 0, short: 0, duplicate: 1, beyond_limit: 0 }
      })
      const lines = readFileSync(join(folder, "out/dataset.jsonl"), "utf8").trimEnd().split("\n")
        .map((line) => JSON.parse(line) as Record<string, string>)
      assert.deepStrictEqual(lines.map(({ expected, prompt }) => [prompt, expected]), [
        ["A room for 7", "Grace"],
        ["A room for 12", "Alan"],
        ["A room for 3", "Ada"]
      ])
      const written = jsonOf(readFileSync(join(folder, "out/config.json"), "utf8")) as unknown as {
        readonly optimize: ReadonlyArray<object>
        readonly validate: ReadonlyArray<object>
      }
      assert.deepInclude(written as object, fragment)
      for (const split of ["optimize", "validate"] as const) {
        assert.deepStrictEqual(
          written[split],
          lines.filter((line) => line["split"] === split).map(({ expected, prompt }) => ({ prompt, expected }))
        )
      }

      asked.length = 0
      const ran = yield* tau(folder, runArgs("out/config.json", url), { OPENAI_API_KEY: "k" })
      assert.strictEqual(ran.code, 0, ran.stderr)
      assert.deepInclude(jsonOf(ran.stdout) as object, {
        succeeded: 3,
        calls: 6,
        rewrites: [
          { rule: 0, component: "system_prompt", matched: 6, missed: 0 },
          { rule: 1, component: "find_rooms_description", matched: 6, missed: 0 }
        ]
      })

      const again = yield* tau(folder, build)
      assert.strictEqual(again.code, 1)
      assert.match(again.stderr, /would be overwritten; .*--out names another folder/)
      const refused = (...args: ReadonlyArray<string>) =>
        Effect.map(tau(folder, ["dataset", "build", ...args]), ({ code, stderr }) => {
          assert.strictEqual(code, 1)
          return stderr
        })
      mkdirSync(join(folder, "odd/config.json"), { recursive: true })
      symlinkSync("nowhere", join(folder, "odd/dataset.jsonl"))
      const isFolder = "tau: odd/config.json: a folder stands where a file was expected; nothing was written\n"
      assert.strictEqual(yield* refused("--out=odd", "--force"), isFolder)
      rmdirSync(join(folder, "odd/config.json"))
      assert.match(yield* refused("--out=odd"), /^tau: odd\/dataset\.jsonl would be overwritten; /)
      assert.deepStrictEqual(readdirSync(join(folder, "odd")), ["dataset.jsonl"])
      execFileSync("mkfifo", [join(folder, "odd/config.json")])
      assert.match(yield* refused("--out=odd", "--force"), /^tau: odd\/config\.json: expected a regular file; nothing/)
      const isFile = "tau: out/config.json: a file stands where a folder was expected; nothing was written\n"
      assert.strictEqual(yield* refused("--out=out/config.json"), isFile)
      const forced = yield* tau(folder, ["dataset", "build", "--force", "--out=out", "--answer=reference"])
      assert.strictEqual(forced.code, 0, forced.stderr)
      assert.include(forced.stdout, "To run it: tau --model PROVIDER/gpt-4o-mini")
      const [first, second] = forced.stdout.split("\n")
      assert.match(`${first} ${second}`, /^\d examples? to optimize on and .* \(left out: 1 asked again\)\./)
      assert.isAtMost(first!.length, 80)
      const chat = jsonOf(readFileSync(join(folder, "out/config.json"), "utf8")) as object
      assert.deepInclude(chat, { resources: { system_prompt: own }, executor: { kind: "chat" } })
      assert.notProperty(chat, "scoring")
      const asked2 = yield* tau(folder, runArgs("out/config.json", url), { OPENAI_API_KEY: "k" })
      assert.strictEqual(asked2.code, 0, asked2.stderr)
      // The two runs have made calls by now: none of them is taken unasked.
      assert.include((yield* tau(folder, ["dataset", "build", "--out=no", "--min-input=99"])).stderr, "4 too short")
      const { runs } = jsonOf((yield* tau(folder, ["runs", "--json"])).stdout) as unknown as {
        readonly runs: ReadonlyArray<{ readonly id: string }>
      }
      const ofRun = yield* tau(folder, ["dataset", "build", "--out=run", "--json", `--run=${runs[1]!.id}`])
      assert.strictEqual(ofRun.code, 0, ofRun.stderr)
      assert.deepInclude(jsonOf(ofRun.stdout) as object, { sessions: 3 })
    }))

  it.scopedLive("says whose sessions they are where a store has several agents, and takes those of one", () =>
    Effect.gen(function*() {
      const origin = yield* upstream(withBody((body, _, response) => {
        const { messages } = JSON.parse(body.toString()) as { messages: ReadonlyArray<{ content: string }> }
        const [system, question] = messages.map(({ content }) => content)
        const content = system!.includes("numbers") ? `-${question![0]}.5` : `re: ${question}`
        const message = { role: "assistant", content }
        response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({
          object: "chat.completion",
          model: "sim/answers",
          choices: [{ index: 0, message, finish_reason: "stop" }]
        }))
      }))
      const folder = yield* scratchFolder
      const translator = "You translate into French."
      yield* Effect.scoped(Effect.gen(function*() {
        const proxy = yield* startTau(folder, [
          "--prompt-optimization-proxy-server",
          "--prompt-optimization-proxy-bind=127.0.0.1:0",
          `--prompt-optimization-proxy-upstream-url=${origin}`
        ])
        const base = yield* printed(proxy, /(http:\/\/127\.0\.0\.1:\d+)/)
        const ask = (system: string, content: string) =>
          Effect.promise(() =>
            fetch(`${base}/v1/chat/completions`, {
              method: "POST",
              headers: { "content-type": "application/json" },
              body: JSON.stringify({
                model: "sim/answers",
                messages: [{ role: "system", content: system }, { role: "user", content }]
              })
            }).then((response) => response.text())
          )
        for (const n of [1, 2, 3]) yield* ask(`You add numbers.\nIt is ${n} o'clock.`, `${n} + 1`)
        for (const n of [1, 2]) yield* ask(translator, `word ${n}`)
        proxy.process.kill("SIGTERM")
        yield* proxy.exit
      }))

      const mixed = yield* tau(folder, ["dataset", "build", "--out=mixed"])
      assert.include(
        mixed.stdout,
        "These look like several agents, by their system messages. --system TEXT takes the sessions of one:\n"
          + "  3  You add numbers. It is 1 o'clock.\n  2  You translate into French.\n"
          + "If they are prompts of one agent, name an attempt for each task, and record anew: see docs/datasets.md\n"
      )
      // Its answers came out of a file, which nobody else has.
      assert.include(mixed.stdout, "To run it: tau --model sim/ANSWERS.json ")

      const build = ["dataset", "build", "--out=one", "--system=French", "--command=node agent.mjs"]
      const one = yield* tau(folder, [...build, "--json"])
      assert.strictEqual(one.code, 0, one.stderr)
      assert.deepInclude(jsonOf(one.stdout) as object, {
        sessions: 2,
        components: ["system_prompt"],
        agents: [{ sessions: 2, system: translator }]
      })
      assert.deepInclude(jsonOf(readFileSync(join(folder, "one/config.json"), "utf8")) as object, {
        resources: { system_prompt: translator }
      })

      // Answers that are all numbers are compared as numbers; the model that answered most is the one to run.
      const store = new Sqlite(join(folder, ".tau/training/store.sqlite"))
      store.exec(
        "UPDATE spans SET model = 'sim/arithmetic' WHERE rowid IN (SELECT rowid FROM spans ORDER BY span_id DESC LIMIT 3)"
      )
      const numbers = yield* tau(folder, ["dataset", "build", "--out=numbers", "--system=numbers"])
      assert.include(numbers.stdout, "To run it: tau --model sim/ANSWERS.json ")
      const scoringIn = (out: string) =>
        (jsonOf(readFileSync(join(folder, out, "config.json"), "utf8")) as Record<string, unknown>)["scoring"]
      assert.deepStrictEqual([scoringIn("numbers"), scoringIn("mixed")], [[{ kind: "numeric" }], [{
        kind: "exact_match"
      }]])
      assert.include(
        (yield* tau(folder, ["dataset", "build", "--out=mixed", "--force"])).stdout,
        "To run it: tau --model sim/arithmetic "
      )

      const none = yield* tau(folder, ["dataset", "build", "--out=none", "--system=Spanish"])
      assert.strictEqual(none.code, 1)
      assert.include(
        none.stderr,
        "none of 5 sessions has \"Spanish\" in its system message; they have \"You add numbers. "
      )

      // What came too late for its attempt, was given out of the record, failed, was asked again, or is not the agent's own work.
      const spoilt = [
        `attributes = json_set(attributes, '$."tau.late"', json('true'))`,
        `attributes = json_set(attributes, '$."tau.replayed"', json('true'))`,
        "status_code = 400",
        "retried_by = 'another'",
        `attributes = json_set(attributes, '$."tau.call.role"', 'title')`
      ]
      const ids = store.prepare("SELECT span_id FROM spans ORDER BY span_id").pluck().all()
      for (const [at, change] of spoilt.entries()) {
        store.prepare(`UPDATE spans SET ${change} WHERE span_id = ?`).run(ids[at])
      }
      store.close()
      const nothing = yield* tau(folder, ["dataset", "build", "--out=nothing"])
      assert.match(
        nothing.stderr,
        /^tau: none of 0 captured sessions in \S+ gives an example \(--run takes the calls of a run\); nothing was written$/m
      )
    }))
})
