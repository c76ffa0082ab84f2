import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { ServerResponse } from "node:http"
import { reflectionId, Reflector, type ReflectorOptions } from "../../../src/optimizer/run/Reflector.js"
import { ReflectionStore } from "../../../src/store/ReflectionStore.js"
import { SearchStore } from "../../../src/store/SearchStore.js"
import { recordCall } from "../../support/recordedCall.js"
import { begin, withStore } from "../../support/store.js"
import { upstream } from "../../support/upstream.js"

interface Request {
  readonly path: string
  readonly body: Readonly<Record<string, unknown>>
  /** What the store has counted by then. */
  readonly counted: number
}
type Reply = (body: Request["body"], response: ServerResponse) => void

const answers = (status: number, value: unknown, headers: Record<string, string> = {}): Reply => (_, response) =>
  void response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value))
const says = (message: object, ended?: string) =>
  answers(200, { choices: [{ message: { role: "assistant", ...message }, finish_reason: ended }] })
const refuses = (status: number, message: string) => answers(status, { error: { message } }, { "retry-after-ms": "1" })

/** A run with three reflections to make, and a reflection model that gives one reply after the other. */
const reflecting = (replies: ReadonlyArray<Reply>, options: Partial<ReflectorOptions> = {}) =>
  Effect.gen(function*() {
    const store = yield* SearchStore
    const { runId } = yield* begin(1)
    yield* store.take({
      runId,
      n: 0,
      chain: "chain",
      stop: null,
      candidates: [],
      versions: [],
      rollouts: [],
      reflections: [0, 1, 2].map((n) => ({ n, path: `iter/${n}`, promptSha256: "" })),
      events: [],
      eventsFrom: 0,
      attemptsMax: 1,
      author: "rgepa"
    })
    const sql = yield* SqlClient.SqlClient
    const counted = Effect.map(
      sql<{ n: number }>`SELECT sum(attempts) AS n FROM search_reflections`,
      ([row]) => row!.n
    )
    const requests: Array<Request> = []
    const origin = yield* upstream((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () =>
        void Effect.runPromise(counted).then((counted) => {
          const body = JSON.parse(Buffer.concat(chunks).toString()) as Request["body"]
          requests.push({ path: request.url!, body, counted })
          replies[Math.min(requests.length, replies.length) - 1]!(body, response)
        }))
    })
    const layer = Reflector.layer({
      origin,
      apiKey: "tau-run-key",
      secrets: [],
      model: "thinker",
      parameters: {},
      timeoutSecs: 10,
      ...options
    })
    const reflect = (n: number, json = true, fenced = false) =>
      Effect.flatMap(Reflector, (reflector) =>
        reflector.reflect(runId, n, { _tag: "Reflect", path: `iter/${n}`, prompt: "Improve.", json, fenced }))
    return { layer, reflect, requests, runId, store }
  })

/** What one reflection comes to, and how many requests it took. */
const reflected = (replies: ReadonlyArray<Reply>, options: Partial<ReflectorOptions> = {}) =>
  withStore(Effect.gen(function*() {
    const { layer, reflect, requests } = yield* reflecting(replies, options)
    const reflection = yield* Effect.provide(reflect(0), layer)
    return { reflection, requests: requests.length }
  }))

describe("Reflector", () => {
  it.scopedLive("counts every request before it is sent, the repeated one and the one without JSON mode too", () =>
    withStore(Effect.gen(function*() {
      const noJsonMode: Reply = (body, response) =>
        (body["response_format"] === undefined ? says({ content: "Be brief." }) : refuses(400, "what mode?"))(
          body,
          response
        )
      const { layer, reflect, requests, runId } = yield* reflecting([refuses(503, "busy"), noJsonMode])
      const both = yield* Effect.provide(Effect.all([reflect(0), reflect(1)]), layer)
      assert.deepStrictEqual(both, [{ text: "Be brief." }, { text: "Be brief." }])
      // A server that knows no JSON mode is not asked for it again.
      const id = `/rollout/${runId}-reflect-000`
      const attempt = (n: number, attempt: number) =>
        `${id}${n}/attempt/${runId}-reflect-000${n}%3Aattempt-${attempt}/v1/chat/completions`
      assert.deepStrictEqual(requests.map(({ body, counted, path }) => [path, counted, "response_format" in body]), [
        [attempt(0, 1), 1, true],
        [attempt(0, 2), 2, true],
        [attempt(0, 3), 3, false],
        [attempt(1, 1), 4, false]
      ])
      assert.deepStrictEqual(requests[3]!.body, {
        model: "thinker",
        messages: [{ role: "user", content: "Improve." }]
      })
    })))

  it.scopedLive("asks at the search's temperature, with the parameters that overrule it but not what is asked", () =>
    Effect.gen(function*() {
      const asked = (options: Partial<ReflectorOptions>) =>
        withStore(Effect.gen(function*() {
          const { layer, requests, runId } = yield* reflecting([says({ content: "A" })], options)
          const ask = { _tag: "Reflect", path: "iter/0", prompt: "Improve.", json: false, temperature: 0.9 } as const
          yield* Effect.provide(Effect.flatMap(Reflector, ({ reflect }) => reflect(runId, 0, ask)), layer)
          return requests[0]!.body
        }))
      const body = { model: "thinker", messages: [{ role: "user", content: "Improve." }] }
      assert.deepStrictEqual(yield* asked({}), { ...body, temperature: 0.9 })
      const parameters = { temperature: 0.1, top_p: 0.5, model: "another", messages: [] }
      assert.deepStrictEqual(yield* asked({ parameters }), { ...body, temperature: 0.1, top_p: 0.5 })
    }))

  it.scopedLive("does not ask again for what was answered, or has failed", () =>
    withStore(Effect.gen(function*() {
      const { layer, reflect, requests } = yield* reflecting([says({ content: "A" }), refuses(403, "no"), says({})])
      const asked = Effect.all([reflect(0, false), reflect(1, false)])
      const first = yield* Effect.provide(asked, layer)
      assert.deepStrictEqual(first, [{ text: "A" }, { failure: "the reflection model answered 403: no" }])
      assert.deepStrictEqual(yield* Effect.provide(asked, layer), first)
      assert.lengthOf(requests, 2)
    })))

  it.scopedLive("reads no text out of a refusal, a call of a tool, or nothing", () =>
    Effect.gen(function*() {
      const nothing = { reflection: { failure: "the reflection model's answer has no text" }, requests: 1 }
      const call = { id: "1", type: "function", function: { name: "edit", arguments: "{}" } }
      for (const message of [{ content: null, refusal: "I will not." }, { content: "" }, { tool_calls: [call] }]) {
        assert.deepStrictEqual(yield* reflected([says(message)]), nothing)
      }
      const why = {
        length: ": it was cut at its longest, which reflection_parameters can raise",
        content_filter: ": a content filter took it out"
      }
      for (const [reason, words] of Object.entries(why)) {
        const { reflection } = yield* reflected([says({ content: "" }, reason)])
        assert.deepStrictEqual(reflection, { failure: `the reflection model's answer has no text${words}` })
      }
      const parts = [{ type: "text", text: "Be " }, { type: "text", text: "brief." }]
      assert.deepStrictEqual((yield* reflected([says({ content: parts })])).reflection, { text: "Be brief." })
    }))

  it.scopedLive("says that edits were cut before anything could be read of them", () =>
    Effect.gen(function*() {
      const cut = "{\"edits\": [{\"op\": \"add\", \"after\": \"\", \"text\": \"Be br"
      const failure = "the reflection model's answer was cut at its longest, which reflection_parameters can raise"
      assert.deepStrictEqual((yield* reflected([says({ content: cut }, "length")])).reflection, { failure })
      const read = [["stop", cut], ["length", "{\"edits\": []} And"], ["length", "```\nBe brief.\n```\nAnd"]] as const
      for (const [ended, text] of read) {
        assert.deepStrictEqual((yield* reflected([says({ content: text }, ended)])).reflection, { text })
      }
    }))

  it.scopedLive("takes the head of a text that was cut for none", () =>
    Effect.gen(function*() {
      const failure = "the reflection model's answer was cut at its longest, which reflection_parameters can raise"
      const rewritten = (content: string, ended: string) =>
        withStore(Effect.gen(function*() {
          const { layer, reflect } = yield* reflecting([says({ content }, ended)])
          return yield* Effect.provide(reflect(0, false, true), layer)
        }))
      for (
        const cut of [
          "Be br",
          "```\nBe br",
          "```\nAnswer so:\n```json\n{\"sum\": ",
          "```\nAnswer so:\n```\n4\n```\nBe br",
          "````\nAnswer so:\n```\n{\"sum\": "
        ]
      ) {
        assert.deepStrictEqual(yield* rewritten(cut, "length"), { failure })
        assert.deepStrictEqual(yield* rewritten(cut, "stop"), { text: cut })
      }
      for (
        const text of [
          "```\nBe brief.\n```",
          "Here:\n```text\nBe brief.\n```\r\nThis is sho",
          "````\nAnswer so:\n```\n4\n````\nThis is sho"
        ]
      ) {
        assert.deepStrictEqual(yield* rewritten(text, "length"), { text })
      }
    }))

  it.scopedLive("takes an answer that a crash left on record, and asks anew where that one was cut or had no text", () =>
    withStore(Effect.gen(function*() {
      const { layer, reflect, requests, runId } = yield* reflecting([says({ content: "{\"edits\": []}" })])
      const reflections = yield* ReflectionStore
      const recorded = (n: number, body: object) =>
        Effect.gen(function*() {
          yield* reflections.begin(runId, n)
          const rolloutId = reflectionId(runId, n)
          yield* recordCall({
            attemptId: `${rolloutId}:attempt-1`,
            response: Buffer.from(JSON.stringify(body)),
            span: { rolloutId }
          })
        })
      const answer = (content: string, ended: string) => ({
        object: "chat.completion",
        choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: ended }]
      })
      yield* recorded(0, answer("{\"edits\": [{\"op\": \"add\", \"after\": \"\", \"text\": \"Be br", "length"))
      yield* recorded(1, answer("", "content_filter"))
      yield* recorded(2, answer("<think>Perhaps.</think>{\"edits\": [1]}", "length"))
      assert.deepStrictEqual(yield* Effect.provide(Effect.all([reflect(0), reflect(1), reflect(2)]), layer), [
        { text: "{\"edits\": []}" },
        { text: "{\"edits\": []}" },
        { text: "{\"edits\": [1]}" }
      ])
      assert.lengthOf(requests, 2)
    })))

  it.scopedLive("reads no text out of what the model thinks aloud, also when it is asked for it again", () =>
    withStore(Effect.gen(function*() {
      const thoughts = "<think>Perhaps {\"edits\": []}, or\n```\nBe bold.\n```\n</think>\n"
      const { layer, reflect } = yield* reflecting([
        says({ content: `${thoughts}Be brief.` }),
        says({ content: "<think>Perhaps" })
      ])
      const asked = Effect.all([reflect(0, false), reflect(1, false)])
      const first = yield* Effect.provide(asked, layer)
      assert.deepStrictEqual(first, [
        { text: "\nBe brief." },
        { failure: "the reflection model's answer has no text" }
      ])
      assert.deepStrictEqual(yield* Effect.provide(asked, layer), first)
    })))

  it.scopedLive("fails in words that hold no key, at once where the same request would fail again", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* reflected([refuses(401, `not now with sk-${"a".repeat(40)} or tau-run-key`)]), {
        reflection: { failure: "the reflection model answered 401: not now with [REDACTED] or [key]" },
        requests: 1
      })
      const secrets = ["0123456789abcdef0123456789abcdef"]
      assert.deepStrictEqual(yield* reflected([refuses(401, `bad key: ${secrets[0]}`)], { secrets }), {
        reflection: { failure: "the reflection model answered 401: bad key: [REDACTED]" },
        requests: 1
      })
      // JSON mode is not to blame where the request without it is refused as well.
      assert.deepStrictEqual(yield* reflected([refuses(400, "too long"), refuses(400, "no such mode")]), {
        reflection: { failure: "the reflection model answered 400: too long" },
        requests: 2
      })
      assert.deepStrictEqual(yield* reflected([refuses(422, "what mode?"), refuses(401, "no such key")]), {
        reflection: { failure: "the reflection model answered 401: no such key" },
        requests: 2
      })
      assert.deepStrictEqual(yield* reflected([refuses(500, "broken")]), {
        reflection: { failure: "the reflection model answered 500: broken" },
        requests: 3
      })
      assert.deepStrictEqual(yield* reflected([answers(200, { error: { message: "overloaded" } })]), {
        reflection: { failure: "the model's answer is no chat completion: overloaded" },
        requests: 1
      })
    }))

  it.scopedLive("asks again when a request takes longer than it may", () =>
    Effect.gen(function*() {
      const silent: Reply = () => {}
      const { reflection, requests } = yield* reflected([silent, says({ content: "late" })], { timeoutSecs: 0.3 })
      assert.deepStrictEqual([reflection, requests], [{ text: "late" }, 2])
      assert.deepStrictEqual((yield* reflected([silent], { timeoutSecs: 0.1 })).reflection, {
        failure: "no answer within 0.1 s"
      })
    }))
})
