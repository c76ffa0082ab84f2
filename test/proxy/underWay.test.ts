import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { defaultLimits } from "../../src/proxy/ProxyOptions.js"
import { SpanStore } from "../../src/store/SpanStore.js"
import { attribution, withProxy } from "../support/proxy.js"
import { eventually, upstream } from "../support/upstream.js"
import { webSocketUpstream } from "../support/webSocket.js"
import { connected, event, path, sending } from "../support/webSocketClient.js"

const impatient = { limits: { ...defaultLimits, shutdownGraceMs: 100 } }

/** Kind and name of the attempt's spans while their calls are under way, once there are so many. */
const open = (count: number) =>
  eventually(
    `${count} calls under way`,
    Effect.map(Effect.flatMap(SpanStore, (spans) => spans.byAttempt(attribution.attemptId)), (spans) =>
      spans.length < count ? undefined : spans.map(({ kind, name, state }) => ({ kind, name, state })))
  )

/** A crash leaves of a call what the store knows while it is under way. */
describe("A call that is under way", () => {
  it.scopedLive("is known to be a model's or not", () =>
    Effect.gen(function*() {
      const silent = yield* upstream(() => {})
      yield* withProxy(
        silent,
        Effect.gen(function*() {
          for (const rest of ["/v1/chat/completions", "/v1/embeddings", "/v1/files"]) {
            yield* sending(`POST ${path(rest)} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 2\r\n\r\n{}`)
          }
          const state = "open" as const
          assert.sameDeepMembers(yield* open(3), [
            { kind: "llm", name: "POST /v1/chat/completions", state },
            { kind: "embedding", name: "POST /v1/embeddings", state },
            { kind: "http", name: "POST /v1/files", state }
          ])
        }),
        impatient
      )
    }))

  it.scopedLive("is a model's over a WebSocket, whose connection is none", () =>
    Effect.gen(function*() {
      const silent = yield* webSocketUpstream(() => {})
      yield* withProxy(
        silent.url,
        Effect.gen(function*() {
          const client = yield* connected("/v1/responses")
          client.socket.send(event("response.create", { model: "m" }))
          assert.deepStrictEqual((yield* open(2)).map(({ kind }) => kind).toSorted(), ["http", "llm"])
        }),
        impatient
      )
    }))
})
