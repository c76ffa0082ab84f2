import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import type { IncomingMessage, ServerResponse } from "node:http"
import { dirname, join } from "node:path"
import { request } from "undici"
import { Admission } from "../../src/proxy/Admission.js"
import type { CallIdentity } from "../../src/proxy/CallIdentity.js"
import type { Credentials } from "../../src/proxy/Headers.js"
import { KeyRing } from "../../src/proxy/KeyRing.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { defaultLimits, type ProxyOptions } from "../../src/proxy/ProxyOptions.js"
import { ClientKeyReader } from "../../src/store/ClientKeyReader.js"
import { ClientKeyStore } from "../../src/store/ClientKeyStore.js"
import { proxyAt } from "../support/proxy.js"
import { rowsOf, scratchFolder } from "../support/store.js"
import { eventually, upstream } from "../support/upstream.js"
import { webSocketUpstream } from "../support/webSocket.js"
import { answering, connected, event } from "../support/webSocketClient.js"

type Known = Proxy | ClientKeyReader | ClientKeyStore | Scope.Scope
type Keys = NonNullable<ProxyOptions["keys"]>

/** Runs a test with a proxy that knows keys. */
const withKeysAt = <A, E>(url: string, keys: Keys, test: (storePath: string) => Effect.Effect<A, E, Known>) =>
  Effect.flatMap(scratchFolder, (folder) => {
    const path = join(folder, "store.sqlite")
    const readers = Layer.merge(ClientKeyReader.layer, ClientKeyStore.layer)
    return Effect.provide(test(path), Layer.provideMerge(readers, proxyAt(path, url, { keys })))
  })

/** The same with what its upstream saw. */
const withKeys = <A, E>(
  keys: Keys,
  test: (seen: Array<Record<string, unknown>>, storePath: string) => Effect.Effect<A, E, Known>
) =>
  Effect.gen(function*() {
    const seen: Array<Record<string, unknown>> = []
    const url = yield* upstream((req, res) => {
      seen.push(req.headers)
      req.resume().on("end", () => res.end("ok"))
    })
    return yield* withKeysAt(url, keys, (path) => test(seen, path))
  })

const get = (headers: Record<string, string>, path = "/v1/models") =>
  Effect.flatMap(Proxy, ({ origin }) =>
    Effect.promise(async () => {
      const answer = await request(origin + path, { headers })
      return { status: answer.statusCode, text: await answer.body.text() }
    }))

const until = (status: number, headers: Record<string, string>, path?: string) =>
  eventually(`status ${status}`, Effect.map(get(headers, path), (seen) => seen.status === status ? seen : undefined))

const create = (scope = "capture", expiresAtMs: number | null = null) =>
  Effect.flatMap(ClientKeyStore, (keys) => keys.create({ name: "test", scope, expiresAtMs }))

describe("keys of clients", () => {
  it.scopedLive("stop at the proxy also in a second header beside another key", () =>
    Effect.gen(function*() {
      const seen: Array<ReadonlyArray<string> | undefined> = []
      const url = yield* upstream((req, res) => {
        seen.push(req.headersDistinct["authorization"])
        req.resume().on("end", () => res.end("ok"))
      })
      yield* withKeysAt(url, { required: false, upstreamKey: null }, (path) =>
        Effect.gen(function*() {
          const { key } = yield* create()
          const { origin } = yield* Proxy
          const headers = ["authorization", "Bearer sk-other-key-of-1", "authorization", `Bearer ${key}`]
          const { body, statusCode } = yield* Effect.promise(() => request(`${origin}/v1/models`, { headers }))
          yield* Effect.promise(() => body.text())
          assert.strictEqual(statusCode, 200)
          assert.deepStrictEqual(seen, [["Bearer sk-other-key-of-1"]])
          const kept = rowsOf<{ all: string }>(path, "SELECT group_concat(attributes) AS 'all' FROM spans")[0]!.all
          assert.notMatch(kept, /sk-other|tau_/)
        }))
    }))

  it.scopedLive("are refused with the way out where the proxy has no key for an https upstream", () =>
    withKeysAt("https://127.0.0.1:9/v1", { required: true, upstreamKey: null }, () =>
      Effect.gen(function*() {
        const { key } = yield* create()
        const { origin } = yield* Proxy
        const headers = { "x-api-key": key }
        const refusal = Effect.promise(async () => {
          const { body, statusCode } = await request(`${origin}/v1/models`, { headers })
          assert.strictEqual(statusCode, 401)
          const { error } = await body.json() as { error: Record<string, unknown> }
          return error["code"] === "invalid_api_key" ? undefined : error
        })
        const error = yield* eventually("the key is known", refusal)
        assert.deepInclude(error, {
          code: "training_proxy_upstream_key_missing",
          message:
            "a key of tau stops at the proxy, and the proxy was started without the upstream's own key: start it with "
            + "the variable of its provider, or the one that --prompt-optimization-proxy-upstream-key-env names"
        })
      })))

  it.scopedLive("that are revoked end an open WebSocket at its next model call, which is not made", () =>
    Effect.gen(function*() {
      const server = yield* webSocketUpstream(answering)
      yield* withKeysAt(server.url, { required: true, upstreamKey: null }, (path) =>
        Effect.gen(function*() {
          const { id, key } = yield* create()
          const headers = { authorization: `Bearer ${key}` }
          yield* until(426, headers)
          const { closed, messages, socket } = yield* connected("/v1/responses", headers)
          socket.send(event("response.create", { model: "m" }))
          yield* eventually("the answer", Effect.sync(() => messages.length === 3 || undefined))
          yield* Effect.flatMap(ClientKeyStore, ({ revoke }) => revoke(id))
          yield* until(401, headers)
          socket.send(event("response.create", { model: "m" }))
          yield* eventually("the end", Effect.sync(closed))
          assert.strictEqual(closed(), 1008)
          assert.strictEqual(server.peers[0]!.messages.length, 1)
          const connection = "SELECT state, attributes FROM spans WHERE kind = 'http' AND status_code = 101"
          const ended = yield* eventually(
            "the span of the connection",
            Effect.sync(() => rowsOf<{ state: string; attributes: string }>(path, connection)[0])
          )
          assert.strictEqual(ended.state, "refused")
          assert.include(ended.attributes, "invalid_api_key")
        }))
    }))

  it.scopedLive("that are revoked end an open WebSocket also where its server begins the calls by itself", () =>
    Effect.gen(function*() {
      const server = yield* webSocketUpstream(() => {})
      yield* withKeysAt(server.url, { required: true, upstreamKey: null }, (path) =>
        Effect.gen(function*() {
          const { id, key } = yield* create()
          const headers = { authorization: `Bearer ${key}` }
          yield* until(426, headers)
          const { closed, messages } = yield* connected("/v1/realtime?model=m", headers)
          const created = (response: string) =>
            server.peers[0]!.send(event("response.created", { response: { id: response } }))
          created("r1")
          server.peers[0]!.send(event("response.done", { response: { id: "r1", status: "completed" } }))
          yield* eventually("the answer", Effect.sync(() => messages.length === 2 || undefined))
          assert.isUndefined(closed())
          yield* Effect.flatMap(ClientKeyStore, ({ revoke }) => revoke(id))
          yield* until(401, headers)
          created("r2")
          yield* eventually("the end", Effect.sync(closed))
          assert.strictEqual(closed(), 1008)
          const calls = "SELECT state FROM spans WHERE kind = 'llm' AND state <> 'open' ORDER BY start_time_us"
          yield* eventually("the spans of both", Effect.sync(() => rowsOf(path, calls).length === 2 || undefined))
          assert.deepStrictEqual(rowsOf(path, calls), [{ state: "done" }, { state: "refused" }])
        }))
    }))

  it.scopedLive("are asked for, in any of the three headers, and never reach the upstream", () =>
    withKeys({ required: true, upstreamKey: "sk-upstream" }, (seen) =>
      Effect.gen(function*() {
        const { key } = yield* create()
        yield* until(200, { authorization: `Bearer ${key}` })
        for (
          const headers of [{ "x-api-key": key }, { "api-key": key }, {
            authorization: "Bearer sk-other",
            "api-key": key
          }]
        ) {
          assert.strictEqual((yield* get(headers)).status, 200)
        }
        const socket = {
          "sec-websocket-protocol": `realtime, openai-insecure-api-key.${key}`
        }
        assert.strictEqual((yield* get(socket)).status, 200)
        for (const headers of seen) {
          assert.strictEqual(headers["authorization"], "Bearer sk-upstream")
          assert.notInclude(JSON.stringify(headers), "tau_")
        }
        const count = seen.length
        const wrong = key.replace(/.$/, (last) => last === "A" ? "B" : "A")
        for (
          const headers of [{}, { authorization: "Bearer sk-other" }, { authorization: `Bearer ${wrong}` }, {
            "api-key": "tau_"
          }]
        ) {
          const { status, text } = yield* get(headers as Record<string, string>)
          assert.strictEqual(status, 401)
          assert.match(text, /"code":"invalid_api_key"/)
        }
        const bearer = { authorization: `Bearer ${key}` }
        const run = `tau-run-${"0f".repeat(16)}`
        for (
          const elsewhere of [{ path: `/v1/models?key=${key}` }, { path: `/v1/x?q=${run}` }, { cookie: `k=${key}` }]
        ) {
          const { path, ...headers } = { path: "/v1/models", ...elsewhere }
          const { status, text } = yield* get({ ...bearer, ...headers }, path)
          assert.strictEqual(status, 401)
          assert.match(text, /the URL or a cookie/)
        }
        assert.strictEqual(seen.length, count)
        assert.strictEqual((yield* get(bearer, "/v1/models?tau_id_key=1")).status, 200)
        assert.strictEqual((yield* get({}, "/metrics")).status, 401)
        assert.strictEqual((yield* get({ "x-api-key": key }, "/metrics")).status, 200)
        assert.deepStrictEqual(JSON.parse((yield* get({}, "/training/proxy/health")).text), {
          schema_version: 1,
          status: "ready"
        })
        assert.include((yield* get({ "x-api-key": key }, "/training/proxy/health")).text, "upstream_url")
      })))

  it.scopedLive("are refused within seconds once they are revoked, and when they have expired", () =>
    withKeys({ required: true, upstreamKey: null }, () =>
      Effect.gen(function*() {
        const keys = yield* ClientKeyStore
        // Before the one that is waited for: the proxy knows them as well then.
        const expired = yield* Effect.forEach([1, Date.now()], (atMs) => create("capture", atMs))
        const { id, key } = yield* create()
        yield* until(200, { "x-api-key": key })
        for (const { key: old } of expired) assert.strictEqual((yield* get({ "x-api-key": old })).status, 401)
        assert.isTrue(yield* keys.revoke(id))
        assert.isFalse(yield* keys.revoke("nobody"))
        yield* until(401, { "x-api-key": key })
        const { list } = yield* ClientKeyReader
        assert.notInclude(JSON.stringify(yield* list), key.slice(-20))
      })))

  it.scopedLive("are refused as well once their call has waited for a place, if they were revoked meanwhile", () =>
    Effect.gen(function*() {
      const held: Array<ServerResponse> = []
      const url = yield* upstream((_request, response) => {
        held.push(response)
      })
      const path = join(yield* scratchFolder, "store.sqlite")
      const options = { keys: { required: true, upstreamKey: null }, limits: { ...defaultLimits, callsMax: 1 } }
      yield* Effect.gen(function*() {
        const { id, key } = yield* create()
        const headers = { "x-api-key": key }
        yield* until(200, headers, "/metrics")
        const first = yield* Effect.fork(get(headers))
        yield* eventually("the call under way", Effect.sync(() => held.length === 1 || undefined))
        const second = yield* Effect.fork(get(headers))
        const { health } = yield* Proxy
        yield* eventually("the call that waits", Effect.sync(() => health().callsQueued === 1 || undefined))
        yield* Effect.flatMap(ClientKeyStore, ({ revoke }) => revoke(id))
        yield* until(401, headers, "/metrics")
        held[0]!.end("ok")
        assert.strictEqual((yield* Fiber.join(first)).status, 200)
        const { status, text } = yield* Fiber.join(second)
        assert.strictEqual(status, 401)
        assert.match(text, /"code":"invalid_api_key"/)
        assert.strictEqual(held.length, 1)
      }).pipe(Effect.provide(ClientKeyStore.layer.pipe(Layer.provideMerge(proxyAt(path, url, options)))))
    }))

  it.scopedLive("of a run are good for its rollouts only", () =>
    withKeys({ required: true, upstreamKey: null }, () =>
      Effect.gen(function*() {
        const { key } = yield* create("run-0001-abcdef")
        const path = (run: string, attempt = "a1") => `/rollout/${run}-train-0001/attempt/${attempt}/v1/models`
        const attemptOf = (run: string) => `${run}-train-0001%3Aattempt-1`
        yield* until(200, { "x-api-key": key }, path("run-0001-abcdef"))
        for (const other of ["run-0002-abcdef", "run-0001-abcdef0"]) {
          assert.strictEqual((yield* get({ "x-api-key": key }, path(other))).status, 403)
          // A span is of the run whose attempt it names.
          const mixed = path("run-0001-abcdef", attemptOf(other))
          assert.strictEqual((yield* get({ "x-api-key": key }, mixed)).status, 403)
        }
        const own = path("run-0001-abcdef", attemptOf("run-0001-abcdef"))
        assert.strictEqual((yield* get({ "x-api-key": key }, own)).status, 200)
        assert.strictEqual((yield* get({ "x-api-key": key })).status, 403)
      })))

  it.scopedLive("are asked of whoever watches a proxy that other machines reach", () =>
    Effect.gen(function*() {
      const clientKey = `tau-run-${"0f".repeat(16)}`
      const path = join(yield* scratchFolder, "store.sqlite")
      const options = { bind: { host: "0.0.0.0", port: 0 }, clientKey }
      yield* Effect.gen(function*() {
        assert.strictEqual((yield* get({}, "/metrics")).status, 401)
        assert.strictEqual((yield* get({ "x-api-key": `${clientKey}0` }, "/metrics")).status, 401)
        assert.notInclude((yield* get({}, "/training/proxy/health")).text, "upstream_url")
        assert.strictEqual((yield* get({ "x-api-key": clientKey }, "/metrics")).status, 200)
        assert.include((yield* get({ "x-api-key": clientKey }, "/training/proxy/health")).text, "upstream_url")
      }).pipe(Effect.provide(proxyAt(path, "http://127.0.0.1:9", options)))
    }))

  it.scopedLive("are not needed on loopback, where a client's own key passes", () =>
    withKeys({ required: false, upstreamKey: "sk-upstream" }, (seen) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* get({ authorization: "Bearer sk-mine" })).status, 200)
        assert.strictEqual(seen[0]?.["authorization"], "Bearer sk-mine")
        assert.strictEqual((yield* get({ authorization: "Bearer tau_unknown" })).status, 401)
        assert.strictEqual((yield* get({}, "/metrics")).status, 200)
      })))

  const azurePath = "/openai/deployments/d/chat/completions?api-version=2026-01-01"
  const places = [
    ["Azure's", "api-key", azurePath, "sk-upstream"],
    ["Anthropic's", "x-api-key", "/v1/messages", "sk-upstream"],
    ["OpenAI's", "authorization", "/v1/chat/completions", "Bearer sk-upstream"]
  ] as const
  const keyHeaders = ["authorization", "x-api-key", "api-key"] as const

  for (const [whose, header, path, wanted] of places) {
    it.scopedLive(`give way to the upstream's in ${whose} header, and are written nowhere`, () =>
      withKeys({ required: true, upstreamKey: "sk-upstream" }, (seen, storePath) =>
        Effect.gen(function*() {
          const { key } = yield* create()
          yield* until(200, { [header]: header === "authorization" ? `Bearer ${key}` : key }, path)
          for (const name of keyHeaders) {
            assert.strictEqual(seen[0]?.[name], name === header ? wanted : undefined, name)
          }
          yield* finishedSpan(storePath)
          assert.deepStrictEqual(filesWith(storePath, [key.slice(-30), "sk-upstream"]), [])
        })))

    it.scopedLive(`of a caller pass in ${whose} header as they are, and are written nowhere`, () =>
      withKeys({ required: false, upstreamKey: "sk-upstream" }, (seen, storePath) =>
        Effect.gen(function*() {
          const own = header === "authorization" ? "Bearer caller-own-secret" : "caller-own-secret"
          assert.strictEqual((yield* get({ [header]: own }, path)).status, 200)
          for (const name of keyHeaders) {
            assert.strictEqual(seen[0]?.[name], name === header ? own : undefined, name)
          }
          yield* finishedSpan(storePath)
          assert.deepStrictEqual(filesWith(storePath, ["caller-own-secret", "sk-upstream"]), [])
        })))
  }

  it("go where a provider's own address looks for them, whatever the client showed", () => {
    const options = { clientKey: null, keys: undefined, upstreamKey: "sk-upstream", bind: { host: "127.0.0.1" } }
    const headerOf = (origin: string, path: string) => {
      const admission = new Admission(options as unknown as ProxyOptions, origin, null)
      const asked = { headers: { authorization: "Bearer sk-other" } } as IncomingMessage
      const credentials = admission.credentialsFor(asked, { path } as CallIdentity)
      return Array.isArray(credentials) ? credentials[0] : (credentials as Credentials).keyHeader
    }
    assert.strictEqual(headerOf("https://me.openai.azure.com", "/v1/chat/completions"), "api-key")
    assert.strictEqual(headerOf("https://me.services.ai.azure.com", "/v1/responses"), "api-key")
    assert.strictEqual(headerOf("https://api.anthropic.com", "/v1/messages"), "x-api-key")
    assert.strictEqual(headerOf("https://api.anthropic.com", "/v1/chat/completions"), "authorization")
    assert.strictEqual(headerOf("https://openai.azure.com.evil.example", "/v1/messages"), "authorization")
  })

  it("go on to a provider with the key that was named for it, or beside the client's own, but not alone", () => {
    const secret = "s".repeat(43)
    const ring = new KeyRing()
    ring.learn([{
      id: "0a1b",
      secretSha256: createHash("sha256").update(secret).digest("hex"),
      scope: "capture",
      expiresAtMs: null
    }])
    const shown = { "x-api-key": `tau_0a1b_${secret}` }
    const admitted = (headers: object, upstreamKey: string | null, keyOfCapture: string | null) => {
      const keys = { required: true, upstreamKey: keyOfCapture }
      const options = { clientKey: null, upstreamKey, keys, bind: { host: "127.0.0.1" } }
      const admission = new Admission(options as unknown as ProxyOptions, "https://api.example.com", ring)
      const credentials = admission.credentialsFor({ headers } as IncomingMessage, { path: "/v1/x" } as CallIdentity)
      return Array.isArray(credentials) ? credentials[0] as string : (credentials as Credentials).key
    }
    assert.strictEqual(admitted(shown, null, null), "upstreamKey")
    assert.strictEqual(admitted({ ...shown, authorization: "Bearer sk-own" }, null, null), null)
    assert.strictEqual(admitted(shown, null, "sk-found"), "sk-found")
    assert.strictEqual(admitted(shown, "sk-named", "sk-found"), "sk-named")
  })
})

const finishedSpan = (storePath: string) =>
  eventually(
    "a finished span",
    Effect.sync(() => rowsOf(storePath, "SELECT 1 FROM spans WHERE state = 'done'").length === 0 ? undefined : true)
  )

/** Files beside the store, it and its log included, that hold one of these texts. */
const filesWith = (storePath: string, texts: ReadonlyArray<string>) =>
  readdirSync(dirname(storePath)).filter((name) => {
    const bytes = readFileSync(join(dirname(storePath), name))
    return texts.some((text) => bytes.includes(text))
  })
