import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { IncomingMessage, ServerResponse } from "node:http"
import { join } from "node:path"
import { Readable } from "node:stream"
import { gzipSync } from "node:zlib"
import { request } from "undici"
import type { ProxyOptions } from "../../src/proxy/ProxyOptions.js"
import { judgePrompt } from "../../src/scoring/JudgePrompt.js"
import { RolloutQueue } from "../../src/store/RolloutQueue.js"
import { RunStore } from "../../src/store/RunStore.js"
import { type InRun, type LiveAttempt, nextAttempt, withRunProxy } from "../support/attempts.js"
import { finishedSpans, proxyAt } from "../support/proxy.js"
import { scratchFolder } from "../support/store.js"
import { eventually, upstream, withBody } from "../support/upstream.js"

type Reply = (response: ServerResponse, n: number, body: string, request: IncomingMessage) => void

const completion: Reply = (response, n) =>
  response.writeHead(200, { "content-type": "application/json; charset=utf-8" }).end(JSON.stringify({
    id: `answer-${n}`,
    object: "chat.completion",
    model: "m",
    choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: `${n}` } }],
    usage: { prompt_tokens: 10, completion_tokens: 5, cost: 0.5 }
  }))

/** A model whose every answer is another; it keeps what it was asked. */
const model = (reply: Reply = completion) =>
  Effect.gen(function*() {
    const asked: Array<string> = []
    const url = yield* upstream(withBody((bytes, incoming, response) => {
      const body = bytes.toString("latin1")
      asked.push(body)
      reply(response, asked.length, body, incoming)
    }))
    return { asked, url }
  })

interface Options {
  readonly path?: string
  readonly method?: "GET" | "POST" | "DELETE"
  readonly headers?: Record<string, string>
}

const ask = ({ url }: LiveAttempt, body: string | Readable | null, options: Options = {}) =>
  Effect.promise(async () => {
    const { headers = {}, method = "POST", path = "/chat/completions" } = options
    const response = await request(`${url}${path}`, { method, headers, body })
    return {
      status: response.statusCode,
      headers: response.headers,
      bytes: Buffer.from(await response.body.arrayBuffer()).toString("latin1")
    }
  })

const question = (n: number, more: object = {}) => JSON.stringify({ model: "m", messages: [{ n }], ...more })

/** One after the other. */
const askAll = (attempt: LiveAttempt, ...questions: ReadonlyArray<number>) =>
  Effect.forEach(questions, (n) => ask(attempt, question(n)), { discard: true })

const spansOf = ({ claim }: LiveAttempt, count: number) => finishedSpans(count, claim.attemptId)

/** What the journal did in an attempt, call by call. */
const marks = (attempt: LiveAttempt, count: number) =>
  Effect.map(
    spansOf(attempt, count),
    (spans) =>
      spans.map(({ attributes }) =>
        attributes["tau.diverged"] === true ? "diverged" : attributes["tau.replayed"] === true ? "replayed" : "upstream"
      )
  )

const progressOf = ({ claim }: LiveAttempt) =>
  Effect.flatMap(RunStore, (runs) => runs.progress(claim.rolloutId.replace(/-train-.*/, "") as never))

/** A test of what a run's attempts are answered, with a model that keeps what it was asked. */
const replays = <E>(
  name: string,
  reply: Reply,
  test: (asked: ReadonlyArray<string>) => Effect.Effect<void, E, InRun>,
  options?: Partial<ProxyOptions>
) =>
  it.scopedLive(name, () => Effect.flatMap(model(reply), ({ asked, url }) => withRunProxy(url, test(asked), options)))

describe("replay", () => {
  replays(
    "answers what an attempt before the crash was answered, byte for byte, and counts it once",
    completion,
    (asked) =>
      Effect.gen(function*() {
        const first = yield* nextAttempt
        const before = [yield* ask(first, question(1)), yield* ask(first, question(2))]
        const second = yield* nextAttempt
        const after = [
          yield* ask(second, question(1)),
          yield* ask(second, question(2)),
          yield* ask(second, question(3))
        ]
        assert.deepStrictEqual(asked, [question(1), question(2), question(3)])
        assert.deepStrictEqual(after.slice(0, 2).map(({ bytes }) => bytes), before.map(({ bytes }) => bytes))
        const originals = yield* spansOf(first, 2)
        const spans = yield* spansOf(second, 3)
        assert.deepStrictEqual(yield* marks(second, 3), ["replayed", "replayed", "upstream"])
        for (const [index, original] of originals.entries()) {
          assert.strictEqual(after[index]!.headers["x-tau-replayed"], original.spanId)
          assert.strictEqual(after[index]!.headers["content-type"], "application/json; charset=utf-8")
          const replayed = spans[index]!
          assert.strictEqual(replayed.attributes["tau.replay_of"], original.spanId)
          assert.strictEqual(replayed.responseSha256, original.responseSha256)
          assert.deepInclude({ ...replayed }, { state: "done", statusCode: 200, inputTokens: 10, outputTokens: 5 })
          assert.notProperty(replayed.attributes, "tau.usage.cost")
          assert.strictEqual(original.attributes["tau.usage.cost"], 0.5)
        }
        assert.isUndefined(after[2]!.headers["x-tau-replayed"])
        assert.deepInclude(yield* progressOf(second), { calls: 3, inputTokens: 30, outputTokens: 15 })
      })
  )

  for (
    const { end, path } of [
      { path: "/chat/completions", end: "data: [DONE]\n\n" },
      { path: "/responses", end: "event: response.completed\r\ndata: {\"type\":\"response.completed\"}\r\n\r\n" },
      { path: "/messages", end: "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n" }
    ]
  ) {
    const events = Array.from({ length: 50 }, (_, n) => `data: {"n":${n},"choices":[{}]}\n\n`).join("") + end
    replays(
      `replays a stream of ${path} as a stream`,
      (response) => response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" }).end(events),
      (asked) =>
        Effect.gen(function*() {
          const body = question(1, { stream: true })
          yield* ask(yield* nextAttempt, body, { path })
          const second = yield* nextAttempt
          const again = yield* ask(second, body, { path })
          assert.strictEqual(again.bytes, events)
          assert.strictEqual(again.headers["content-type"], "text/event-stream; charset=utf-8")
          assert.isUndefined(again.headers["content-length"])
          assert.strictEqual(asked.length, 1)
          const [span] = yield* spansOf(second, 1)
          assert.isAtLeast(span!.attributes["tau.chunks"] as number, 50)
        })
    )
  }

  replays(
    "sends everything upstream from the first difference on, and says where it was",
    completion,
    (asked) =>
      Effect.gen(function*() {
        const first = yield* nextAttempt
        yield* askAll(first, 1, 2, 3)
        const second = yield* nextAttempt
        yield* askAll(second, 1, 7, 2, 3)
        assert.deepStrictEqual(yield* marks(second, 4), ["replayed", "diverged", "upstream", "upstream"])
        assert.strictEqual(asked.length, 6)
        // The next attempt retraces the way that the last one took.
        const third = yield* nextAttempt
        yield* askAll(third, 1, 7, 2, 3, 4)
        assert.deepStrictEqual(yield* marks(third, 5), ["replayed", "replayed", "replayed", "replayed", "upstream"])
        assert.strictEqual(asked.length, 7)
      })
  )

  replays(
    "gives a third attempt what the first had been answered and the second had not yet asked again",
    completion,
    (asked) =>
      Effect.gen(function*() {
        const first = yield* nextAttempt
        yield* askAll(first, 1, 2, 3, 4)
        yield* ask(yield* nextAttempt, question(1))
        const third = yield* nextAttempt
        yield* askAll(third, 1, 2, 3, 4, 5)
        const fourth = yield* nextAttempt
        yield* askAll(fourth, 1, 2, 3, 4, 5, 6)
        assert.strictEqual(asked.length, 6)
        const [original] = yield* spansOf(first, 4)
        const [replay] = yield* spansOf(fourth, 6)
        assert.strictEqual(replay!.attributes["tau.replay_of"], original!.spanId)
      })
  )

  let waiting: Array<() => void> = []
  replays(
    "takes calls that were under way together in any order, and others in theirs",
    (response, n, body, incoming) => {
      waiting.push(() => completion(response, n, body, incoming))
      if (waiting.length < 3 && n <= 3) return
      for (const answer of waiting) answer()
      waiting = []
    },
    (asked) =>
      Effect.gen(function*() {
        const first = yield* nextAttempt
        const before = yield* Effect.all([1, 2, 3].map((n) => ask(first, question(n))), { concurrency: 3 })
        yield* askAll(first, 4, 5)
        const second = yield* nextAttempt
        for (const n of [3, 1, 2]) {
          assert.strictEqual((yield* ask(second, question(n))).bytes, before[n - 1]!.bytes)
        }
        yield* askAll(second, 5, 4)
        assert.deepStrictEqual(yield* marks(second, 5), ["replayed", "replayed", "replayed", "diverged", "upstream"])
        assert.strictEqual(asked.length, 7)
      })
  )

  replays("answers calls that ask the same at once each from its own", completion, (asked) =>
    Effect.gen(function*() {
      const first = yield* nextAttempt
      const samples = (attempt: LiveAttempt) =>
        Effect.map(
          Effect.all([1, 1, 1, 1].map((n) => ask(attempt, question(n))), { concurrency: "unbounded" }),
          (answers) => answers.map(({ bytes }) => bytes).toSorted()
        )
      assert.deepStrictEqual(yield* samples(first), yield* Effect.flatMap(nextAttempt, samples))
      assert.strictEqual(asked.length, 4)
    }))

  replays("knows a request again that is written another way", completion, (asked) =>
    Effect.gen(function*() {
      const form = (boundary: string) => `--${boundary}\r\n\r\nfile\r\n--${boundary}--\r\n`
      const calls = (attempt: LiveAttempt, body: string, boundary: string) =>
        Effect.gen(function*() {
          yield* ask(attempt, body)
          yield* ask(attempt, form(boundary), { path: "/files" })
          yield* ask(attempt, null, { path: "/models?limit=2", method: "GET" })
          yield* ask(attempt, null, { path: "/files/1", method: "DELETE" })
          yield* ask(attempt, Readable.from([Buffer.alloc(2_000_000, 32), question(9)]) as Readable)
        })
      const first = yield* nextAttempt
      yield* calls(
        first,
        `{"model":"m","user":"a","metadata":{"at":1},"messages":[{"text":"I am ${first.claim.attemptId}"}]}`,
        "one"
      )
      const second = yield* nextAttempt
      yield* calls(
        second,
        `{ "messages": [{"text": "I am ${second.claim.attemptId}"}], "prompt_cache_key": "k", "model": "m" }`,
        "another"
      )
      assert.strictEqual(asked.length, 5)
      assert.deepStrictEqual(yield* marks(second, 5), Array.from({ length: 5 }, () => "replayed"))
    }))

  replays("makes failed, broken and unreadable calls again without losing its place", (response, n, body, incoming) => {
    // The second call fails twice and its client tries again; the third is refused; the fourth is cut; the fifth is a page.
    if (n === 2 || n === 3 || n === 5) response.writeHead(n === 5 ? 400 : 429).end("{}")
    else if (n === 6) response.writeHead(200, { "content-length": "100" }).write("{", () => response.destroy())
    else if (n === 7) response.end("<html>Sign in</html>")
    else completion(response, n, body, incoming)
  }, (asked) =>
    Effect.gen(function*() {
      const first = yield* nextAttempt
      yield* askAll(first, 1, 2, 2, 2, 3)
      yield* Effect.exit(ask(first, question(4)))
      yield* askAll(first, 5, 6)
      const second = yield* nextAttempt
      yield* askAll(second, 1, 2, 3, 3, 4, 5, 6)
      assert.deepStrictEqual(
        yield* marks(second, 7),
        ["replayed", "replayed", "upstream", "upstream", "upstream", "upstream", "replayed"]
      )
      assert.strictEqual(asked.length, 12)
      // What was missing has taken its place.
      const third = yield* nextAttempt
      yield* askAll(third, 1, 2, 3, 4, 5, 6)
      assert.deepStrictEqual(yield* marks(third, 6), Array.from({ length: 6 }, () => "replayed"))
    }))

  replays(
    "keeps the encoding of an answer",
    (response) =>
      response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" }).end(gzipSync("{}")),
    (asked) =>
      Effect.gen(function*() {
        const before = yield* ask(yield* nextAttempt, question(1))
        const after = yield* ask(yield* nextAttempt, question(1))
        assert.strictEqual(after.headers["content-encoding"], "gzip")
        assert.strictEqual(after.bytes, before.bytes)
        assert.strictEqual(asked.length, 1)
      })
  )

  const failure = {
    status: "failed",
    error: "exit code 1",
    brokenBy: null,
    stderrTail: null,
    permanent: false
  } as const

  replays(
    "asks nothing but its judge again after an attempt that could not be scored",
    completion,
    (asked) =>
      Effect.gen(function*() {
        const messages = judgePrompt({ rubric: "Good?", scale: [0, 1] }, { prompt: "go" }, "4")
        const both = [question(1), JSON.stringify({ model: "m", messages })]
        const first = yield* nextAttempt
        for (const body of both) yield* ask(first, body)
        yield* Effect.flatMap(RolloutQueue, (queue) => queue.fail(first.claim, { ...failure, brokenBy: "scorer" }))
        const second = yield* nextAttempt
        for (const body of both) yield* ask(second, body)
        assert.deepStrictEqual(asked, [...both, both[1]!])
      })
  )

  for (
    const { calls, replay } of [
      { replay: "after-crash", calls: 2 },
      { replay: "always", calls: 1 },
      { replay: undefined, calls: 2 }
    ] as const
  ) {
    replays(
      `asks ${calls === 1 ? "nothing" : "afresh"} after a failure under ${replay ?? "never"}`,
      completion,
      (asked) =>
        Effect.gen(function*() {
          const first = yield* nextAttempt
          yield* ask(first, question(1))
          yield* Effect.flatMap(RolloutQueue, (queue) => queue.fail(first.claim, failure))
          yield* ask(yield* nextAttempt, question(1))
          assert.strictEqual(asked.length, calls)
          // A crash after the failure gives back what came after it.
          yield* ask(yield* nextAttempt, question(1))
          assert.strictEqual(asked.length, replay === undefined ? 3 : calls)
        }),
      replay === undefined ? {} : { replay }
    )
  }

  replays(
    "counts an attempt that was handed back as one that a crash ended",
    completion,
    (asked) =>
      Effect.gen(function*() {
        const first = yield* nextAttempt
        yield* ask(first, question(1))
        yield* Effect.flatMap(RolloutQueue, (queue) => queue.release(first.claim))
        yield* ask(yield* nextAttempt, question(1))
        assert.strictEqual(asked.length, 1)
      })
  )

  it.scopedLive("finds an attempt's place again in another proxy", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* model()
      const folder = yield* scratchFolder
      const inProxy = <A, E, R>(test: Effect.Effect<A, E, R>) =>
        Effect.provide(
          test,
          Layer.provideMerge(
            Layer.mergeAll(RunStore.layer, RolloutQueue.layer),
            proxyAt(join(folder, "store.sqlite"), url, { replay: "after-crash" })
          )
        )
      const second = yield* inProxy(Effect.gen(function*() {
        const first = yield* nextAttempt
        yield* askAll(first, 1, 2, 3)
        const attempt = yield* nextAttempt
        yield* ask(attempt, question(1))
        return attempt
      }))
      yield* inProxy(Effect.gen(function*() {
        const { claim } = second
        const moved = { claim, url: (yield* nextAttemptUrl).replace(/attempt-\d+/, `attempt-${claim.attempt}`) }
        yield* askAll(moved, 2, 3)
        assert.strictEqual(asked.length, 3)
      }))
    }))

  const big = JSON.stringify({ text: "x".repeat(8_000_000) })
  replays(
    "ends a replay with its client, and gives the place to a new one",
    (response) => response.end(big),
    (asked) =>
      Effect.gen(function*() {
        yield* ask(yield* nextAttempt, question(1))
        const second = yield* nextAttempt
        yield* Effect.promise(async () => {
          const response = await request(`${second.url}/chat/completions`, { method: "POST", body: question(1) })
          response.body.on("error", () => {}).destroy()
        })
        const [span] = yield* eventually(
          "the end of the replay",
          Effect.map(spansOf(second, 1), (spans) => spans.length > 0 ? spans : undefined)
        )
        assert.deepInclude({ ...span }, { state: "client_cancel" })
        const third = yield* nextAttempt
        assert.strictEqual((yield* ask(third, question(1))).bytes, big)
        assert.strictEqual(asked.length, 1)
      })
  )
})

const nextAttemptUrl = Effect.map(nextAttempt, ({ url }) => url)
