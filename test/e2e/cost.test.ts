import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { tau } from "../support/command.js"
import { scratchFolder } from "../support/store.js"
import { upstream, withBody } from "../support/upstream.js"

/** A model server that answers `4`: 1,000 tokens in, 100 out, and what `own` calls cost where it says so. */
const model = (reported: { readonly cost?: number } = {}) =>
  upstream(withBody((body, _request, response) => {
    const { model } = JSON.parse(body.toString()) as { readonly model: string }
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({
      id: "a",
      model,
      choices: [{ index: 0, message: { role: "assistant", content: "4" }, finish_reason: "stop" }],
      usage: { prompt_tokens: 1_000, completion_tokens: 100, ...reported }
    }))
  }))

interface Printed {
  readonly run_id: string
  readonly cost: {
    readonly usd: number
    readonly unpriced: string | null
    readonly unpriced_calls: number
    readonly unmetered_calls: number
  }
}

const priced = { unpriced: null, unpriced_calls: 0, unmetered_calls: 0 }

describe("what a run cost", () => {
  it.scopedLive("is told by its summary, and beside another run's", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const [silent, reporting] = [yield* model(), yield* model({ cost: 0.25 })]
      const evaluate = (modelRef: string, url: string, optimizer: object = {}) =>
        Effect.gen(function*() {
          const config = {
            optimize: [{ prompt: "2+2", expected: "4" }, { prompt: "1+3", expected: "4" }],
            resources: { system_prompt: `You are ${modelRef}.` },
            upstream_url: url,
            optimizer
          }
          writeFileSync(join(folder, "config.json"), JSON.stringify(config))
          const args = [`--model=${modelRef}`, "--prompt-optimization-config=config.json", "--prompt-optimization-json"]
          const { code, stderr, stdout } = yield* tau(folder, args)
          assert.strictEqual(code, 0, stderr)
          return JSON.parse(stdout) as Printed
        })
      const listed = yield* evaluate("openai/gpt-4o-mini", silent)
      const own = yield* evaluate("vllm/m", silent, { prices: { m: { input: 10, output: 100 } } })
      const reported = yield* evaluate("openrouter/x/y", reporting)
      const unknown = yield* evaluate("vllm/m", silent)
      assert.deepStrictEqual([listed, own, reported, unknown].map(({ cost }) => cost), [
        { usd: 0.00042, ...priced },
        { usd: 0.04, ...priced },
        { usd: 0.5, ...priced },
        { usd: 0, unpriced: "m", unpriced_calls: 2, unmetered_calls: 0 }
      ])
      const compared = yield* tau(folder, ["compare", listed.run_id, own.run_id])
      assert.match(compared.stdout, /^cost each +\$0\.00021 +\$0\.02$/m)
      const json = yield* tau(folder, ["compare", reported.run_id, unknown.run_id, "--json"])
      assert.deepNestedInclude(JSON.parse(json.stdout), {
        "baseline.cost": { usd: 0.5, ...priced },
        "run.cost": { usd: 0, unpriced: "m", unpriced_calls: 2, unmetered_calls: 0 }
      })
      assert.match(
        (yield* tau(folder, ["compare", reported.run_id, unknown.run_id])).stdout,
        /^cost each +\$0\.25 +unknown$/m
      )
    }))
})
