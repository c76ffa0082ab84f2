import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { WorkerId } from "../../src/domain/Ids.js"
import type { Resources } from "../../src/domain/Resources.js"
import { judgeOpening } from "../../src/openai/CallRole.js"
import type { Conversation } from "../../src/openai/Conversation.js"
import { GateStore } from "../../src/store/GateStore.js"
import { ResourceStore } from "../../src/store/ResourceStore.js"
import { RolloutQueue } from "../../src/store/RolloutQueue.js"
import { SearchStore } from "../../src/store/SearchStore.js"
import { recordCall } from "../support/recordedCall.js"
import { begin, withStore } from "../support/store.js"

/** All that was said, in order. */
const words = ({ input, output }: Conversation) =>
  [...input, ...output].flatMap(({ parts }) => parts.map((part) => part.type === "text" ? part.content : part.type))

const said = (role: string, content: string) => ({ role, content })
const bytes = (value: object) => Buffer.from(JSON.stringify(value))

/** What the store has of an attempt whose agent, and whoever judged it, made these calls. */
const talksAfter = (...calls: ReadonlyArray<readonly [request: ReadonlyArray<object>, answer: string]>) =>
  Effect.gen(function*() {
    const { runId } = yield* begin(1)
    const queue = yield* RolloutQueue
    const [claim] = yield* queue.claim({ runId, workerId: WorkerId.make("w"), leaseMs: 60_000, limit: 1 })
    const { attemptId, rolloutId } = claim!
    yield* queue.start(claim!)
    for (const [messages, answer] of calls) {
      yield* recordCall({
        attemptId,
        request: bytes({ model: "m", messages }),
        response: bytes({ choices: [{ index: 0, message: said("assistant", answer), finish_reason: "stop" }] }),
        span: { rolloutId }
      })
    }
    yield* queue.succeed(claim!, { output: "", score: 0, rewards: [] })
    return yield* (yield* SearchStore).conversations(rolloutId)
  })

describe("SearchStore", () => {
  it.scoped("promotes a version once where several people do so at the same time", () =>
    withStore(Effect.gen(function*() {
      const { runId } = yield* begin(1)
      const { publish } = yield* ResourceStore
      const version = yield* publish({ system_prompt: "Obey." }, "somebody")
      yield* publish({ system_prompt: "Obey, please." }, "somebody else")
      const { promote } = yield* SearchStore
      const done = yield* Effect.forEach(["ada", "bob", "cyd"], (who) => promote(runId, version, who, null), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(done.toSorted(), [false, false, true])
      const sql = yield* SqlClient.SqlClient
      assert.deepStrictEqual(yield* sql`SELECT version, replaced FROM promotions`, [{ version: 2, replaced: 3 }])
    })))

  it.scoped("promotes a version that a config alone has made the latest", () =>
    withStore(Effect.gen(function*() {
      const { runId, resourcesVersion } = yield* begin(1)
      const { latest, promoted } = yield* ResourceStore
      const versionOf = Option.map(({ version }: Resources) => version)
      assert.deepStrictEqual(versionOf(yield* latest), Option.some(resourcesVersion))
      assert.deepStrictEqual(yield* promoted, Option.none())
      const { promote } = yield* SearchStore
      assert.isTrue(yield* promote(runId, resourcesVersion, "ada", null))
      assert.isFalse(yield* promote(runId, resourcesVersion, "bob", null))
      assert.deepStrictEqual(versionOf(yield* promoted), Option.some(resourcesVersion))
    })))

  it.scoped("does not let a gate replace a version that it was not held against", () =>
    withStore(Effect.gen(function*() {
      const { runId: first } = yield* begin(1)
      const { runId: second } = yield* begin(1, { configHash: "decade" })
      const gates = yield* GateStore
      const { end } = yield* SearchStore
      const sql = yield* SqlClient.SqlClient
      const { publish } = yield* ResourceStore
      const better = yield* publish({ system_prompt: "Better." }, "a search")
      const latest = yield* publish({ system_prompt: "Good." }, "somebody")
      for (const run of [first, second]) assert.strictEqual((yield* gates.open(run, run, 0)).incumbent, latest)
      const promotion = { version: better, decision: "gate", principal: null } as const
      const result = JSON.stringify({ promotedVersion: better })
      assert.strictEqual(yield* end(first, result, promotion), result)
      const overtaken = JSON.parse(yield* end(second, result, promotion)) as unknown
      assert.deepStrictEqual(overtaken, { promotedVersion: null, overtakenBy: better })
      // A search ends once.
      assert.strictEqual(yield* end(first, result, promotion), result)
      assert.deepStrictEqual(yield* sql`SELECT run_id, version, replaced FROM promotions`, [
        { runId: first, version: better, replaced: latest }
      ])
    })))

  it.scopedLive("holds a gate that is gone on with over its own examples, whatever an earlier run did once it was open", () =>
    withStore(Effect.gen(function*() {
      const { runId: earlier } = yield* begin(1)
      const { runId } = yield* begin(1, { configHash: "decade" })
      const gates = yield* GateStore
      const { take } = yield* SearchStore
      const step = (n: number, example: string) =>
        take({
          runId: earlier,
          n,
          chain: "chain",
          stop: null,
          candidates: n === 0 ? [{ n, texts: "{}", parents: [], change: null, path: "seed" }] : [],
          versions: n === 0 ? [{ n, resources: "{}" }] : [],
          rollouts: [{ id: `rollout-${example}`, mode: "val", input: "{}", candidate: 0, example, sample: 0 }],
          reflections: [],
          events: [],
          eventsFrom: 0,
          attemptsMax: 1,
          author: "gepa"
        })
      const use = gates.use(runId, ["val-a", "val-b"], 1_000)
      yield* step(0, "val-a")
      const before = yield* use
      assert.deepStrictEqual(before, { seen: ["val-a"], used: [], openings: 0 })
      yield* gates.open(runId, "set", 0)
      const openedMs = Date.now()
      while (Date.now() <= openedMs) { /* until the store's clock tells the two apart */ }
      yield* step(1, "val-b")
      assert.deepStrictEqual(yield* use, before)
    })))

  it.scoped("tells what an agent did from its own calls, not from those of its judge or for a title", () =>
    withStore(Effect.gen(function*() {
      const talks = yield* talksAfter(
        [[said("system", "Add up."), said("user", "2 + 2")], "4"],
        [[said("system", judgeOpening), said("user", "<answer-1>4</answer-1>")], "{\"score\": 0}"],
        [[said("system", "Generate a short title for this conversation."), said("user", "2 + 2")], "Sums"]
      )
      assert.deepStrictEqual(talks.map(words), [["Add up.", "2 + 2", "4"]])
    })))

  it.scoped("tells what an agent did whose very work looks like a side call", () =>
    withStore(Effect.gen(function*() {
      const talks = yield* talksAfter(
        [[said("system", "Generate a short title for this conversation."), said("user", "2 + 2")], "Sums"],
        [[said("system", judgeOpening), said("user", "<answer-1>Sums</answer-1>")], "{\"score\": 1}"]
      )
      assert.deepStrictEqual(talks.map(words), [["Generate a short title for this conversation.", "2 + 2", "Sums"]])
    })))

  it.scoped("tells what an agent of several prompts did under each of them", () =>
    withStore(Effect.gen(function*() {
      const plan = [said("system", "Plan."), said("user", "2 + 2")]
      const act = [said("system", "Act."), said("user", "Add two to two.")]
      const talks = yield* talksAfter(
        [plan, "Let me think."],
        [[...plan, said("assistant", "Let me think."), said("user", "Go on.")], "Add two to two."],
        [act, "4"],
        [act, "Four."]
      )
      assert.deepStrictEqual(talks.map(words), [
        ["Plan.", "2 + 2", "Let me think.", "Go on.", "Add two to two."],
        ["Act.", "Add two to two.", "Four."]
      ])
    })))
})
