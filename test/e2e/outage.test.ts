import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { query, searched } from "../support/searchRuns.js"
import { searchConfig, searchUpstream } from "../support/searchUpstream.js"
import { scratchFolder } from "../support/store.js"
import { upstream } from "../support/upstream.js"

describe("An evaluation whose model goes away", { timeout: 120_000 }, () => {
  it.scopedLive("is no success when a whole mode had no model, and the same command tries that mode again", () =>
    Effect.gen(function*() {
      const outage = { from: 6 }
      const { origin } = yield* searchUpstream({ fault: (_, n) => n >= outage.from ? 503 : null })
      const folder = yield* scratchFolder
      const { optimizer: _, ...given } = searchConfig(origin, { validate: 3, max_attempts: 1, worker_count: 1 })
      const config = { ...given, optimize: given.optimize.slice(0, 6) }
      const cause = "3 of 9 rollouts failed because their model answered 503 (not now with\n"
        + "[REDACTED]): their scores say nothing; bring the model back and run the same\n"
        + "command again to go on\n"
      for (const attempts of [9, 12]) {
        const { code, stderr, stdout } = yield* searched(folder, config)
        assert.strictEqual(code, 1)
        assert.include(stderr, cause)
        assert.deepInclude(JSON.parse(stdout), {
          run_state: "failed",
          stopped_reason: "error",
          succeeded: 6,
          failed: 3
        })
        // What failed for want of a model is no zero.
        const { scores } = JSON.parse(stdout) as { scores: ReadonlyArray<object> }
        assert.deepInclude(scores[0], { mode: "train", broken: 0, n: 6 })
        assert.notDeepInclude(scores[0], { mean: null })
        assert.deepInclude(scores[1], { mode: "val", broken: 3, mean: null, interval: null })
        assert.lengthOf(query(folder, "SELECT 1 FROM attempts"), attempts)
      }
      outage.from = Infinity
      const { code, stderr, stdout } = yield* searched(folder, config)
      assert.strictEqual(code, 0, stderr)
      assert.deepInclude(JSON.parse(stdout), { run_state: "completed", stopped_reason: null, start: 3, succeeded: 9 })
      assert.lengthOf(query(folder, "SELECT 1 FROM attempts"), 15)
      // What is over is over: the command begins anew.
      assert.match((yield* searched(folder, config)).stderr, /^new run run-0002-/m)
    }))

  it.scopedLive("is none either when its key was revoked or its account is empty, and the same command goes on once that is mended", () =>
    Effect.gen(function*() {
      for (const status of [401, 402, 403]) {
        const refused = { from: 6 }
        const { origin } = yield* searchUpstream({ fault: (_, n) => n >= refused.from ? status : null })
        const folder = yield* scratchFolder
        const { optimizer: _, ...given } = searchConfig(origin, { validate: 3, max_attempts: 1, worker_count: 1 })
        const config = { ...given, optimize: given.optimize.slice(0, 6) }
        const { code, stderr } = yield* searched(folder, config)
        assert.strictEqual(code, 1)
        assert.include(
          stderr,
          `3 of 9 rollouts failed because their model answered ${status} (not now with\n`
            + "[REDACTED]): their scores say nothing; mend the model's key or its account and\n"
            + "run the same command again to go on\n"
        )
        refused.from = Infinity
        const again = yield* searched(folder, config)
        assert.strictEqual(again.code, 0, again.stderr)
        assert.deepInclude(JSON.parse(again.stdout), { run_state: "completed", start: 2, succeeded: 9, failed: 0 })
      }
    }))

  it.scopedLive("is none either when its model said nothing, was none, or broke off in a choice", () =>
    Effect.gen(function*() {
      const page = "<html>Sign in to this network</html>"
      const lost = JSON.stringify({ choices: [{ message: { content: "" }, finish_reason: "error" }] })
      const good = JSON.stringify({ choices: [{ message: { content: "4" }, finish_reason: "stop" }] })
      for (
        const [answer, cause] of [
          [page, "its model's answer could not be read"],
          [null, "its model did not answer in time"],
          ["", "its model's answer could not be read"],
          [lost, "its model could not be reached"]
        ] as const
      ) {
        const away = { isAway: true }
        const url = yield* upstream((request, response) => {
          let body = ""
          request.on("data", (chunk) => body += String(chunk))
          request.on("end", () => {
            if (!away.isAway || !body.includes("v1")) return response.end(good)
            return answer === null ? null : response.end(answer)
          })
        })
        const folder = yield* scratchFolder
        const config = {
          optimize: [{ prompt: "t1", expected: "4" }],
          validate: [{ prompt: "v1", expected: "4" }],
          upstream_url: url,
          max_attempts: 1,
          attempt_timeout_secs: answer === null ? 1 : 60
        }
        const { code, stderr } = yield* searched(folder, config)
        assert.strictEqual(code, 1, answer ?? "nothing")
        assert.include(stderr, `1 of 2 rollouts failed because ${cause}`)
        away.isAway = false
        const again = yield* searched(folder, config)
        assert.strictEqual(again.code, 0, again.stderr)
        assert.deepInclude(JSON.parse(again.stdout), { run_state: "completed", start: 2, succeeded: 2 })
      }
    }))

  it.scopedLive("is its agent's affair when it went on after a refusal, and was answered", () =>
    Effect.gen(function*() {
      const url = yield* upstream((request, response) => {
        if (request.url?.includes("/first") === true) return response.writeHead(403).end("{}")
        return response.end("{}")
      })
      const folder = yield* scratchFolder
      const agent = `const headers = { authorization: "Bearer " + process.env.OPENAI_API_KEY }
        for (const path of ["first", "second"]) await fetch(process.env.OPENAI_BASE_URL + "/" + path, { headers })
        if (process.env.TAU_ROLLOUT_ID.includes("val")) process.exit(3)
        console.log(4)`
      const config = {
        optimize: [{ prompt: "t1", expected: "4" }],
        validate: [{ prompt: "v1", expected: "4" }],
        executor: { kind: "command", command: ["node", "--input-type=module", "-e", agent] },
        upstream_url: url,
        max_attempts: 1
      }
      const { code, stderr, stdout } = yield* searched(folder, config)
      assert.strictEqual(code, 0, stderr)
      assert.deepInclude(JSON.parse(stdout), { run_state: "completed", succeeded: 1, failed: 1 })
    }))

  it.scopedLive("is none either when the server of its agent had gone, and the same command goes on once it is back", () =>
    Effect.gen(function*() {
      let isThere = false
      const url = yield* upstream((request, response) => {
        const chunks: Array<Buffer> = []
        request.on("data", (chunk: Buffer) => chunks.push(chunk))
        request.on("end", () => {
          const { example } = JSON.parse(Buffer.concat(chunks).toString()) as { example: { prompt: string } }
          if (isThere || !example.prompt.startsWith("v")) return response.end(JSON.stringify({ output: "4" }))
          if (example.prompt === "v1") return response.destroy()
          return response.writeHead(503).end("no room")
        })
      })
      const folder = yield* scratchFolder
      const config = {
        optimize: ["t1", "t2"].map((prompt) => ({ prompt, expected: "4" })),
        validate: ["v1", "v2"].map((prompt) => ({ prompt, expected: "4" })),
        executor: { kind: "http", url },
        upstream_url: url,
        max_attempts: 1
      }
      const { code, stderr } = yield* searched(folder, config)
      assert.strictEqual(code, 1)
      assert.include(
        stderr,
        "2 of 4 rollouts failed because their agent could not be started, or its server\ndid not answer or had no capacity ("
      )
      assert.include(
        stderr.replaceAll("\n", " "),
        "bring the agent or its server back and run the same command again to go on "
      )
      isThere = true
      const again = yield* searched(folder, config)
      assert.strictEqual(again.code, 0, again.stderr)
      assert.deepInclude(JSON.parse(again.stdout), { run_state: "completed", start: 2, succeeded: 4 })
    }))

  it.scopedLive("is none when the agent's program was taken away meanwhile, and the same command goes on once it is back", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const agent = join(folder, "agent.sh")
      writeFileSync(agent, `#!/bin/sh\nrm ${agent}; echo 4\n`, { mode: 0o700 })
      const config = {
        optimize: [{ prompt: "t1", expected: "4" }],
        validate: [{ prompt: "v1", expected: "4" }],
        executor: { kind: "command", command: [agent] },
        upstream_url: "http://127.0.0.1:9",
        worker_count: 1
      }
      const { code, stderr } = yield* searched(folder, config)
      assert.strictEqual(code, 1)
      assert.include(stderr, "1 of 2 rollouts failed because its agent could not be started, or its server")
      assert.include(stderr.replaceAll("\n", ""), `${agent} does not exist`)
      writeFileSync(agent, "#!/bin/sh\necho 4\n", { mode: 0o700 })
      const again = yield* searched(folder, config)
      assert.strictEqual(again.code, 0, again.stderr)
      assert.deepInclude(JSON.parse(again.stdout), { run_state: "completed", start: 2, succeeded: 2 })
    }))

  it.scopedLive("stays a success when a few calls failed", () =>
    Effect.gen(function*() {
      const { origin } = yield* searchUpstream({
        fault: ({ key }) => /training question 1|validation question 2/.test(key) ? 503 : null
      })
      const folder = yield* scratchFolder
      const { optimizer: _, ...given } = searchConfig(origin, { validate: 3, max_attempts: 1, worker_count: 1 })
      const { code, stdout } = yield* searched(folder, { ...given, optimize: given.optimize.slice(0, 6) })
      assert.strictEqual(code, 0)
      assert.deepInclude(JSON.parse(stdout), { run_state: "completed", succeeded: 7, failed: 2 })
    }))
})
