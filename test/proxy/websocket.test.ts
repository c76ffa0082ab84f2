import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import OpenAI from "openai"
import { ResponsesWS } from "openai/resources/responses/ws"
import { Proxy } from "../../src/proxy/Proxy.js"
import { defaultLimits } from "../../src/proxy/ProxyOptions.js"
import { metrics } from "../support/metrics.js"
import { finishedSpans, oneSpan, payloadText, proxyAt, requestText, responseText, withProxy } from "../support/proxy.js"
import { scratchFolder } from "../support/store.js"
import { acceptOf, clientFrame, frame, webSocketUpstream } from "../support/webSocket.js"
import {
  afterHead,
  answering,
  base,
  connected,
  echo,
  event,
  rawConnected,
  response,
  until
} from "../support/webSocketClient.js"

const key = "sk-abcdefghijklmnop"

describe("Proxy, WebSocket", () => {
  it.scopedLive("records each response of a connection as a model call, and the connection as a call of its own", () =>
    Effect.gen(function*() {
      const server = yield* webSocketUpstream(answering)
      yield* withProxy(
        server.url,
        Effect.gen(function*() {
          const client = yield* connected("/v1/responses")
          const ask = event("response.create", { model: "gpt-asked", input: "hi" })
          client.socket.send(event("response.create", { model: "gpt-asked", generate: false }))
          yield* until("the warm-up", () => client.messages.length === 3)
          client.socket.send(ask)
          yield* until("the answer", () => client.messages.length === 6)
          // What the client has seen whole is in the store.
          const [warmUp, call] = yield* finishedSpans(2)
          client.socket.send(event("response.steer", { input: "left" }))
          client.socket.close(1000)
          yield* until("the close", () => client.closed() === 1000)
          const spans = yield* finishedSpans(3)
          assert.strictEqual(warmUp?.attributes["tau.call.role"], "warm_up")
          assert.deepInclude(call!, {
            kind: "llm",
            name: "chat gpt-ws",
            state: "done",
            statusCode: 101,
            inputTokens: 5,
            outputTokens: 2
          })
          assert.deepInclude(call!.attributes, {
            "tau.wire": "ws",
            "tau.call.role": "main",
            "openai.api.type": "responses",
            "gen_ai.request.model": "gpt-asked",
            "gen_ai.response.id": "resp-2"
          })
          assert.isNumber(call!.attributes["tau.ttfb_ms"])
          assert.strictEqual(yield* requestText(call!), ask)
          const lines = (yield* responseText(call!)).split("\n")
          assert.deepStrictEqual(lines.slice(0, -1), client.messages.slice(3))
          assert.deepStrictEqual(JSON.parse(yield* payloadText(call!.answerSha256)), response("resp-2"))

          const connection = spans.find(({ kind }) => kind === "http")!
          assert.strictEqual(call!.parentId, connection.spanId)
          assert.strictEqual(call!.traceId, connection.traceId)
          assert.deepInclude(connection, { state: "done", method: "GET", statusCode: 101, path: "/v1/responses" })
          assert.deepInclude(connection.attributes, {
            "tau.wire": "ws",
            "tau.request.frames": 4,
            "tau.response.frames": 7,
            "tau.close_code": 1000
          })
          assert.strictEqual(yield* requestText(connection), `${event("response.steer", { input: "left" })}\n`)
          assert.strictEqual(connection.responseSha256, null)
          const counted = yield* metrics
          assert.strictEqual(
            counted.get("tau_requests_total{endpoint=\"responses\",status=\"1xx\",state=\"done\"}"),
            2
          )
          assert.strictEqual(counted.get("tau_input_tokens_total"), 10)
          assert.strictEqual((yield* Proxy).health().callsUnderWay, 0)
        })
      )
    }))

  it.scopedLive("serves the OpenAI client's Responses connection", () =>
    Effect.gen(function*() {
      const server = yield* webSocketUpstream(answering)
      yield* withProxy(
        server.url,
        Effect.gen(function*() {
          const sdk = new ResponsesWS(new OpenAI({ apiKey: "sk-client", baseURL: yield* base }))
          const completed = new Promise<string>((resolve) =>
            sdk.on("response.completed", ({ response: { id } }) => resolve(id))
          )
          sdk.send({ type: "response.create", model: "gpt-sdk", input: "hi" })
          assert.strictEqual(yield* Effect.promise(() => completed), "resp-1")
          assert.strictEqual((yield* oneSpan).model, "gpt-ws")
          sdk.close()
          yield* finishedSpans(2)
          assert.strictEqual(server.peers[0]!.request.headers.authorization, "Bearer sk-client")
        })
      )
    }))

  it.scopedLive("tells responses apart that are under way together", () =>
    Effect.gen(function*() {
      const server = yield* webSocketUpstream(() => {})
      yield* withProxy(
        server.url,
        Effect.gen(function*() {
          const client = yield* connected("/v1/responses")
          for (const lane of ["a", "b"]) client.socket.send(event("response.create", { model: lane, stream_id: lane }))
          yield* until("both", () => server.peers[0]?.messages.length === 2)
          const { send } = server.peers[0]!
          send(event("response.created", { response: { id: "rb" }, stream_id: "b" }))
          send(event("response.created", { response: { id: "ra" }, stream_id: "a" }))
          send(event("response.output_text.delta", { delta: "of b", stream_id: "b" }))
          send(event("response.completed", { response: response("ra") }))
          send(event("error", { status: 400, error: { type: "invalid_request_error", message: "no" }, stream_id: "b" }))
          const [first, second] = yield* finishedSpans(2)
          assert.deepStrictEqual(
            [first, second].map((span) => [span!.attributes["gen_ai.request.model"], span!.state]),
            [["a", "done"], ["b", "upstream_error"]]
          )
          assert.strictEqual((yield* responseText(first!)).split("\n").length, 3)
          assert.include(yield* responseText(second!), "of b")
          assert.strictEqual(second!.attributes["error.type"], "invalid_request_error")
        })
      )
    }))

  it.scopedLive("records Realtime responses with their usage, also those that the server begins, and what is around them", () =>
    Effect.gen(function*() {
      const server = yield* webSocketUpstream(() => {})
      const audio = "x".repeat(3_000)
      yield* withProxy(
        server.url,
        Effect.gen(function*() {
          const client = yield* connected("/v1/realtime?model=gpt-realtime")
          client.socket.send(event("session.update", { session: {} }))
          client.socket.send(event("response.create", { response: { instructions: "sing" } }))
          yield* until("both", () => server.peers[0]?.messages.length === 2)
          let bytes = 0
          const send = (text: string) => {
            bytes += text.length + 1
            server.peers[0]!.send(text)
          }
          send(event("error", { error: { message: "of another message", event_id: "e9" } }))
          for (const id of ["r1", "r2"]) {
            bytes = 0
            send(event("response.created", { response: { id } }))
            for (const delta of [audio, audio, audio + audio]) {
              send(event("response.output_audio.delta", { response_id: id, delta }))
            }
            const usage = { input_tokens: 7, output_tokens: 3, input_token_details: { cached_tokens: 4 } }
            send(event("response.done", { response: { object: "realtime.response", id, status: "completed", usage } }))
          }
          const spans = yield* finishedSpans(2)
          for (const span of spans) {
            assert.deepInclude(span, { kind: "llm", model: "gpt-realtime", inputTokens: 7, outputTokens: 3 })
            assert.strictEqual(span.responseBytes, bytes)
            assert.deepInclude(span.attributes, {
              "openai.api.type": "realtime",
              "tau.response.truncated": true,
              "gen_ai.usage.cache_read.input_tokens": 4
            })
            assert.isUndefined(span.attributes["tau.unassembled"])
            assert.isBelow((yield* responseText(span)).length, 8_000)
          }
          client.socket.close()
          const connection = (yield* finishedSpans(3)).find(({ kind }) => kind === "http")!
          assert.strictEqual(yield* requestText(connection), `${event("session.update", { session: {} })}\n`)
          assert.include(yield* responseText(connection), "of another message")
        }),
        { limits: { ...defaultLimits, recordedBytesMax: 4_000 } }
      )
    }))

  it.scopedLive("keeps the messages of any other connection, without keys and without the client's offer of extensions", () =>
    Effect.gen(function*() {
      const server = yield* webSocketUpstream(echo)
      yield* withProxy(
        server.url,
        Effect.gen(function*() {
          const client = yield* connected("/ws")
          client.socket.send(`{"text":"hello","xi_api_key":"${key}"}`)
          yield* until("the echo", () => client.messages[0]?.includes(key) === true)
          const { socket } = server.peers[0]!
          socket.write(frame(`{"key":"${key.slice(0, 9)}`, { isFinal: false }))
          socket.write(Buffer.concat([frame(`${key.slice(9)}"}`, { opcode: 0 }), frame("\r\n", { opcode: 2 })]))
          yield* until("the rest", () => client.messages.length === 3)
          client.socket.close(4001, "bye")
          yield* until("the close", () => client.closed() === 4001)
          const span = yield* oneSpan
          const { headers } = server.peers[0]!.request
          assert.deepInclude(span, { kind: "http", state: "done", statusCode: 101, path: "/ws" })
          assert.strictEqual(span.attributes["tau.close_code"], 4001)
          assert.strictEqual(span.requestBytes, server.peers[0]!.bytes().length)
          assert.strictEqual(yield* requestText(span), `{"text":"hello","xi_api_key":"[REDACTED]"}\n`)
          assert.strictEqual(
            yield* responseText(span),
            `you said {"text":"hello","xi_api_key":"[REDACTED]"}\n{"key":"[REDACTED]"}\n\r\n`
          )
          assert.isUndefined(headers["sec-websocket-extensions"])
          assert.isUndefined(headers["x-rollout-id"])
        })
      )
    }))

  it.scopedLive("passes every byte both ways, in whatever pieces, with the head that the upstream sent", () =>
    Effect.gen(function*() {
      const server = yield* webSocketUpstream(() => {})
      yield* withProxy(
        server.url,
        Effect.gen(function*() {
          const client = yield* rawConnected("/ws")
          const head = client.bytes().toString()
          assert.match(head, /^HTTP\/1\.1 101 /)
          assert.include(head, "X-From: upstream")
          assert.include(head, acceptOf("dGhlIHNhbXBsZSBub25jZQ=="))
          const big = clientFrame(randomBytes(400_000), { opcode: 2 })
          const all = Buffer.concat([
            clientFrame("a", { isFinal: false }),
            clientFrame("p", { opcode: 9 }),
            clientFrame("b", { opcode: 0 }),
            big
          ])
          for (const byte of all.subarray(0, 30)) client.socket.write(Buffer.of(byte))
          client.socket.write(all.subarray(30))
          const peer = server.peers[0]!
          yield* until("all of it", () => peer.bytes().equals(all))
          peer.socket.write(Buffer.concat([frame("c", { isFinal: false }), frame("p", { opcode: 10 })]))
          peer.socket.write(all)
          yield* until("all of that", () => afterHead(client).subarray(-all.length).equals(all))
        }),
        { limits: { ...defaultLimits, shutdownGraceMs: 50 } }
      )
    }))

  it.scopedLive("passes more than either side takes at once, however late it takes it", () =>
    Effect.gen(function*() {
      const server = yield* webSocketUpstream(() => {}, ({ socket }) => void socket.pause())
      yield* withProxy(
        server.url,
        Effect.gen(function*() {
          const client = yield* rawConnected("/ws")
          const { socket } = server.peers[0]!
          const all = frame(Buffer.alloc(16 * 1024 * 1024), { opcode: 2 })
          for (const [from, to] of [[client.socket, socket], [socket, client.socket]] as const) {
            to.pause()
            const before = to.bytesRead
            from.write(all)
            // So long it takes none of it.
            yield* Effect.sleep(100)
            to.resume()
            yield* until("all of it", () => to.bytesRead - before === all.length)
          }
        }),
        { limits: { ...defaultLimits, shutdownGraceMs: 50 } }
      )
    }))

  it.scopedLive("answers further calls of a client that took a long answer late", () =>
    Effect.gen(function*() {
      const server = yield* webSocketUpstream((peer, message) => {
        if (peer.messages.length === 1) peer.send(event("response.noise", { long: "x".repeat(24 * 1024 * 1024) }))
        answering(peer, message)
      })
      yield* withProxy(
        server.url,
        Effect.gen(function*() {
          const client = yield* rawConnected("/v1/responses")
          client.socket.pause()
          let unsent = -1
          const isStill = () => {
            const before = unsent
            unsent = server.peers[0]!.socket.writableLength
            return unsent > 0 && unsent === before
          }
          for (const n of [1, 2, 3]) {
            client.socket.write(clientFrame(event("response.create", { model: "m" })))
            yield* until("the call", () => server.peers[0]!.messages.length === n)
            if (n === 1) yield* until("a standstill", isStill)
            client.socket.resume()
            yield* finishedSpans(n)
          }
          yield* until("the last answer", () => client.bytes().includes(`"id":"resp-3","status"`))
        }),
        { limits: { ...defaultLimits, shutdownGraceMs: 50 } }
      )
    }))

  it.scopedLive("passes what is no WebSocket at all, and says that it could not be read", () =>
    Effect.gen(function*() {
      const server = yield* webSocketUpstream(() => {})
      yield* withProxy(
        server.url,
        Effect.gen(function*() {
          const client = yield* rawConnected("/v1/responses")
          const noise = Buffer.concat([Buffer.from([0xff, 0xff]), randomBytes(100_000)])
          client.socket.write(noise)
          yield* until("the noise", () => server.peers[0]!.bytes().equals(noise))
          server.peers[0]!.socket.end(noise)
          yield* until("the end", () => client.state() === "clean")
          assert.isTrue(afterHead(client).equals(noise))
          client.socket.end()
          const span = yield* oneSpan
          assert.strictEqual(
            span.attributes["tau.unassembled"],
            "request: a frame uses an extension; response: a frame uses an extension"
          )
          assert.deepInclude(span, { state: "upstream_cut", requestBytes: noise.length, responseBytes: noise.length })
        })
      )
    }))

  it.scopedLive("holds the event that ends a response until its span is committed, and nothing before it", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const storePath = join(folder, "store.sqlite")
      const server = yield* webSocketUpstream(answering)
      yield* Effect.provide(
        Effect.gen(function*() {
          const client = yield* connected("/v1/responses")
          const lock = new Database(storePath)
          lock.exec("BEGIN IMMEDIATE")
          client.socket.send(event("response.create", { model: "m" }))
          yield* until("what may pass", () => client.messages.length === 2)
          // Well within the time that the writer waits for the lock: after it the response would be broken off.
          yield* Effect.sleep("300 millis")
          assert.strictEqual(client.messages.length, 2)
          lock.exec("COMMIT")
          lock.close()
          yield* until("the rest", () => client.messages.length === 3)
          assert.strictEqual((yield* oneSpan).state, "done")
        }),
        proxyAt(storePath, server.url)
      )
    }))

  it.scopedLive("shows a cut upstream as a broken connection, and a client that left as cancelled", () =>
    Effect.gen(function*() {
      const server = yield* webSocketUpstream((peer) =>
        peer.send(event("response.created", { response: { id: `r${peer.messages.length}` } }))
      )
      yield* withProxy(
        server.url,
        Effect.gen(function*() {
          const cut = yield* connected("/v1/responses")
          cut.socket.send(event("response.create", { model: "m" }))
          yield* until("the beginning", () => cut.messages.length === 1)
          server.peers[0]!.socket.resetAndDestroy()
          yield* until("the break", () => cut.closed() === 1006)
          const gone = yield* rawConnected("/v1/responses")
          gone.socket.write(clientFrame(event("response.create", { model: "m2" })))
          yield* until("the other beginning", () => afterHead(gone).length > 0)
          gone.socket.resetAndDestroy()
          yield* until("the upstream's end", () => server.peers[1]!.socket.destroyed)
          const spans = yield* finishedSpans(4)
          const states = (kind: string) =>
            spans.filter((span) => span.kind === kind).map(({ state }) => state).toSorted()
          assert.deepStrictEqual(states("llm"), ["client_cancel", "upstream_cut"])
          assert.deepStrictEqual(states("http"), ["client_cancel", "upstream_cut"])
        })
      )
    }))
})
