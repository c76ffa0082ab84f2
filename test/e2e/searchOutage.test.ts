import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { brokenInvariants } from "../../src/store/Invariants.js"
import { readOnly } from "../../src/store/Sqlite.js"
import { finishedIn, query, record, searched, startSearch, storeIn } from "../support/searchRuns.js"
import { searchConfig, searchUpstream } from "../support/searchUpstream.js"
import { scratchFolder } from "../support/store.js"
import { eventually, upstream } from "../support/upstream.js"

/** The error that a run ended with, its lines as one. */
const lastLine = (stderr: string) => stderr.slice(stderr.lastIndexOf("\ntau: ")).trim().replaceAll("\n", " ")

const attemptsIn = (folder: string) => query<{ n: number }>(folder, "SELECT count(*) AS n FROM attempts")[0]!.n

const stepsIn = (folder: string) => query(folder, "SELECT n, chain FROM search_steps ORDER BY n")

/** The same command ends the search now, over the steps that it had taken before. */
const goesOn = (folder: string, config: Parameters<typeof searched>[1]) =>
  Effect.gen(function*() {
    const steps = stepsIn(folder)
    const { code, stderr } = yield* searched(folder, config)
    assert.strictEqual(code, 0, stderr)
    assert.isNotEmpty(steps)
    assert.deepStrictEqual(stepsIn(folder).slice(0, steps.length), steps)
  })

/** An agent behind a command, which asks its model through the run's proxy. */
const agentProgram = `
let text = ""
for await (const chunk of process.stdin) text += chunk
const { OPENAI_API_KEY, OPENAI_BASE_URL, TAU_MODEL, TAU_RESOURCES_DIR } = process.env
const { readFileSync } = await import("node:fs")
const answer = await fetch(OPENAI_BASE_URL + "/chat/completions", {
  method: "POST",
  headers: { authorization: "Bearer " + OPENAI_API_KEY, "content-type": "application/json" },
  body: JSON.stringify({
    model: TAU_MODEL,
    messages: [
      { role: "system", content: readFileSync(TAU_RESOURCES_DIR + "/system_prompt", "utf8") },
      { role: "user", content: JSON.parse(text).prompt }
    ]
  })
})
if (!answer.ok) process.exit(1)
process.stdout.write((await answer.json()).choices[0].message.content)
`

describe("A search whose rollouts or reflections fail for want of what they need", { timeout: 240_000 }, () => {
  it.scopedLive("stops while its model is away, and is then what it would have been without the outage", () =>
    Effect.gen(function*() {
      const outage = { from: Infinity }
      const { origin, pace, served } = yield* searchUpstream({
        fault: ({ model }, n) => model === "agent" && n >= outage.from ? 503 : null
      })
      const config = searchConfig(origin, { max_attempts: 1, worker_count: 8, optimizer: { max_rollouts: 150 } })
      const undisturbed = yield* scratchFolder
      assert.strictEqual((yield* searched(undisturbed, config)).code, 0)
      const expected = record(undisturbed)

      const folder = yield* scratchFolder
      served.length = 0
      outage.from = 25
      const stopped = yield* searched(folder, config)
      assert.strictEqual(stopped.code, 1)
      const message =
        "tau: 15 of 40 rollouts failed because their model answered 503 (not now with [REDACTED]): a search would "
        + "optimize noise; bring the model back and run the same command again to go on"
      assert.strictEqual(lastLine(stopped.stderr), message)
      // What it came to until then, programs read on stdout.
      assert.deepNestedInclude(JSON.parse(stopped.stdout), {
        run_state: "failed",
        stopped_reason: "error",
        failed: 15,
        "failures[0].error": "the model call was answered with 503: not now with [REDACTED]",
        "search.stopped": "error"
      })
      assert.strictEqual(attemptsIn(folder), 40)

      // The model is still away: those that failed are tried once more, and it ends as before.
      const again = yield* searched(folder, config)
      assert.deepStrictEqual([again.code, lastLine(again.stderr)], [1, message])
      assert.match(
        again.stderr,
        /^resuming run \S+: 25 of 40 rollouts already finished, 15 that failed put back in the queue,/m
      )
      assert.strictEqual(attemptsIn(folder), 55)

      // It is back, and the run is killed once more on its way.
      outage.from = Infinity
      pace.latencyMs = 5
      yield* Effect.scoped(Effect.gen(function*() {
        const command = yield* startSearch(folder, config)
        yield* eventually("half of it", Effect.sync(() => finishedIn(folder) >= 70 ? true : undefined))
        command.process.kill("SIGKILL")
        yield* command.exit
      }))
      pace.latencyMs = 0
      const last = yield* searched(folder, config)
      assert.strictEqual(last.code, 0, last.stderr)
      assert.deepStrictEqual(record(folder), expected)
      // A drill asks the same of a search.
      assert.deepStrictEqual(yield* Effect.provide(brokenInvariants, readOnly(storeIn(folder))), [])
    }))

  it.scopedLive("lets no gate decide by a model that went only then, however much went well before", () =>
    Effect.gen(function*() {
      const outage = { from: Infinity }
      const { origin, served } = yield* searchUpstream({
        fault: ({ model }, n) => model === "agent" && n >= outage.from ? 401 : null
      })
      const config = searchConfig(origin, { validate: 80, worker_count: 8, optimizer: { max_rollouts: 250 } })
      const undisturbed = yield* scratchFolder
      assert.strictEqual((yield* searched(undisturbed, config)).code, 0)
      const expected = record(undisturbed)
      assert.include(JSON.stringify(expected.events), "gate_decided")
      // The gate makes 20 rollouts between two looks.
      outage.from = served.length - 20
      served.length = 0

      const folder = yield* scratchFolder
      const { code, stderr } = yield* searched(folder, config)
      assert.strictEqual(code, 1)
      assert.strictEqual(
        lastLine(stderr),
        "tau: 20 of the last 20 rollouts failed because their model answered 401 (not now "
          + "with [REDACTED]): a search would optimize noise; mend the model's key or its account and run the same command again "
          + "to go on"
      )
      outage.from = Infinity
      const again = yield* searched(folder, config)
      assert.strictEqual(again.code, 0, again.stderr)
      assert.deepStrictEqual(record(folder), expected)
    }))

  it.scopedLive("stops at once where its reflection model is refused, and is then what it would have been", () =>
    Effect.gen(function*() {
      const key = { isWrong: false, status: 401 }
      const { origin } = yield* searchUpstream({
        fault: ({ model }) => model === "reflector" && key.isWrong ? key.status : null
      })
      const config = searchConfig(origin, { worker_count: 8, optimizer: { max_rollouts: 150 } })
      const undisturbed = yield* scratchFolder
      assert.strictEqual((yield* searched(undisturbed, config)).code, 0)

      const folder = yield* scratchFolder
      key.isWrong = true
      for (const status of [401, 402]) {
        key.status = status
        const { code, stderr } = yield* searched(folder, config)
        assert.strictEqual(code, 1)
        assert.strictEqual(
          lastLine(stderr),
          `tau: the last reflection failed (the reflection model answered ${status}: not now with [REDACTED]): without its `
            + "reflection model a search finds nothing; mend that and run the same command again to go on"
        )
        assert.deepStrictEqual(query(folder, "SELECT failure FROM search_reflections WHERE answer IS NOT NULL"), [])
      }
      key.isWrong = false
      const { code, stderr } = yield* searched(folder, config)
      assert.strictEqual(code, 0, stderr)
      assert.deepStrictEqual(record(folder), record(undisturbed))
      assert.deepStrictEqual(yield* Effect.provide(brokenInvariants, readOnly(storeIn(folder))), [])
    }))

  it.scopedLive("ends at its first rollout where no call tells its usage, and dollars or tokens are limited", () =>
    Effect.gen(function*() {
      const url = yield* upstream((_, response) => response.end("{\"choices\":[{\"message\":{\"content\":\"no\"}}]}"))
      for (const limit of [{ max_tokens: 500 }, { max_usd: 1, prices: { agent: { input: 1, output: 1 } } }]) {
        const folder = yield* scratchFolder
        const { code, stderr, stdout } = yield* searched(folder, {
          ...searchConfig(url, { validate: 10, optimizer: { ...limit, reflection_model: "openai/agent" } }),
          scoring: [{ kind: "regex", pattern: "yes" }]
        })
        assert.strictEqual(code, 0, stderr)
        assert.strictEqual((JSON.parse(stdout) as { search: { ended: string } }).search.ended, "unmetered")
        assert.strictEqual(attemptsIn(folder), 1)
      }
    }))

  it.scopedLive("stops when five reflections in a row failed, and asks for the last one again", () =>
    Effect.gen(function*() {
      const outage = { isOn: true }
      const { origin } = yield* searchUpstream({
        fault: ({ model }) => model === "reflector" && outage.isOn ? 422 : null
      })
      const config = searchConfig(origin, { optimizer: { algorithm: "gepa", max_rollouts: 150 } })
      const folder = yield* scratchFolder
      const stopped = yield* searched(folder, config)
      assert.strictEqual(stopped.code, 1)
      assert.match(
        lastLine(stopped.stderr),
        /^tau: the last 5 reflections failed \(the reflection model answered 422: not now /
      )
      const few = yield* searched(yield* scratchFolder, {
        ...config,
        optimizer: { ...config.optimizer, max_reflections: 2 }
      })
      assert.strictEqual(few.code, 1)
      assert.strictEqual(
        lastLine(few.stderr),
        "tau: no reflection was answered: mend the reflection model and run the same command again"
      )
      assert.deepNestedInclude(JSON.parse(few.stdout), { run_state: "completed", "search.ended": "reflections" })
      assert.match(
        (JSON.parse(few.stdout) as { search: { verdict: string } }).search.verdict,
        /^No reflection was answered, so that nothing but the seed was looked at: the reflection model answered 422: /
      )
      outage.isOn = false
      yield* goesOn(folder, config)
      assert.deepStrictEqual(
        query(folder, "SELECT n FROM search_reflections WHERE failure IS NOT NULL ORDER BY n"),
        [0, 1, 2, 3].map((n) => ({ n }))
      )
    }))

  it.scopedLive("goes on over what it had decided on before its model was away", () =>
    Effect.gen(function*() {
      const outage = { from: 60 }
      const { origin } = yield* searchUpstream({
        fault: ({ model }, n) => model === "agent" && n >= outage.from ? 429 : null
      })
      const config = searchConfig(origin, { max_attempts: 1, optimizer: { algorithm: "gepa", max_rollouts: 150 } })
      const folder = yield* scratchFolder
      const stopped = yield* searched(folder, config)
      assert.strictEqual(stopped.code, 1)
      assert.match(lastLine(stopped.stderr), /^tau: \d+ of \d+ rollouts failed because their model answered 429 /)
      outage.from = Infinity
      yield* goesOn(folder, config)
    }))

  it.scopedLive("says of an agent's program which of its needs was missing, and goes on when it is there", () =>
    Effect.gen(function*() {
      const { origin, served } = yield* searchUpstream()
      const folder = yield* scratchFolder
      const config = (upstream: string) => ({
        ...searchConfig(origin, {
          validate: 16,
          max_attempts: 2,
          executor: { kind: "command", command: ["node", "agent.mjs"] },
          optimizer: { algorithm: "gepa", max_rollouts: 60, max_reflections: 4 }
        }),
        upstream_url: upstream
      })
      const started = yield* searched(folder, config(origin))
      assert.strictEqual(started.code, 1)
      assert.match(
        lastLine(started.stderr),
        /^tau: none of the seed's 16 rollouts succeeded, .*: 16 failed with "the agent exited with code 1", \S+ say; mend the agent and run the same command again to go on$/
      )
      assert.strictEqual(attemptsIn(folder), 32)
      assert.lengthOf(served, 0)

      writeFileSync(join(folder, "agent.mjs"), agentProgram)
      const away = yield* searched(folder, config("http://127.0.0.1:1"))
      assert.strictEqual(away.code, 1)
      assert.match(
        lastLine(away.stderr),
        /^tau: 16 of 16 rollouts failed because their model could not be reached \(the agent exited with code 1\): /
      )

      const { code, stderr } = yield* searched(folder, config(origin))
      assert.strictEqual(code, 0, stderr)
      assert.strictEqual(query(folder, "SELECT 1 FROM runs").length, 1)
      assert.isNotEmpty(served.filter(({ model }) => model === "reflector"))
    }))

  it.scopedLive("says so when a scorer could not judge", () =>
    Effect.gen(function*() {
      const { origin, served } = yield* searchUpstream()
      const folder = yield* scratchFolder
      const config = searchConfig(origin, {
        max_attempts: 1,
        scoring: [{ kind: "http", url: "http://127.0.0.1:1/score" }]
      })
      const { code, stderr } = yield* searched(folder, config)
      assert.strictEqual(code, 1)
      assert.match(
        lastLine(stderr),
        /^tau: 40 of 40 rollouts failed because their scorer could not judge \(scorer http failed: .*; mend the scorer and run/
      )
      assert.isEmpty(served.filter(({ model }) => model === "reflector"))
    }))

  it.scopedLive("shows its reflection model no rollout that could not be scored: no text can mend that", () =>
    Effect.gen(function*() {
      const { origin, served } = yield* searchUpstream()
      const folder = yield* scratchFolder
      const scorer = `let text = ""
        process.stdin.on("data", (chunk) => text += chunk).on("end", () => {
          const { example, output } = JSON.parse(text)
          if (example.prompt === "training question 3") process.exit(1)
          console.log(output === "right" ? 1 : 0)
        })`
      const config = searchConfig(origin, {
        validate: 10,
        max_attempts: 1,
        scoring: [{ kind: "command", command: ["node", "-e", scorer] }],
        optimizer: { max_rollouts: 100, max_reflections: 5 }
      })
      const { code, stderr } = yield* searched(folder, config)
      assert.strictEqual(code, 0, stderr)
      const prompts = served.filter(({ model }) => model === "reflector").map(({ key }) => key)
      assert.isNotEmpty(prompts)
      assert.isEmpty(prompts.filter((prompt) => /not scored|the agent failed|training question 3\b/.test(prompt)))
    }))
})
