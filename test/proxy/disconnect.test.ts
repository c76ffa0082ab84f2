import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ServerResponse } from "node:http"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { request } from "undici"
import { toBaseUrl } from "../../src/domain/Attribution.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { defaultLimits } from "../../src/proxy/ProxyOptions.js"
import { RolloutQueue } from "../../src/store/RolloutQueue.js"
import { RunStore } from "../../src/store/RunStore.js"
import { nextAttempt } from "../support/attempts.js"
import { metrics } from "../support/metrics.js"
import { attribution, oneSpan, proxyAt, responseText, withProxy } from "../support/proxy.js"
import { scratchFolder } from "../support/store.js"
import { eventually, upstream } from "../support/upstream.js"

const soon = (what: string, isSo: () => boolean) => eventually(what, Effect.sync(() => isSo() ? true : undefined))

/** A streamed call: its client can leave, and tells what it has read. */
const streamedAt = (baseUrl: string) =>
  Effect.promise(async () => {
    const { body } = await request(`${baseUrl}/chat/completions`, {
      method: "POST",
      body: `{"model":"m","stream":true}`
    })
    let text = ""
    let last: string | null = null
    body.on("error", () => {}).on("data", (chunk: Buffer) => {
      text += chunk.toString()
      if (text === last) body.destroy()
    })
    const leaveAfter = (whole: string) => {
      last = whole
    }
    return { text: () => text, leave: () => void body.destroy(), leaveAfter }
  })

/** The same through the attempt in `attribution`; its client has read the first event. */
const streamed = Effect.gen(function*() {
  const { origin } = yield* Proxy
  const call = yield* streamedAt(toBaseUrl(origin, attribution))
  yield* soon("the first event", () => call.text() === first)
  return call
})

/** The proxy has seen that its client is gone: the only connection left is the one that asks. */
const departure = eventually(
  "one connection",
  Effect.map(metrics, (counts) => counts.get("tau_connections_open") === 1 ? true : undefined)
)

/** No call is under way any more. */
const calm = Effect.flatMap(Proxy, ({ health }) => soon("no call under way", () => health().callsUnderWay === 0))

/** What is held in memory until the store has it. */
const recorded = Effect.map(metrics, (counts) => counts.get("tau_recorded_bytes"))

/** Keeps the store from committing until what it answers is called. */
const lock = (path: string) => {
  const other = new Database(path)
  other.exec("BEGIN IMMEDIATE")
  return () => {
    other.exec("COMMIT")
    other.close()
  }
}

/** An upstream that streams what the test tells it to. */
const told = Effect.gen(function*() {
  const answers: Array<ServerResponse> = []
  const closed: Array<boolean> = []
  const url = yield* upstream((_req, res) => {
    res.on("close", () => closed.push(true))
    res.writeHead(200, { "content-type": "text/event-stream" })
    res.write(first)
    answers.push(res)
  })
  return { url, write: (text: string) => void answers[0]!.write(text), finish: () => void answers[0]!.end(), closed }
})

const event = (fields: object) =>
  `data: ${JSON.stringify({ id: "c1", object: "chat.completion.chunk", ...fields })}\n\n`
const first = event({ model: "m", choices: [{ index: 0, delta: { role: "assistant", content: "Hello" } }] })
const rest = event({ choices: [{ index: 0, delta: { content: " you" }, finish_reason: "stop" }] }) +
  event({ choices: [], usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 } })
const end = "data: [DONE]\n\n"

const limits = (changed: Partial<typeof defaultLimits>) => ({ ...defaultLimits, ...changed })

describe("A client that leaves", () => {
  it.scopedLive("takes the upstream's answer with it", () =>
    Effect.gen(function*() {
      const { closed, url } = yield* told
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const call = yield* streamed
          // The answer stands still for so long.
          yield* Effect.sleep(200)
          call.leave()
          yield* soon("the upstream let go", () => closed.length === 1)
          const span = yield* oneSpan
          assert.deepInclude({ ...span }, { state: "client_cancel", outputTokens: null })
          const silentMs = span.attributes["tau.silent_ms"] as number
          // A timer may go off within the millisecond before its time.
          assert.isTrue(silentMs >= 199 && silentMs <= (span.endTimeUs! - span.startTimeUs) / 1000, String(silentMs))
          assert.strictEqual(yield* responseText(span), first)
        })
      )
    }))

  for (
    const [when, answer] of [
      ["before the head of the answer", () => {}],
      ["within a sized body", (res: ServerResponse) => res.writeHead(200, { "content-length": "1000" }).write("half")],
      ["within a body of unknown size", (res: ServerResponse) => res.writeHead(200).write("half")],
      [
        "within a stream",
        (res: ServerResponse) => res.writeHead(200, { "content-type": "text/event-stream" }).write(first)
      ]
    ] as const
  ) {
    it.scopedLive(`lets go of the upstream within two seconds, ${when}`, () =>
      Effect.gen(function*() {
        let isAsked = false
        let closedAt = 0
        const url = yield* upstream((req, res) => {
          res.on("close", () => closedAt = performance.now())
          req.resume().on("end", () => {
            answer(res)
            isAsked = true
          })
        })
        yield* withProxy(
          url,
          Effect.gen(function*() {
            const { origin } = yield* Proxy
            const leaver = new AbortController()
            const answered = request(`${toBaseUrl(origin, attribution)}/models`, { signal: leaver.signal })
            answered.then(({ body }) => body.on("error", () => {}).resume(), () => {})
            yield* soon("the call upstream", () => isAsked)
            const leftAt = performance.now()
            leaver.abort()
            yield* soon("the upstream let go", () => closedAt > 0)
            assert.isBelow(closedAt - leftAt, 2_000)
            assert.strictEqual((yield* oneSpan).state, "client_cancel")
          }),
          { timeoutMs: 60_000 }
        )
      }))
  }

  it.scopedLive("has waited for a stream of which only the head came", () =>
    Effect.gen(function*() {
      const url = yield* upstream((_req, res) =>
        res.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders()
      )
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const { origin } = yield* Proxy
          const { body } = yield* Effect.promise(() => request(`${toBaseUrl(origin, attribution)}/models`))
          // The answer stands still for so long.
          yield* Effect.sleep(150)
          body.on("error", () => {}).destroy()
          const { attributes, state } = yield* oneSpan
          assert.strictEqual(state, "client_cancel")
          assert.isAtLeast(attributes["tau.silent_ms"] as number, 149)
        })
      )
    }))

  it.scopedLive("has waited also for an answer that is then read on", () =>
    Effect.gen(function*() {
      const { url, write } = yield* told
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const call = yield* streamed
          // The answer stands still for so long.
          yield* Effect.sleep(150)
          call.leave()
          yield* departure
          write(rest)
          write(end)
          const { attributes, state } = yield* oneSpan
          assert.strictEqual(state, "client_cancel")
          assert.isAtLeast(attributes["tau.silent_ms"] as number, 149)
        }),
        { onDisconnect: "drain" }
      )
    }))

  it.scopedLive("leaves an answer that is read on to its end where that is wanted, so that its usage is known", () =>
    Effect.gen(function*() {
      const { closed, url, write } = yield* told
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const call = yield* streamed
          call.leave()
          yield* departure
          write(rest)
          write(end)
          const span = yield* oneSpan
          assert.deepInclude({ ...span }, { state: "client_cancel", inputTokens: 7, outputTokens: 2 })
          assert.strictEqual(yield* responseText(span), first + rest + end)
          yield* soon("the upstream let go", () => closed.length === 1)
          yield* calm
        }),
        { onDisconnect: "drain", timeoutMs: 60_000 }
      )
    }))

  it.scopedLive("holds no place once its upstream has ended, also when it left as a blank line was waited for", () =>
    Effect.gen(function*() {
      const { finish, url, write } = yield* told
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const call = yield* streamed
          call.leaveAfter(first + rest)
          write(rest + end.slice(0, -1))
          const span = yield* oneSpan
          assert.deepInclude({ ...span }, { state: "done", inputTokens: 7, outputTokens: 2 })
          finish()
          yield* calm
        }),
        { onDisconnect: "drain", timeoutMs: 60_000 }
      )
    }))

  it.scopedLive("holds no place when it left as the end of a recorded answer was committed once more", () =>
    Effect.gen(function*() {
      const url = yield* upstream((_req, res) => {
        res.writeHead(200, { "content-type": "text/event-stream" }).end(first + rest + end)
      })
      const path = join(yield* scratchFolder, "store.sqlite")
      const stores = Layer.mergeAll(RunStore.layer, RolloutQueue.layer)
      yield* Effect.gen(function*() {
        const asked = yield* streamedAt((yield* nextAttempt).url)
        yield* soon("the answer", () => asked.text() === first + rest + end)
        const again = yield* nextAttempt
        const letGo = lock(path)
        const call = yield* streamedAt(again.url)
        yield* soon("the events before the last", () => call.text() === first + rest)
        call.leave()
        yield* departure
        letGo()
        yield* calm
      }).pipe(Effect.provide(Layer.provideMerge(stores, proxyAt(path, url, { replay: "after-crash" }))))
    }))

  const lastEvents: ReadonlyArray<readonly [name: string, path: string, event: string, state: string]> = [
    [
      "an error",
      "/chat/completions",
      event({ error: { message: "overloaded", type: "server_error" } }),
      "upstream_error"
    ],
    ["an event named error", "/responses", `event: error\n${event({ type: "error", code: "c" })}`, "upstream_error"],
    [
      "an end that names its type last",
      "/responses",
      event({ response: { id: "r" }, type: "response.completed" }),
      "done"
    ],
    ["a compressed end", "/chat/completions", first + end, "done"],
    ["a compressed piece", "/chat/completions", first, "client_cancel"]
  ]
  for (const [name, path, last, state] of lastEvents) {
    it.scopedLive(`has left for the reason that it read in ${name}: ${state}`, () =>
      Effect.gen(function*() {
        const isCompressed = name.includes("compressed")
        const url = yield* upstream((_req, res) => {
          res.writeHead(200, {
            "content-type": "text/event-stream",
            ...(isCompressed && { "content-encoding": "gzip" })
          })
          res.write(isCompressed ? gzipSync(last) : last)
        })
        yield* withProxy(
          url,
          Effect.gen(function*() {
            const { origin } = yield* Proxy
            yield* Effect.promise(async () => {
              const answer = await request(toBaseUrl(origin, attribution) + path, { method: "POST", body: "{}" })
              answer.body.on("error", () => {})
              let bytes = 0
              for await (const chunk of answer.body) {
                bytes += (chunk as Buffer).length
                if (bytes >= (isCompressed ? gzipSync(last) : Buffer.from(last)).length) break
              }
            })
            assert.strictEqual((yield* oneSpan).state, state)
          }),
          { timeoutMs: 60_000 }
        )
      }))
  }

  it.scopedLive("is not followed for longer than the limit, nor for more bytes", () =>
    Effect.gen(function*() {
      for (const changed of [{ drainMs: 200 }, { drainBytesMax: 10 }]) {
        const { closed, url, write } = yield* told
        yield* withProxy(
          url,
          Effect.gen(function*() {
            const call = yield* streamed
            call.leave()
            yield* departure
            if ("drainBytesMax" in changed) write(rest)
            yield* soon("the upstream let go", () => closed.length === 1)
            assert.strictEqual((yield* oneSpan).state, "client_cancel")
            yield* calm
          }),
          { onDisconnect: "drain", timeoutMs: 60_000, limits: limits(changed) }
        )
      }
    }))

  it.scopedLive("leaves what the call holds in memory to it until the store has it", () =>
    Effect.gen(function*() {
      const { closed, url } = yield* told
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.gen(function*() {
        const call = yield* streamed
        const held = yield* recorded
        assert.isAbove(held!, first.length)
        const letGo = lock(path)
        call.leave()
        yield* soon("the upstream let go", () => closed.length === 1)
        yield* departure
        assert.strictEqual(yield* recorded, held)
        letGo()
        yield* calm
        assert.strictEqual(yield* recorded, 0)
        assert.strictEqual((yield* oneSpan).state, "client_cancel")
      }).pipe(Effect.provide(proxyAt(path, url)))
    }))

  it.scopedLive("leaves it that also as what came behind the end is written", () =>
    Effect.gen(function*() {
      const { finish, url, write } = yield* told
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.gen(function*() {
        const call = yield* streamed
        write(rest + end)
        yield* soon("the whole answer", () => call.text() === first + rest + end)
        const letGo = lock(path)
        write(": more\n\n")
        yield* soon("more", () => call.text().endsWith(": more\n\n"))
        const held = yield* recorded
        finish()
        call.leave()
        yield* departure
        assert.strictEqual(yield* recorded, held)
        letGo()
        yield* calm
        assert.strictEqual(yield* recorded, 0)
      }).pipe(Effect.provide(proxyAt(path, url)))
    }))

  for (const onDisconnect of ["cancel", "drain"] as const) {
    it.scopedLive(`has a whole answer once the terminal event has come, committed or not (${onDisconnect})`, () =>
      Effect.gen(function*() {
        const { closed, url, write } = yield* told
        const path = join(yield* scratchFolder, "store.sqlite")
        yield* Effect.gen(function*() {
          const call = yield* streamed
          const letGo = lock(path)
          write(rest + end)
          // The terminal event is held back: what came before it has passed, and its commit is under way.
          yield* soon("the events before the last", () => call.text() === first + rest)
          call.leave()
          yield* soon("the upstream let go", () => closed.length === 1)
          letGo()
          const span = yield* oneSpan
          assert.deepInclude({ ...span }, { state: "done", outputTokens: 2 })
          assert.strictEqual(yield* responseText(span), first + rest + end)
          yield* calm
        }).pipe(Effect.provide(proxyAt(path, url, { onDisconnect, timeoutMs: 60_000 })))
      }))

    it.scopedLive(`is done when it has read the terminal event, though the upstream stays (${onDisconnect})`, () =>
      Effect.gen(function*() {
        const { closed, url, write } = yield* told
        yield* withProxy(
          url,
          Effect.gen(function*() {
            const call = yield* streamed
            write(rest + end)
            yield* soon("the whole answer", () => call.text() === first + rest + end)
            call.leave()
            yield* soon("the upstream let go", () => closed.length === 1)
            assert.deepInclude({ ...yield* oneSpan }, { state: "done", outputTokens: 2 })
            yield* calm
          }),
          { onDisconnect, timeoutMs: 60_000 }
        )
      }))
  }
})
