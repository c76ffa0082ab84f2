import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { join } from "node:path"
import { request } from "undici"
import { defaultRules } from "../../src/openai/Redaction.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { ClientKeyStore } from "../../src/store/ClientKeyStore.js"
import { proxyAt } from "../support/proxy.js"
import { rowsOf, scratchFolder } from "../support/store.js"
import { eventually, upstream } from "../support/upstream.js"
import { webSocketUpstream } from "../support/webSocket.js"
import { answering, connected, event } from "../support/webSocketClient.js"

const keys = { required: false, upstreamKey: null }

const create = Effect.flatMap(
  ClientKeyStore,
  (store) => store.create({ name: "test", scope: "capture", expiresAtMs: null })
)

const get = (path: string, headers: Record<string, string>) =>
  Effect.flatMap(Proxy, ({ origin }) =>
    Effect.promise(async () => {
      const answer = await request(origin + path, { headers })
      await answer.body.text()
      return answer.statusCode
    }))

/** Until the proxy has learnt of the key. */
const known = (key: string) =>
  eventually(
    "the key to be known",
    Effect.map(get("/v1/models", { "x-api-key": key }), (status) => status === 401 ? undefined : true)
  )

/** The keys by which calls of this path are told, once there are `count`. */
const idsOf = (store: string, path: string, count: number) =>
  eventually(
    `${count} calls`,
    Effect.sync(() => {
      const rows = rowsOf<{ id: string | null }>(
        store,
        `SELECT attributes ->> '$."tau.client_key_id"' AS id FROM spans
         WHERE path LIKE '${path}' AND state <> 'open' ORDER BY start_time_us, kind DESC`
      )
      return rows.length < count ? undefined : rows.map(({ id }) => id)
    })
  )

describe("the id of a client's key", () => {
  for (const payloads of [true, false]) {
    it.scopedLive(`is on the span of each call that showed it, and on no other, ${payloads ? "with" : "without"} bodies`, () =>
      Effect.gen(function*() {
        const url = yield* upstream((req, res) => void req.resume().on("end", () => res.end("ok")))
        const path = join(yield* scratchFolder, "store.sqlite")
        const recording = { payloads, redaction: defaultRules }
        yield* Effect.gen(function*() {
          const { id, key } = yield* create
          yield* known(key)
          assert.strictEqual(yield* get("/v1/marked?n=1", { authorization: `Bearer ${key}` }), 200)
          assert.strictEqual(yield* get("/v1/marked?n=2", { authorization: "Bearer sk-other" }), 200)
          assert.strictEqual(yield* get("/v1/marked?n=3", {}), 200)
          assert.deepStrictEqual(yield* idsOf(path, "/v1/marked%", 3), [id, null, null])
        }).pipe(
          Effect.provide(ClientKeyStore.layer.pipe(Layer.provideMerge(proxyAt(path, url, { keys }, null, recording))))
        )
      }))
  }

  it.scopedLive("is on the span of a WebSocket and of each call made over it", () =>
    Effect.gen(function*() {
      const server = yield* webSocketUpstream(answering)
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.gen(function*() {
        const { id, key } = yield* create
        yield* known(key)
        const { messages, socket } = yield* connected("/v1/responses", { authorization: `Bearer ${key}` })
        socket.send(event("response.create", { model: "m" }))
        yield* eventually("the answer", Effect.sync(() => messages.length === 3 || undefined))
        socket.close()
        assert.deepStrictEqual(yield* idsOf(path, "/v1/responses%", 2), [id, id])
      }).pipe(Effect.provide(ClientKeyStore.layer.pipe(Layer.provideMerge(proxyAt(path, server.url, { keys })))))
    }))
})
