import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chmodSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { tau } from "../support/command.js"
import { query, resultIn, searched, startSearch, storeIn } from "../support/searchRuns.js"
import { searchConfig, searchUpstream } from "../support/searchUpstream.js"
import { scratchFolder } from "../support/store.js"
import { eventually, upstream } from "../support/upstream.js"

describe("The settings of a search, end to end", { timeout: 120_000 }, () => {
  it.scopedLive("is refused before anything is written where there is no text to search over", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin, served } = yield* searchUpstream()
      const config = searchConfig(origin, { resources: undefined, optimizer: { components: ["system_prompt"] } })
      for (const flags of [[], ["--dry-run"]]) {
        const { code, stderr } = yield* searched(folder, config, flags)
        assert.strictEqual(code, 2)
        assert.strictEqual(
          stderr,
          "tau: config.json: $.resources: expected a text to optimize, a system_prompt say, found none in \"resources\", " +
            `or in the latest version of them in ${storeIn(folder)}\n`
        )
        assert.deepStrictEqual(readdirSync(folder), ["config.json"])
      }
      assert.lengthOf(served, 0)
    }))

  it.scopedLive("begins with the latest resources in the store where the config gives none", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin } = yield* searchUpstream()
      const texts = { system_prompt: "Obey rule number 1.", tone: "dry" }
      const { optimizer: _, ...evaluated } = searchConfig(origin, { validate: 1, resources: texts })
      assert.strictEqual((yield* searched(folder, evaluated)).code, 0)
      const without = (components: ReadonlyArray<string>) =>
        searchConfig(origin, { validate: 20, resources: undefined, optimizer: { max_rollouts: 40, components } })
      const misnamed = yield* searched(folder, without(["tonne"]))
      assert.strictEqual(misnamed.code, 2)
      assert.match(
        misnamed.stderr,
        /\$\.optimizer\.components\[0\]: expected the name of a text in "resources", or in the latest version of them in .*, found "tonne"; did you mean "tone"\?/
      )
      assert.strictEqual((yield* searched(folder, without(["system_prompt"]), ["--dry-run"])).code, 0)
      const { code, stderr } = yield* searched(folder, without(["system_prompt"]))
      assert.strictEqual(code, 0, stderr)
      const [seed] = query<{ texts: string }>(folder, "SELECT texts FROM search_candidates WHERE n = 0")
      assert.deepStrictEqual(JSON.parse(seed!.texts), { system_prompt: texts.system_prompt })
    }))

  it.scopedLive("hold tokens and dollars from the first rollout on", () =>
    Effect.gen(function*() {
      // A call is 15 tokens: 10 in, 5 out. The selection examples alone would come to 600.
      const spent = (optimizer: object) =>
        Effect.gen(function*() {
          const folder = yield* scratchFolder
          const { origin, served } = yield* searchUpstream()
          const { code, stderr } = yield* searched(folder, searchConfig(origin, { optimizer }))
          assert.strictEqual(code, 0, stderr)
          const { reason, spent } = resultIn(folder)
          assert.strictEqual(spent.tokens, 15 * served.length)
          return [reason, served.length]
        })
      assert.deepStrictEqual(yield* spent({ max_tokens: 100 }), ["tokens", 1])
      const prices = { "openai/agent": { input: 1, output: 10 }, reflector: { input: 1, output: 10 } }
      assert.deepStrictEqual(yield* spent({ max_usd: 0.001, prices: { ...prices, agent: prices.reflector } }), [
        "usd",
        1
      ])
      const [reason, calls] = yield* spent({ max_tokens: 900 })
      assert.strictEqual(reason, "tokens")
      assert.isAbove(Number(calls), 40)
      assert.isAtMost(15 * Number(calls), 900)
    }))

  it.scopedLive("give a search no more seconds where the clock is set back an hour before it is resumed", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin, pace, served } = yield* searchUpstream()
      const config = searchConfig(origin, { optimizer: { max_seconds: 1 } })
      pace.latencyMs = 60_000
      yield* Effect.scoped(Effect.gen(function*() {
        const command = yield* startSearch(folder, config)
        yield* eventually("a call", Effect.sync(() => served.length > 0 ? true : undefined))
        command.process.kill("SIGKILL")
        yield* command.exit
      }))
      pace.latencyMs = 150
      const setBack = "const { now } = Date; Date.now = () => now() - 3_600_000;" +
        "Object.defineProperty(performance, 'timeOrigin', { value: performance.timeOrigin - 3_600_000 })"
      const resumed = yield* startSearch(folder, config, [], {
        NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(setBack)}`
      })
      assert.strictEqual(yield* resumed.exit, 0, resumed.stderr())
      const { search } = JSON.parse(resumed.stdout()) as {
        search: { ended: string; budget: { seconds: { spent: number } } }
      }
      assert.strictEqual(search.ended, "seconds")
      assert.isAtLeast(search.budget.seconds.spent, 0)
    }))

  it.scopedLive("tell what a search cost that came to no end, and that a price is unknown", () =>
    Effect.gen(function*() {
      const { origin } = yield* searchUpstream()
      const spentWith = (prices: object) =>
        Effect.gen(function*() {
          const folder = yield* scratchFolder
          const config = searchConfig(origin, {
            scoring: [{ kind: "command", command: ["false"] }],
            optimizer: { prices }
          })
          assert.strictEqual((yield* searched(folder, { ...config, max_attempts: 1 })).code, 1)
          const { stdout } = yield* tau(folder, ["report", `--store=${storeIn(folder)}`, "--json"])
          const { budget: { tokens, usd } } = JSON.parse(stdout) as {
            budget: { tokens: { spent: number }; usd: { spent: number; unpriced: string | null } }
          }
          assert.isAbove(tokens.spent, 0)
          return { perToken: usd.spent / tokens.spent, unpriced: usd.unpriced }
        })
      assert.deepStrictEqual(yield* spentWith({}), { perToken: 0, unpriced: "agent" })
      const { perToken, unpriced } = yield* spentWith({ agent: { input: 3, output: 3 } })
      assert.closeTo(perToken, 3e-6, 1e-12)
      assert.isNull(unpriced)
    }))

  it.scopedLive("tell how many proposals were known already", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin } = yield* searchUpstream()
      const reflection_url = yield* upstream((request, response) => {
        request.resume()
        const message = { role: "assistant", content: "```\nAnswer.\n```" }
        response.writeHead(200, { "content-type": "application/json" })
        response.end(JSON.stringify({ object: "chat.completion", choices: [{ index: 0, message }] }))
      })
      const config = searchConfig(origin, {
        optimizer: { algorithm: "gepa", reflection_url, max_rollouts: 120, stallLimit: 3 }
      })
      assert.strictEqual((yield* searched(folder, config)).code, 0)
      const { n } = query<{ n: number }>(
        folder,
        "SELECT count(*) AS n FROM search_events WHERE data LIKE '%\"seen\"%'"
      )[0]!
      assert.isAbove(n, 0)
      const { stdout } = yield* tau(folder, ["report", `--store=${storeIn(folder)}`])
      assert.include(stdout, n === 1 ? "  1 answer (seen):" : `  ${n} answers (seen), the last:`)
    }))

  it.scopedLive("is refused where dollars are limited and a judge's price is unknown", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin } = yield* searchUpstream()
      const price = { input: 1, output: 1 }
      const config = searchConfig(origin, {
        scoring: [{ kind: "judge", rubric: "Good?", model: "openai/judge-of-mine" }],
        optimizer: { max_usd: 1, prices: { "openai/agent": price, "openai/reflector": price } }
      })
      // What a dry run lets pass, the run must not refuse.
      for (const flags of [[], ["--dry-run"]]) {
        const { code, stderr } = yield* searched(folder, config, flags)
        assert.strictEqual(code, 2, stderr)
        assert.match(stderr, /\$\.optimizer\.max_usd needs the price of openai\/judge-of-mine/)
      }
    }))

  it.scopedLive("is refused where a program that it names is not there", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin, served } = yield* searchUpstream()
      const refused = (executor: object, scoring?: object) =>
        Effect.gen(function*() {
          const config = searchConfig(origin, {
            executor: { kind: "command", ...executor },
            ...(scoring !== undefined && { scoring: [scoring] })
          })
          const told = yield* Effect.forEach([[], ["--dry-run"]], (flags) => searched(folder, config, flags))
          assert.deepStrictEqual(told.map(({ code }) => code), [2, 2])
          assert.strictEqual(told[0]!.stderr, told[1]!.stderr)
          return told[0]!.stderr
        })
      assert.strictEqual(
        yield* refused({ command: ["python33", "agent.py"] }),
        "tau: config.json: $.executor.command[0]: expected a program, found \"python33\", which is in no directory of PATH\n"
      )
      assert.strictEqual(
        yield* refused({ command: ["node"], env: { PATH: "/nowhere" } }),
        "tau: config.json: $.executor.command[0]: expected a program, found \"node\", which is in no directory of PATH\n"
      )
      assert.strictEqual(
        yield* refused({ command: ["./agent.sh"], cwd: "agents" }, { kind: "command", command: ["./judge"] }),
        `tau: config.json: $.executor.cwd: expected a folder, found none at ${join(folder, "agents")}\n`
          + `tau: config.json: $.scoring[0].command[0]: expected a program, found nothing at ${join(folder, "judge")}\n`
      )
      writeFileSync(join(folder, "agent.sh"), "#!/bin/sh\n")
      assert.strictEqual(
        yield* refused({ command: ["./agent.sh"] }),
        `tau: config.json: $.executor.command[0]: expected a program, found no executable file at ${
          join(folder, "agent.sh")
        }\n`
      )
      chmodSync(join(folder, "agent.sh"), 0o755)
      const config = searchConfig(origin, { executor: { kind: "command", command: ["./agent.sh"], cwd: "." } })
      assert.strictEqual((yield* searched(folder, config, ["--dry-run"])).code, 0)
      rmSync(join(folder, "agent.sh"))
      assert.deepStrictEqual(readdirSync(folder), ["config.json"])
      assert.lengthOf(served, 0)
    }))

  it.scopedLive("reach the algorithm under its own names", () =>
    Effect.gen(function*() {
      const prompts = (optimizer: object) =>
        Effect.gen(function*() {
          const folder = yield* scratchFolder
          const { origin, served } = yield* searchUpstream()
          const config = searchConfig(origin, { optimizer: { max_rollouts: 100, ...optimizer } })
          const { code, stderr } = yield* searched(folder, config)
          assert.strictEqual(code, 0, stderr)
          return served.flatMap(({ key, model }) => model === "reflector" ? [key] : [])
        })
      const plain = yield* prompts({})
      const bare = yield* prompts({ hypotheses: false, rejectedMemory: false, minibatch: 2 })
      const runsIn = (prompt: string) => prompt.split(/^# Run \d+$/m).length - 1
      assert.isTrue(plain.every((prompt) => prompt.includes("hypotheses")))
      assert.isTrue(plain.some((prompt) => runsIn(prompt) > 2))
      assert.isNotEmpty(bare)
      for (const prompt of bare) {
        assert.notInclude(prompt, "hypotheses")
        assert.isAtMost(runsIn(prompt), 2)
      }
    }))
})
