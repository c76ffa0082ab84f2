import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { copyFileSync } from "node:fs"
import { join } from "node:path"
import type { FinishedSpan } from "../../src/store/writer/spans.js"
import { proxyAt } from "../support/proxy.js"
import { recordCall } from "../support/recordedCall.js"
import { scratchFolder } from "../support/store.js"
import { tau } from "./tau.js"

interface Call {
  readonly model: string
  readonly usage?: object
  readonly session?: string
  readonly day?: string
  readonly span?: Partial<FinishedSpan>
}

const usage = { prompt_tokens: 1_000_000, completion_tokens: 100_000 }

interface Group {
  readonly [name: string]: unknown
  readonly cost: object
}
interface Answer {
  readonly groups: ReadonlyArray<Group>
  readonly groups_left_out: number
  readonly total: Group
}

/** What `tau` says of a store with these calls. */
const withCalls = (
  calls: ReadonlyArray<Call>,
  test: (said: (...args: ReadonlyArray<string>) => string, store: string) => void
) =>
  Effect.gen(function*() {
    const store = join(yield* scratchFolder, "store.sqlite")
    yield* Effect.gen(function*() {
      for (const [index, { day = "2026-11-20", model, session, span, usage }] of calls.entries()) {
        const atMs = Date.parse(`${day}T12:00:00Z`) + index
        const choices = [{ index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" }]
        yield* recordCall({
          attemptId: `r${index}:attempt-1`,
          request: Buffer.from(
            JSON.stringify({
              model,
              messages: [{ role: "user", content: `${index}` }],
              metadata: { session_id: session }
            })
          ),
          response: Buffer.from(JSON.stringify({ object: "chat.completion", model, choices, usage })),
          span: {
            rolloutId: `r${index}`,
            spanId: `${Math.floor(atMs / 1_000).toString(16).padStart(8, "0")}${index.toString(16).padStart(8, "0")}`,
            startTimeUs: atMs * 1_000,
            endTimeUs: (atMs + 100 * (index + 1)) * 1_000,
            ...span
          }
        })
      }
    }).pipe(Effect.provide(proxyAt(store, "http://127.0.0.1:9")))
    test((...args) => {
      const { status, stderr, stdout } = tau([...args, `--store=${store}`])
      assert.strictEqual(status, 0, stderr)
      return stdout
    }, store)
  })

const parsed = (json: string) => JSON.parse(json) as Answer

describe("tau usage", { timeout: 60_000 }, () => {
  it.scopedLive("adds up tokens, cost and time by model, the dearest first, and shows no unknown price as nothing", () =>
    withCalls(
      [
        { model: "gpt-4o-mini", usage: { ...usage, prompt_tokens_details: { cached_tokens: 400_000 } } },
        { model: "gpt-4o-mini", usage: { ...usage, completion_tokens_details: { reasoning_tokens: 7 } } },
        { model: "gpt-4o", usage },
        { model: "mine", usage },
        { model: "gpt-4o-mini", span: { statusCode: 429 } },
        { model: "gpt-4o-mini" }
      ],
      (said) => {
        const text = said("usage")
        const rows = text.split("\n").map((line) => line.trim().split(/ {2,}/))
        assert.deepStrictEqual(rows.slice(0, 5), [
          ["model", "calls", "failed", "input", "cached", "output", "cost", "p50", "p95"],
          ["gpt-4o", "1", "0", "1.0M", "0", "100.0k", "$3.50", "300 ms", "300 ms"],
          ["gpt-4o-mini", "4", "1", "2.0M", "400.0k", "200.0k", "over $0.42", "200 ms", "600 ms"],
          ["mine", "1", "0", "1.0M", "0", "100.0k", "?", "400 ms", "400 ms"],
          ["total", "6", "1", "4.0M", "400.0k", "400.0k", "over $3.92", "300 ms", "600 ms"]
        ])
        assert.include(text, "\nThe cost is without 1 call that has no price (of mine, say).\n")
        assert.include(text, "\nTokens and cost are without 1 call whose answer tells no usage.\n")
        assert.include(text, "\nOf the output, 7 are told to be tokens of reasoning.\n")
        assert.deepStrictEqual(text.split("\n").filter(({ length }) => length > 80), [])
        const { groups, groups_left_out, total } = parsed(said("usage", "--limit=1", "--json"))
        assert.strictEqual(groups_left_out, 2)
        assert.deepStrictEqual(groups, [{
          model: "gpt-4o",
          calls: 1,
          failed: 0,
          replayed: 0,
          input_tokens: 1_000_000,
          cached_input_tokens: 0,
          output_tokens: 100_000,
          reasoning_tokens: 0,
          cost: { usd: 3.5, unpriced: null, unpriced_calls: 0, unmetered_calls: 0 },
          p50_ms: 300,
          p95_ms: 300
        }])
        assert.deepStrictEqual(total.cost, { usd: 3.92, unpriced: "mine", unpriced_calls: 1, unmetered_calls: 1 })
      }
    ))

  it.scopedLive("groups by day of UTC with the newest first, session, key and run, of the calls that a filter chooses", () =>
    withCalls(
      [
        { model: "gpt-4o", usage, day: "2026-11-20", session: "s1", span: { clientKeyId: "abcd" } },
        { model: "gpt-4o", usage, day: "2026-11-21", session: "s1" },
        { model: "gpt-4o", usage, day: "2026-11-22" }
      ],
      (said, store) => {
        const by = (group: string, ...args: ReadonlyArray<string>) =>
          parsed(said("usage", `--by=${group}`, "--json", ...args)).groups.map((row) => [row[group], row["calls"]])
        assert.deepStrictEqual(by("day"), [["2026-11-22", 1], ["2026-11-21", 1], ["2026-11-20", 1]])
        assert.deepStrictEqual(by("session"), [["s1", 2], ["r2:attempt-1", 1]])
        assert.deepStrictEqual(by("key"), [[null, 2], ["abcd", 1]])
        assert.deepStrictEqual(by("run"), [[null, 3]])
        assert.deepStrictEqual(by("role"), [["main", 3]])
        assert.deepStrictEqual(by("day", "--since=2026-11-21", "--until=2026-11-22"), [["2026-11-21", 1]])
        assert.deepStrictEqual(by("day", "--session=s1", "--limit=1"), [["2026-11-21", 1]])
        assert.match(said("usage", "--by=key"), /^-  +2 .*\nabcd  +1 /m)
        assert.include(said("usage", "--session=s1"), "\nThe calls: tau spans --store ")
        assert.notInclude(said("usage", "--by=session"), "…")
        assert.include(said("usage", "--model=none"), "No recorded call fits")
        copyFileSync(store, `${store}.copy`)
        assert.strictEqual(parsed(tau(["usage", "--json", `--store=${store}.copy`]).stdout).total["calls"], 3)
      }
    ))

  it.scopedLive("tells the name of a session in full, however long it is", () => {
    const session = "long-".repeat(16)
    return withCalls([{ model: "gpt-4o", usage, session }], (said) => {
      assert.match(said("usage", "--by=session"), new RegExp(`^${session} +1 `, "m"))
    })
  })

  it.scopedLive("counts the tokens and the cost of an answer once that is given again", () =>
    withCalls(
      [{ model: "gpt-4o", usage }, { model: "gpt-4o", usage, span: { replayOf: "0000000000000001" } }],
      (said) => {
        const { total } = parsed(said("usage", "--json"))
        assert.deepInclude(total, {
          calls: 2,
          replayed: 1,
          input_tokens: 1_000_000,
          output_tokens: 100_000,
          p50_ms: 100
        })
        assert.deepInclude(total.cost, { usd: 3.5 })
        assert.include(said("usage"), "1 call was given an earlier answer again, which is not counted twice.")
      }
    ))

  it.scopedLive("leaves out what is no call of a model, unless that is asked for, and says how to begin", () =>
    withCalls([], (said, store) => {
      assert.match(said("usage"), /^No calls in .* yet\. To record an agent's:\n/)
      assert.deepInclude(parsed(said("usage", "--json")).total, { calls: 0, p50_ms: null })
      assert.deepInclude(tau(["usage", "--by=hour", `--store=${store}`]), { status: 2 })
    }))
})
