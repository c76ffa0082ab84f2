import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { proxyAt } from "../support/proxy.js"
import { recordCall } from "../support/recordedCall.js"
import { scratchFolder } from "../support/store.js"
import { tau } from "./tau.js"

const capture = "capture-20261125T200000-a1b2c3"

interface Call {
  readonly model: string
  readonly usage?: object
  readonly status?: number
}

const usage = { prompt_tokens: 1_000_000, completion_tokens: 100_000 }

/** What `tau` says of a capture with these calls, of the ids 1, 2, … */
const withCalls = (
  calls: ReadonlyArray<Call>,
  test: (said: (...args: ReadonlyArray<string>) => string) => void
) =>
  Effect.gen(function*() {
    const store = join(yield* scratchFolder, "store.sqlite")
    yield* Effect.gen(function*() {
      for (const [index, { model, status = 200, usage }] of calls.entries()) {
        const choices = [{ index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" }]
        yield* recordCall({
          attemptId: `${capture}:attempt-1`,
          request: Buffer.from(JSON.stringify({ model, messages: [{ role: "user", content: `${index}` }] })),
          response: Buffer.from(JSON.stringify({ object: "chat.completion", model, choices, usage })),
          span: { rolloutId: capture, spanId: String(index + 1).padStart(16, "0"), statusCode: status }
        })
      }
      test((...args) => {
        const { status, stderr, stdout } = tau([...args, `--store=${store}`])
        assert.strictEqual(status, 0, stderr)
        return stdout
      })
    }).pipe(Effect.provide(proxyAt(store, "http://127.0.0.1:9")))
  })

const costIn = (json: string) => (JSON.parse(json) as { readonly cost: object }).cost

describe("what captured calls cost", { timeout: 60_000 }, () => {
  it.scopedLive("is told by list prices, of a call and of all", () =>
    withCalls(
      [{ model: "gpt-4o-mini-2024-07-18", usage }, { model: "gpt-4o-mini", usage: { ...usage, cost: 0.5 } }],
      (said) => {
        assert.include(said("span", "0000000000000001"), "\n  cost      about $0.21\n")
        assert.include(said("span", "0000000000000002"), "\n  cost      about $0.50\n")
        assert.include(said("rollout", capture), "\n  cost      about $0.71\n")
        assert.include(said("rollout", capture, "--limit=1"), "\n  cost      at least $0.21\n")
        const whole = { unpriced: null, unpriced_calls: 0, unmetered_calls: 0 }
        assert.deepStrictEqual(costIn(said("span", "0000000000000001", "--json")), { usd: 0.21, ...whole })
        assert.deepStrictEqual(costIn(said("rollout", capture, "--json")), { usd: 0.71, ...whole })
      }
    ))

  it.scopedLive("is at least what is known, and says what is not", () =>
    withCalls(
      [{ model: "gpt-4o-mini", usage }, { model: "mine", usage }, { model: "gpt-4o-mini" }, {
        model: "gpt-4o",
        status: 500
      }],
      (said) => {
        const text = said("rollout", capture)
        assert.include(
          text,
          "\n  cost      at least $0.21\n            without 1 call that has no price (of mine, say)\n"
        )
        assert.include(text, "\n            without 1 call whose answer tells no usage\n")
        assert.notInclude(said("span", "0000000000000002"), "\n  cost ")
        assert.include(said("span", "0000000000000003"), "\n  cost      unknown\n")
        assert.deepStrictEqual(costIn(said("rollout", capture, "--json")), {
          usd: 0.21,
          unpriced: "mine",
          unpriced_calls: 1,
          unmetered_calls: 1
        })
      }
    ))
})
