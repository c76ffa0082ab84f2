import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { Proxy } from "../../src/proxy/Proxy.js"
import { defaultLimits } from "../../src/proxy/ProxyOptions.js"
import { finishedSpans, oneSpan, proxyAt, withProxy } from "../support/proxy.js"
import { rowsOf, scratchFolder } from "../support/store.js"
import { upstream } from "../support/upstream.js"
import { clientFrame, frame, handshake, rawClient, webSocketUpstream } from "../support/webSocket.js"
import {
  afterHead,
  answering,
  connected,
  echo,
  event,
  path,
  rawConnected,
  response,
  until
} from "../support/webSocketClient.js"

const mib = 1024 * 1024

/** A client that asks, and ends its side before the answer, is one that left. */
const endsItsSide = (server: Effect.Effect.Success<ReturnType<typeof webSocketUpstream>>) =>
  withProxy(
    server.url,
    Effect.gen(function*() {
      const client = yield* rawConnected("/v1/responses")
      client.socket.write(clientFrame(event("response.create", { model: "m" })))
      yield* until("the request", () => server.peers[0]!.messages.length === 1)
      client.socket.end()
      const spans = yield* finishedSpans(2)
      assert.deepStrictEqual(spans.map(({ state }) => state), ["client_cancel", "client_cancel"])
    })
  )

describe("Proxy, WebSocket connections that are refused or ended", () => {
  it.scopedLive("passes a refusal of the upstream as it is, and records it as the plain answer it is", () =>
    Effect.gen(function*() {
      const url = yield* upstream((_req, res) => {
        res.writeHead(401, { "x-from": "upstream" })
        res.end("no entry")
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const client = yield* rawClient((yield* Proxy).origin)
          client.socket.write(handshake(path("/v1/responses")))
          yield* until("the end", () => client.state() === "clean")
          assert.match(client.bytes().toString(), /^HTTP\/1\.1 401 Unauthorized\r\nx-from: upstream\r\n/)
          assert.include(client.bytes().toString(), "no entry")
          client.socket.end()
          assert.deepInclude(yield* oneSpan, { kind: "http", state: "done", statusCode: 401 })
        })
      )
    }))

  it.scopedLive("tells no client that it speaks WebSocket with an upstream that changes to another protocol", () =>
    Effect.gen(function*() {
      const url = yield* upstream(({ socket }) =>
        void socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
      )
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const client = yield* rawClient((yield* Proxy).origin)
          client.socket.write(handshake(path("/v1/responses")))
          yield* until("the end", () => client.state() === "clean")
          assert.match(client.bytes().toString(), /^HTTP\/1\.1 502 [^]*training_proxy_upstream_response_read_failed/)
          client.socket.end()
          assert.deepInclude(yield* oneSpan, { kind: "http", state: "upstream_error", statusCode: 502 })
          assert.strictEqual((yield* Proxy).health().callsUnderWay, 0)
        })
      )
    }))

  it.scopedLive("refuses what it refuses of calls: a foreign key, a malformed id, no place, an upstream that is not there", () =>
    Effect.gen(function*() {
      const server = yield* webSocketUpstream(echo)
      const status = (target: string, headers: ReadonlyArray<string> = []) =>
        Effect.gen(function*() {
          const client = yield* rawClient((yield* Proxy).origin)
          client.socket.write(handshake(target, headers))
          yield* until("the answer", () => client.bytes().includes("}") || client.bytes().includes(" 101 "))
          return client.bytes().toString().slice(9, 12)
        })
      yield* withProxy(
        server.url,
        Effect.gen(function*() {
          assert.strictEqual(yield* status("/rollout/%00/attempt/x/v1/responses"), "400")
          assert.strictEqual(yield* status("/v1/responses", ["Authorization: Bearer no"]), "401")
          assert.strictEqual(yield* status("/v1/responses", ["Authorization: Bearer own"]), "101")
          assert.strictEqual(yield* status("/v1/responses", ["Authorization: Bearer own"]), "503")
          assert.strictEqual((yield* Proxy).health().callsUnderWay, 1)
          assert.strictEqual(server.peers[0]!.request.headers.authorization, "Bearer upstream-key")
        }),
        {
          clientKey: "own",
          upstreamKey: "upstream-key",
          limits: { ...defaultLimits, callsMax: 1, queueMax: 0, shutdownGraceMs: 50 }
        }
      )
      yield* withProxy(
        "http://127.0.0.1:9",
        Effect.map(status("/v1/responses"), (code) => assert.strictEqual(code, "502"))
      )
    }))

  it.scopedLive("closes a connection that is silent, or asks for more calls than it may, so that the client comes back", () =>
    Effect.gen(function*() {
      const server = yield* webSocketUpstream(() => {})
      yield* withProxy(
        server.url,
        Effect.gen(function*() {
          const greedy = yield* connected("/v1/responses")
          greedy.socket.send(event("response.create", { model: "a" }))
          yield* until("the first call", () => server.peers[0]?.messages.length === 1)
          greedy.socket.send(event("response.create", { model: "b" }))
          yield* until("the end", () => greedy.closed() === 1013)
          const silent = yield* connected("/ws")
          yield* until("that end", () => silent.closed() === 1001)
          const spans = yield* finishedSpans(3)
          assert.sameMembers(spans.map(({ attributes }) => attributes["error.type"]), [
            "training_proxy_too_many_calls",
            "training_proxy_too_many_calls",
            "training_proxy_websocket_idle"
          ])
          assert.sameMembers(spans.map(({ state }) => state), ["refused", "refused", "timeout"])
          // The second call was never asked of the upstream.
          assert.strictEqual(server.peers[0]!.messages.length, 1)
        }),
        { limits: { ...defaultLimits, socketIdleMs: 300, socketCallsMax: 1 } }
      )
    }))

  it.scopedLive("adds no frame to a connection that it ends within one of the upstream's", () =>
    Effect.gen(function*() {
      const part = frame("cut").subarray(0, 3)
      const server = yield* webSocketUpstream(() => {}, ({ socket }) => void socket.write(part))
      yield* withProxy(
        server.url,
        Effect.gen(function*() {
          const client = yield* rawConnected("/ws")
          yield* until("the end", () => client.state() === "clean")
          assert.isTrue(afterHead(client).equals(part))
          client.socket.end()
        }),
        { limits: { ...defaultLimits, socketIdleMs: 200 } }
      )
    }))

  it.scopedLive("sends on what came in one piece with a call that is refused, not the call, and lets the upstream go", () =>
    Effect.gen(function*() {
      // It goes on sending, whatever it hears.
      const server = yield* webSocketUpstream(() => {}, ({ socket }) => {
        const sending = setInterval(() => socket.write(frame("more")), 5)
        socket.removeAllListeners("end").once("close", () => clearInterval(sending))
      })
      yield* withProxy(
        server.url,
        Effect.gen(function*() {
          const client = yield* rawConnected("/v1/realtime?model=m")
          const update = clientFrame(event("session.update"))
          client.socket.write(Buffer.concat([update, clientFrame(event("response.create"))]))
          yield* until("the end", () => client.state() === "clean")
          yield* until("the message before it", () => server.peers[0]!.bytes().equals(update))
          // The client has not closed its side: it could take half a minute.
          yield* Effect.timeout(until("the end of the upstream", () => server.peers[0]!.socket.destroyed), "15 seconds")
          client.socket.end()
        }),
        { limits: { ...defaultLimits, socketCallsMax: 0 } }
      )
    }))

  it.scopedLive("takes a client that ends its side, and says no goodbye, for one that left", () =>
    Effect.flatMap(webSocketUpstream(() => {}), endsItsSide))

  it.scopedLive("lets an upstream go that keeps its side open though the client has ended its own", () =>
    Effect.flatMap(
      webSocketUpstream(() => {}, ({ socket }) => void socket.removeAllListeners("end")),
      endsItsSide
    ))

  it.scopedLive("tells how long a client had waited for more of an answer when it left, and that one got all it asked for", () =>
    Effect.gen(function*() {
      const server = yield* webSocketUpstream((peer, message) => {
        if (message.includes("whole")) answering(peer, message)
        else peer.send(event("response.created", { response: { id: "r", object: "response" } }))
      })
      yield* withProxy(
        server.url,
        Effect.gen(function*() {
          for (const model of ["whole", "begun"]) {
            const { messages, socket } = yield* connected("/v1/responses")
            socket.send(event("response.create", { model }))
            yield* until("an event", () => messages.length > (model === "whole" ? 2 : 0))
            // The answer stands still for so long.
            yield* Effect.sleep(150)
            socket.close()
          }
          const calls = (yield* finishedSpans(4)).filter(({ kind }) => kind === "llm")
          const silentMs = (state: string) => calls.find((call) => call.state === state)!.attributes["tau.silent_ms"]
          assert.isUndefined(silentMs("done"))
          assert.isAtLeast(silentMs("client_cancel") as number, 149)
        })
      )
    }))

  it.scopedLive("knows a call and its end by their type, though neither is kept whole nor begins with it", () =>
    Effect.gen(function*() {
      const long = "x".repeat(10_000)
      const done = JSON.stringify({ response: response("r", { long }), type: "response.completed" })
      const server = yield* webSocketUpstream((peer) => peer.send(done))
      yield* withProxy(
        server.url,
        Effect.gen(function*() {
          const { socket } = yield* connected("/v1/responses")
          socket.send(JSON.stringify({ input: long, model: "m", type: "response.create" }))
          yield* until("the request", () => server.peers[0]?.messages.length === 1)
          assert.deepInclude(yield* oneSpan, { kind: "llm", state: "done" })
        }),
        { limits: { ...defaultLimits, recordedBytesMax: 1_000 } }
      )
    }))

  it.scopedLive("takes a goodbye of the upstream for a good end, but for a cut of the call that was under way", () =>
    Effect.gen(function*() {
      const server = yield* webSocketUpstream(({ socket }) => {
        socket.write(frame(Buffer.from([1001 >> 8, 1001 & 255]), { opcode: 8 }))
      })
      yield* withProxy(
        server.url,
        Effect.gen(function*() {
          const { closed, socket } = yield* connected("/v1/responses")
          socket.send(event("response.create", { model: "m" }))
          yield* until("the goodbye", () => closed() === 1001)
          const spans = yield* finishedSpans(2)
          assert.sameDeepMembers(
            spans.map(({ attributes, kind, state }) => [kind, state, attributes["tau.close_code"]]),
            [["llm", "upstream_cut", undefined], ["http", "done", 1001]]
          )
        })
      )
    }))

  it.scopedLive("takes what a client sends before its offer is taken", () =>
    Effect.gen(function*() {
      const server = yield* webSocketUpstream(answering)
      yield* withProxy(
        server.url,
        Effect.gen(function*() {
          const client = yield* rawClient((yield* Proxy).origin)
          const early = clientFrame(event("response.create", { model: "early" }))
          client.socket.write(Buffer.concat([Buffer.from(handshake(path("/v1/responses"))), early]))
          assert.deepInclude(yield* oneSpan, { kind: "llm", state: "done" })
          assert.isTrue(server.peers[0]!.bytes().equals(early))
        }),
        { limits: { ...defaultLimits, shutdownGraceMs: 50 } }
      )
    }))

  for (const recordPolicy of ["required", "best-effort"] as const) {
    it.scopedLive(`shows an answer for which the store has no room as the policy says (${recordPolicy})`, () =>
      Effect.gen(function*() {
        const isRequired = recordPolicy === "required"
        const long = randomBytes(4 * mib).toString("hex")
        const storePath = join(yield* scratchFolder, "store.sqlite")
        const server = yield* webSocketUpstream((peer) => {
          peer.send(event("response.created", { response: { id: "r" } }))
          peer.send(event("response.completed", { response: response("r", { long }) }))
        })
        yield* Effect.provide(
          Effect.gen(function*() {
            const { closed, messages, socket } = yield* connected("/v1/responses")
            const next = yield* connected("/v1/responses")
            socket.send(event("response.create", { model: "m" }))
            yield* until("what becomes of it", () => isRequired ? closed() !== undefined : messages.length === 2)
            assert.deepStrictEqual([closed(), messages.length], isRequired ? [1006, 1] : [undefined, 2])
            if (!isRequired) return
            // Nor is another call made, until there is room again.
            next.socket.send(event("response.create", { model: "m" }))
            yield* until("the refusal", () => next.closed() !== undefined)
            assert.deepStrictEqual([next.closed(), server.peers[1]!.messages.length], [1013, 0])
          }),
          proxyAt(storePath, server.url, { recordPolicy, limits: { ...defaultLimits, shutdownGraceMs: 50 } }, 2 * mib)
        )
      }))
  }

  it.scopedLive("closes idle connections at shutdown at once, and waits for a response under way", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const storePath = join(folder, "store.sqlite")
      const server = yield* webSocketUpstream(() => {})
      const started = yield* Effect.provide(
        Effect.gen(function*() {
          const idle = yield* connected("/v1/responses")
          const busy = yield* connected("/v1/responses")
          const other = yield* connected("/ws")
          busy.socket.send(event("response.create", { model: "m" }))
          yield* until("the request", () => server.peers[1]?.messages.length === 1)
          // Once the idle one has been told to go, the shutdown is under way.
          idle.socket.addEventListener("close", () => {
            server.peers[1]!.send(event("response.completed", { response: response("late") }))
            // Of this one nobody knows whether it is idle.
            server.peers[2]!.send("late")
          })
          return { idle, busy, other }
        }),
        proxyAt(storePath, server.url, { limits: { ...defaultLimits, shutdownGraceMs: 1_000 } })
      )
      yield* until("both ends", () => started.busy.closed() === 1001)
      assert.strictEqual(started.idle.closed(), 1001)
      assert.strictEqual(started.busy.messages.length, 1)
      yield* until("the last end", () => started.other.closed() === 1001)
      assert.deepStrictEqual(started.other.messages, ["late"])
      assert.deepStrictEqual(rowsOf(storePath, "SELECT kind, state FROM spans ORDER BY kind, state"), [
        { kind: "http", state: "done" },
        { kind: "http", state: "done" },
        { kind: "http", state: "timeout" },
        { kind: "llm", state: "done" }
      ])
    }))
})
