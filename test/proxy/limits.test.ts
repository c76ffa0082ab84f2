import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Scope } from "effect/Scope"
import type { ServerResponse } from "node:http"
import { connect } from "node:net"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { request } from "undici"
import { Proxy } from "../../src/proxy/Proxy.js"
import { defaultLimits } from "../../src/proxy/ProxyOptions.js"
import type { SpanStore } from "../../src/store/SpanStore.js"
import { metrics } from "../support/metrics.js"
import { attribution, finishedSpans, oneSpan, responseText, withProxy } from "../support/proxy.js"
import { eventually, upstream, withBody } from "../support/upstream.js"
import { sending } from "../support/webSocketClient.js"

const base = Effect.map(
  Proxy,
  ({ origin }) =>
    `${origin}/rollout/${attribution.rolloutId}/attempt/${encodeURIComponent(attribution.attemptId)}/v1/models`
)

const get = (options: Parameters<typeof request>[1] = {}) =>
  Effect.flatMap(base, (url) =>
    Effect.promise(async () => {
      const { body, headers, statusCode } = await request(url, options)
      return { statusCode, retryAfter: headers["retry-after"], text: await body.text() }
    }))

const limits = (changed: Partial<typeof defaultLimits>) => ({ limits: { ...defaultLimits, ...changed } })

const soon = (what: string, isSo: () => boolean) => eventually(what, Effect.sync(() => isSo() ? true : undefined))

/** An upstream whose answers wait to be given. */
const patientUpstream = Effect.gen(function*() {
  const answers: Array<ServerResponse> = []
  const url = yield* upstream((_req, res) => void answers.push(res))
  return { url, answers }
})

/** A proxy with a place for one call, and room for one that waits for it. */
const withOnePlace = <A, E>(
  queueMs: number,
  test: (answers: ReadonlyArray<ServerResponse>) => Effect.Effect<A, E, Proxy | SpanStore | Scope>
) =>
  Effect.flatMap(
    patientUpstream,
    ({ answers, url }) => withProxy(url, test(answers), limits({ callsMax: 1, queueMax: 1, queueMs }))
  )

const soonQueued = (count: number) =>
  Effect.flatMap(Proxy, ({ health }) => soon(`${count} in the queue`, () => health().callsQueued === count))

const soonUpstream = (answers: ReadonlyArray<ServerResponse>, count: number) =>
  soon(`${count} upstream`, () => answers.length === count)

const soonOver = Effect.flatMap(Proxy, ({ health }) => soon("no call under way", () => health().callsUnderWay === 0))

describe("The proxy's limits", () => {
  it.scopedLive("let a call wait for a place, and refuse the one for which there is not even a place in the queue", () =>
    withOnePlace(60_000, (answers) =>
      Effect.gen(function*() {
        const first = yield* Effect.fork(get())
        yield* soonUpstream(answers, 1)
        const second = yield* Effect.fork(get())
        yield* soonQueued(1)
        const third = yield* get()
        assert.deepInclude(third, { statusCode: 503, retryAfter: "1" })
        assert.include(third.text, "training_proxy_too_many_calls")
        assert.strictEqual(answers.length, 1)
        answers[0]!.end("1")
        yield* soonUpstream(answers, 2)
        answers[1]!.end("2")
        assert.strictEqual((yield* first).text, "1")
        assert.strictEqual((yield* second).text, "2")
        assert.strictEqual((yield* metrics).get("tau_requests_refused_total{reason=\"busy\"}"), 1)
      })))

  it.scopedLive("refuse a call that waited too long, and forget one whose client has left", () =>
    withOnePlace(300, (answers) =>
      Effect.gen(function*() {
        const first = yield* Effect.fork(get())
        yield* soonUpstream(answers, 1)
        assert.strictEqual((yield* get()).statusCode, 503)
        const leaver = new AbortController()
        const left = yield* Effect.fork(
          Effect.flatMap(
            base,
            (url) => Effect.promise(() => request(url, { signal: leaver.signal }).then(() => "answered", () => "left"))
          )
        )
        yield* soonQueued(1)
        leaver.abort()
        assert.strictEqual(yield* left, "left")
        yield* soonQueued(0)
        answers[0]!.end("1")
        assert.strictEqual((yield* first).text, "1")
        yield* soonOver
        assert.strictEqual(answers.length, 1)
      })))

  it.scopedLive.each(["resetAndDestroy", "end"] as const)(
    "forget a call that waited behind another one of its connection, once their client has left (%s)",
    (leave) =>
      withOnePlace(60_000, (answers) =>
        Effect.gen(function*() {
          const { health } = yield* Proxy
          const { pathname } = new URL(yield* base)
          const client = yield* sending(`GET ${pathname} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(2))
          yield* soonUpstream(answers, 1)
          yield* soonQueued(1)
          client.socket[leave]()
          yield* oneSpan
          yield* soonQueued(0)
          yield* soonOver
          assert.strictEqual(health().calls, 1)
        }))
  )

  it.scopedLive("record no more bytes at once than the budget, pass all of them, and say which record is cut", () =>
    Effect.gen(function*() {
      const answers: Array<ServerResponse> = []
      const url = yield* upstream((_req, res) => {
        res.writeHead(200).write("x".repeat(3_000))
        answers.push(res)
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const { health } = yield* Proxy
          const first = yield* Effect.fork(get())
          yield* eventually(
            "the recorded bytes",
            Effect.map(metrics, (counts) => counts.get("tau_recorded_bytes") === 3_000 ? true : undefined)
          )
          answers[0]!.write("y".repeat(3_000))
          yield* eventually(
            "a used-up budget",
            Effect.map(metrics, (counts) => counts.get("tau_recorded_bytes") === 4_000 ? true : undefined)
          )
          const refused = yield* get()
          assert.strictEqual(refused.statusCode, 503)
          assert.include(refused.text, "training_proxy_recording_full")
          assert.strictEqual(health().status, "recording_full")
          assert.strictEqual((yield* metrics).get("tau_store_failure"), 1)
          answers[0]!.end()
          assert.strictEqual((yield* first).text, "x".repeat(3_000) + "y".repeat(3_000))
          const span = yield* oneSpan
          assert.deepInclude(span.attributes, { "tau.response.truncated": true })
          assert.strictEqual(yield* responseText(span), "x".repeat(3_000) + "y".repeat(1_000))
          yield* soon("the end of the call", () => health().callsUnderWay === 0)
          const counts = yield* metrics
          assert.strictEqual(counts.get("tau_recorded_bytes"), 0)
          assert.strictEqual(counts.get("tau_store_failure"), 0)
          assert.strictEqual(health().status, "ready")
          assert.strictEqual(counts.get("tau_recordings_cut_total"), 1)
          const second = yield* Effect.fork(get())
          yield* soon("the second call upstream", () => answers.length === 2)
          answers[1]!.end()
          assert.strictEqual((yield* second).text, "x".repeat(3_000))
          assert.notProperty((yield* finishedSpans(2))[1]!.attributes, "tau.response.truncated")
        }),
        limits({ recordingBytesMax: 4_000 })
      )
    }))

  it.scopedLive("leave room for a short call beside the record of one that is long", () =>
    Effect.gen(function*() {
      const { answers, url } = yield* patientUpstream
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const long = yield* Effect.fork(get())
          yield* soonUpstream(answers, 1)
          answers[0]!.writeHead(200).write("x".repeat(500_000))
          yield* eventually(
            "three quarters of the budget used",
            Effect.map(metrics, (counts) => counts.get("tau_recorded_bytes") === 300_000 ? true : undefined)
          )
          const short = yield* Effect.fork(get())
          yield* soonUpstream(answers, 2)
          answers[1]!.end("short")
          assert.deepInclude(yield* short, { statusCode: 200, text: "short" })
          assert.strictEqual(yield* responseText(yield* oneSpan), "short")
          answers[0]!.end()
          assert.strictEqual((yield* long).text.length, 500_000)
        }),
        limits({ recordingBytesMax: 400_000 })
      )
    }))

  it.scopedLive("leave a record that was cut as it is, also once there is room again", () =>
    Effect.gen(function*() {
      const answers: Array<ServerResponse> = []
      const url = yield* upstream((_req, res) => {
        res.writeHead(200).write("x".repeat(3_000))
        answers.push(res)
      })
      const soonRecorded = (bytes: number) =>
        eventually(
          `${bytes} recorded bytes`,
          Effect.map(metrics, (counts) => counts.get("tau_recorded_bytes") === bytes ? true : undefined)
        )
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const whole = yield* Effect.fork(get())
          yield* soonRecorded(3_000)
          const cut = yield* Effect.fork(get())
          yield* soonRecorded(4_000)
          answers[0]!.end()
          yield* whole
          yield* soonRecorded(1_000)
          answers[1]!.end("y".repeat(3_000))
          assert.strictEqual((yield* cut).text, "x".repeat(3_000) + "y".repeat(3_000))
          const span = (yield* finishedSpans(2)).find(({ attributes }) => attributes["tau.response.truncated"] === true)
          assert.strictEqual(yield* responseText(span!), "x".repeat(1_000))
        }),
        limits({ recordingBytesMax: 4_000 })
      )
    }))

  it.scopedLive("keep the record of an answer in tiny pieces whole", () =>
    Effect.gen(function*() {
      const pieces = Array.from({ length: 5_000 }, (_, n) => n % 100 === 7 ? "long".repeat(200) : `${n},`)
      const url = yield* upstream((_req, res) => {
        const write = (index: number): void => {
          if (index === pieces.length) res.end()
          else res.write(pieces[index]!, () => write(index + 1))
        }
        write(0)
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          assert.strictEqual((yield* get()).text, pieces.join(""))
          assert.strictEqual(yield* responseText(yield* oneSpan), pieces.join(""))
        })
      )
    }))

  it.scopedLive(
    "hold for the bytes of a request that is read before it is sent, not for the pieces in which they come",
    () =>
      Effect.gen(function*() {
        setFlagsFromString("--expose-gc")
        const gc = runInNewContext("gc") as () => void
        const heap = () => {
          gc()
          return process.memoryUsage().heapUsed
        }
        const count = 200_000
        let before = 0
        let grownBy = 0
        const url = yield* upstream(withBody((body, _request, response) => {
          grownBy = heap() - before
          response.end(String(body.length))
        }))
        yield* withProxy(
          url,
          Effect.gen(function*() {
            const socket = connect(Number(new URL((yield* Proxy).origin).port), "127.0.0.1")
            let text = ""
            socket.on("error", () => {}).on("data", (part: Buffer) => text += part.toString())
            socket.write("POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n")
            before = heap()
            socket.write(Buffer.concat([Buffer.from("1\r\nx\r\n".repeat(count)), Buffer.from("0\r\n\r\n")]))
            yield* eventually("the answer", Effect.sync(() => text.includes(`\r\n\r\n`) ? true : undefined))
            assert.include(text, String(count))
            assert.isBelow(grownBy, 8 * 1024 * 1024)
            socket.destroy()
          }),
          { streamUsage: "ask" }
        )
      }),
    60_000
  )

  it.scopedLive("break off a call that lasts too long", () =>
    Effect.gen(function*() {
      const { url } = yield* patientUpstream
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const answer = yield* get()
          assert.strictEqual(answer.statusCode, 504)
          assert.include(answer.text, "training_proxy_call_timeout")
          assert.strictEqual((yield* oneSpan).state, "timeout")
        }),
        { ...limits({ callMs: 300 }), timeoutMs: 60_000 }
      )
    }))

  it.scopedLive("break off what an upstream goes on to send behind the end of its answer", () =>
    Effect.gen(function*() {
      let closed = false
      const url = yield* upstream((_req, res) => {
        res.writeHead(200, { "content-type": "text/event-stream" })
        res.write("data: [DONE]\n\n")
        const pinging = setInterval(() => res.write(": ping\n\n"), 20)
        res.on("close", () => {
          clearInterval(pinging)
          closed = true
        })
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const broken = yield* Effect.flip(Effect.sandbox(get()))
          assert.include(String(broken), "other side closed")
          assert.strictEqual((yield* oneSpan).state, "done")
          yield* soonOver
          yield* soon("the upstream let go", () => closed)
        }),
        // Time enough for the end of the answer, also on a slow machine.
        limits({ callMs: 2_000 })
      )
    }))

  it.scopedLive("break off a call whose client reads nothing", () =>
    Effect.gen(function*() {
      let closed = false
      const url = yield* upstream((_req, res) => {
        res.writeHead(200)
        const chunk = Buffer.alloc(1024 * 1024)
        const more = () => {
          while (!res.destroyed && res.write(chunk));
        }
        res.on("drain", more).on("close", () => closed = true)
        more()
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const address = new URL(yield* base)
          const socket = yield* Effect.acquireRelease(
            Effect.sync(() => connect(Number(address.port), "127.0.0.1")),
            (opened) => Effect.sync(() => opened.destroy())
          )
          socket.on("error", () => {}).pause()
          socket.write(`GET ${address.pathname} HTTP/1.1\r\nhost: localhost\r\n\r\n`)
          const span = yield* oneSpan
          assert.strictEqual(span.state, "timeout")
          assert.deepInclude(span.attributes, { "error.type": "training_proxy_client_stalled" })
          yield* soon("the upstream let go", () => closed)
        }),
        limits({ clientIdleMs: 300 })
      )
    }))

  it.scopedLive("close a connection whose answers nobody reads, though no call is under way on it", () =>
    withProxy(
      "http://127.0.0.1:1",
      Effect.gen(function*() {
        const soonOpen = (count: number) =>
          eventually(
            `${count} connections`,
            Effect.map(metrics, (counts) => counts.get("tau_connections_open") === count ? true : undefined)
          )
        // More than the system holds for a client that does not read.
        const client = yield* sending("GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(3_000))
        client.socket.pause()
        // One is that of the metrics themselves.
        yield* soonOpen(2)
        yield* soonOpen(1)
      }),
      // Time enough for the connection to be seen.
      limits({ clientIdleMs: 2_000 })
    ))
})
