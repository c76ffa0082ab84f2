import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { writeFileSync } from "node:fs"
import type { ServerResponse } from "node:http"
import { join } from "node:path"
import { startTau } from "../support/command.js"
import { rowsOf, scratchFolder } from "../support/store.js"
import { upstream } from "../support/upstream.js"

const steps = 40
/** Every tenth step asks twice. */
const callsOfAnAttempt = steps + steps / 10

/** A model that never says the same twice, and falls silent at the calls of these numbers. */
const modelSilentAt = (silent: ReadonlyArray<number>, isStream: boolean) =>
  Effect.gen(function*() {
    const fellSilent = yield* Queue.unbounded<number>()
    const seen = { calls: 0 }
    const url = yield* upstream((request, response) => {
      request.resume().on("end", () => {
        seen.calls += 1
        if (silent.includes(seen.calls)) fellSilent.unsafeOffer(Number(request.headers["x-agent-pid"]))
        else answer(response, seen.calls, isStream)
      })
    })
    return { seen, fellSilent, url }
  })

const usage = { prompt_tokens: 100, completion_tokens: 7 }

const answer = (response: ServerResponse, n: number, isStream: boolean) => {
  if (!isStream) {
    const message = { role: "assistant", content: `${n}` }
    response.writeHead(200, { "content-type": "application/json" })
      .end(JSON.stringify({ id: `a${n}`, choices: [{ index: 0, message, finish_reason: "stop" }], usage }))
    return
  }
  const chunk = { id: `a${n}`, choices: [{ index: 0, delta: { content: `${n}` }, finish_reason: "stop" }], usage }
  response.writeHead(200, { "content-type": "text/event-stream" })
    .end(`data: ${JSON.stringify(chunk)}\n\ndata: [DONE]\n\n`)
}

/** Starts the command, and kills it and its agent once the model has fallen silent. */
const dieInSilence = (start: ReturnType<typeof startTau>, fellSilent: Queue.Dequeue<number>) =>
  Effect.scoped(Effect.gen(function*() {
    const command = yield* start
    const ended = Effect.flatMap(command.exit, (code) => Effect.dieMessage(`ended with ${code}: ${command.stderr()}`))
    const agent = yield* Effect.raceFirst(Queue.take(fellSilent), ended)
    command.process.kill("SIGKILL")
    assert.strictEqual(yield* command.exit, "SIGKILL")
    try {
      process.kill(agent, "SIGKILL")
    } catch {
      // It went with its parent.
    }
  }))

describe("journal", () => {
  for (const isStream of [false, true]) {
    it.scopedLive(
      `lets an agent that died twice near its end pay for what it had not been answered${
        isStream ? ", in streams" : ""
      }`,
      () =>
        Effect.gen(function*() {
          const folder = yield* scratchFolder
          // The first start dies in its last call but two, the second while it makes that call again.
          const dead = callsOfAnAttempt - 2
          const { fellSilent, seen, url } = yield* modelSilentAt([dead, dead + 1], isStream)
          const storePath = join(folder, "store.sqlite")
          writeFileSync(
            join(folder, "config.json"),
            JSON.stringify({
              optimize: [{ prompt: "go" }],
              upstream_url: url,
              poll_interval_ms: 5,
              completion_poll_interval_ms: 5,
              completion_timeout_secs: 90,
              executor: {
                kind: "command",
                command: [process.execPath, join(import.meta.dirname, "../support/steppingAgent.mjs")],
                env: { STEPS: `${steps}`, STREAM: isStream ? "1" : "0" }
              }
            })
          )
          const start = startTau(folder, [
            "--model=vllm/m",
            "--prompt-optimization-config=config.json",
            `--prompt-optimization-store-sqlite=${storePath}`,
            "--prompt-optimization-json"
          ])
          yield* dieInSilence(start, fellSilent)
          yield* dieInSilence(start, fellSilent)
          const last = yield* start
          assert.strictEqual(yield* last.exit, 0, last.stderr())

          // Each of the deaths cost the call under way, and nothing else was asked twice.
          assert.strictEqual(seen.calls, callsOfAnAttempt + 2)
          const replayed = rowsOf<{ attempt: string; n: number; saved: number }>(
            storePath,
            `SELECT attempt_id AS attempt, count(*) AS n, sum(input_tokens + output_tokens) AS saved FROM spans
             WHERE attributes ->> '$."tau.replayed"' GROUP BY attempt_id ORDER BY attempt_id`
          )
          const before = dead - 1
          assert.deepStrictEqual(replayed.map(({ attempt, n, saved }) => [attempt.slice(-9), n, saved]), [
            ["attempt-2", before, before * 107],
            ["attempt-3", before, before * 107]
          ])
          assert.deepStrictEqual(rowsOf(storePath, `SELECT 1 FROM spans WHERE attributes ->> '$."tau.diverged"'`), [])
          // What the agent ended with is what it had been answered before.
          const [rollout] = rowsOf<{ output: string }>(storePath, "SELECT output FROM rollouts")
          const answers = rowsOf<{ content: Buffer }>(
            storePath,
            `SELECT p.content FROM spans s JOIN payloads p ON p.sha256 = s.response_sha256
             WHERE s.attempt_id LIKE '%attempt-1' AND s.state = 'done' ORDER BY s.sequence_id`
          )
          assert.strictEqual(answers.length, before)
          for (const { content } of answers) assert.include(JSON.parse(rollout!.output), content.toString())
          const [run] = rowsOf<object>(storePath, "SELECT calls, input_tokens AS input FROM runs")
          assert.deepStrictEqual(run, { calls: callsOfAnAttempt, input: 100 * callsOfAnAttempt })
          // Of all starts of the run: two attempts were given again what the first was answered.
          const { resume } = JSON.parse(last.stdout()) as { readonly resume: object }
          assert.deepInclude(resume, { calls_replayed: 2 * before, tokens_saved: 2 * before * 107 })
        }),
      120_000
    )
  }
})
