import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { dashboardAt } from "../support/dashboard.js"
import { scratchFolder } from "../support/store.js"

const served = (options: Parameters<typeof dashboardAt>[1] = {}) =>
  Effect.flatMap(scratchFolder, (folder) => dashboardAt(join(folder, "store.sqlite"), options))

const action = JSON.stringify({ action: "refresh", reason: "" })
const post = (headers: Readonly<Record<string, string>>, body = action) => ({
  method: "POST",
  headers: { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)), ...headers },
  body
})

describe("who may ask the dashboard", { timeout: 60_000 }, () => {
  it.scopedLive("answers under the names of this machine only", () =>
    Effect.gen(function*() {
      const { ask } = yield* served()
      for (const host of ["evil.example", "127.0.0.1.evil.example", "10.1.2.3:80"]) {
        const { json, status } = yield* ask("/dashboard/health", { headers: { host } })
        assert.deepStrictEqual([status, json.error.code], [421, "dashboard_misdirected"], host)
      }
      for (const host of ["localhost:1", "127.0.0.1", "[::1]:9", "app.localhost"]) {
        assert.strictEqual((yield* ask("/dashboard/health", { headers: { host } })).status, 200, host)
      }
    }))

  it.scopedLive("refuses what pages of other sites send, by any method and with any body", () =>
    Effect.gen(function*() {
      const { ask, origin } = yield* served()
      for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
        for (
          const headers of [
            { "sec-fetch-site": "cross-site" },
            { origin: "https://evil.example" },
            { origin: "null" },
            { origin: "https://evil.example", "content-type": "text/plain" }
          ]
        ) {
          const { json, status } = yield* ask("/dashboard/actions", { ...post(headers), method })
          assert.strictEqual(status, 403, `${method} ${JSON.stringify(headers)}`)
          assert.strictEqual(json.error.code, "dashboard_forbidden")
        }
      }
      assert.strictEqual((yield* ask("/dashboard/stream", { headers: { origin: "https://evil.example" } })).status, 403)
      assert.strictEqual((yield* ask("/dashboard/stream", { headers: { "sec-fetch-site": "cross-site" } })).status, 403)
      assert.strictEqual((yield* ask("/dashboard/actions", post({ origin }))).status, 200)
    }))

  it.scopedLive("asks for its token, and says nothing else to those who lack it", () =>
    Effect.gen(function*() {
      const token = "0123456789abcdef"
      const { act, ask } = yield* served({ token })
      const bearer = { authorization: `Bearer ${token}` }
      assert.strictEqual((yield* ask("/dashboard/health", { headers: bearer })).status, 200)
      assert.strictEqual((yield* act("refresh", "", bearer)).json.actor, "token:dashboard")
      const refusals = yield* Effect.forEach(
        ["/dashboard/health", "/dashboard/api/spans/unknown", "/dashboard/nothing"],
        (path) => ask(path, { headers: { authorization: "Bearer wrong" } })
      )
      for (const { headers, status, text } of refusals) {
        assert.strictEqual(status, 401)
        assert.strictEqual(text, refusals[0]!.text)
        assert.strictEqual(headers["www-authenticate"], "Bearer")
      }
      assert.strictEqual((yield* ask("/dashboard/health")).status, 401)
    }))

  it.scopedLive("admits nobody where other machines reach it and no token is set", () =>
    Effect.gen(function*() {
      const { ask } = yield* served({ bindHost: "0.0.0.0" })
      const { json, status } = yield* ask("/dashboard/health")
      assert.strictEqual(status, 401)
      assert.match(json.error.message, /, and none is set: TAU_DASHBOARD_TOKEN$/)
    }))

  it.scopedLive("takes an action as JSON of a stated, bounded size", () =>
    Effect.gen(function*() {
      const { ask } = yield* served()
      const statusOf = (asked: Parameters<typeof ask>[1]) =>
        Effect.map(ask("/dashboard/actions", asked), ({ json, status }) => `${status} ${json?.error?.code ?? ""}`)
      assert.strictEqual(
        yield* statusOf(post({ "content-type": "text/plain" })),
        "415 dashboard_unsupported_media_type"
      )
      assert.strictEqual(
        yield* statusOf(post({}, JSON.stringify({ action: "pause", reason: "x".repeat(70_000) }))),
        "413 dashboard_too_large"
      )
      assert.strictEqual(
        yield* statusOf({
          method: "POST",
          headers: { "content-type": "application/json", "transfer-encoding": "chunked" },
          body: action
        }),
        "411 dashboard_length_required"
      )
      for (
        const body of [
          "{",
          "null",
          "[]",
          "{}",
          "{\"action\":\"cancel\"}",
          "{\"action\":\"pause\",\"reason\":7}",
          "{\"action\":\"pause\",\"force\":true}",
          JSON.stringify({ action: "pause", reason: "x".repeat(501) })
        ]
      ) {
        assert.strictEqual(yield* statusOf(post({}, body)), "400 dashboard_bad_request", body)
      }
      const { status } = yield* ask("/dashboard/actions?reason=a", post({}))
      assert.strictEqual(status, 400)
    }))

  it.scopedLive("says in one line what is wrong with which parameter", () =>
    Effect.gen(function*() {
      const { ask } = yield* served()
      const told = (path: string) => Effect.map(ask(path), ({ json }) => json.error.message as string)
      assert.match(
        yield* told("/dashboard/api/runs?limit=0"),
        /^limit: Expected a number of rows, 1 to 1000[^\n]*, actual 0$/
      )
      assert.match(
        yield* told("/dashboard/queue-timeline?bucket_ms=0"),
        /^bucket_ms: Expected the milliseconds of a bucket, 1000 to 86400000[^\n]*, actual 0$/
      )
      assert.strictEqual(yield* told("/dashboard/api/runs?limit=-1"), "limit: Expected a whole number, actual \"-1\"")
      assert.strictEqual(
        yield* told("/dashboard/api/rollouts?min_score=x"),
        "min_score: Expected a number between 0 and 1, actual \"x\""
      )
      assert.strictEqual(yield* told("/dashboard/api/runs?__proto__=1"), "__proto__: is unexpected")
      assert.strictEqual(yield* told("/dashboard/health?%5F_proto__=1&__proto__=2"), "__proto__: is unexpected")
      assert.strictEqual(yield* told("/dashboard/api/runs?limit=1&limit=2"), "limit: is given more than once")
      assert.strictEqual(
        (yield* ask("/dashboard/actions", post({}, "[]"))).json.error.message,
        "the request: Expected a JSON object, actual []"
      )
      assert.match(yield* told("/dashboard/api/runs?sort=id"), /^sort: is unexpected, expected: [^\n]*"limit"/)
      assert.match(
        yield* told("/dashboard/api/rollouts?status=x"),
        /^status: Expected "queuing" or "preparing" or .*, actual "x"$/
      )
    }))

  it.scopedLive("answers every page with the same headers, and errors in one shape", () =>
    Effect.gen(function*() {
      const { ask } = yield* served()
      for (
        const [path, expected] of [["/dashboard/health", 200], ["/dashboard/x", 404], [
          "/dashboard/alerts?x=1",
          400
        ]] as const
      ) {
        const { headers, json, status } = yield* ask(path)
        assert.strictEqual(status, expected, path)
        assert.deepInclude(headers, {
          "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
          "x-content-type-options": "nosniff",
          "referrer-policy": "no-referrer",
          "cache-control": "no-store"
        })
        assert.strictEqual(json.schema_version, 1)
        if (expected !== 200) assert.hasAllKeys(json.error, ["code", "message"])
      }
      const wrong = yield* ask("/dashboard/health", { method: "DELETE" })
      assert.deepStrictEqual([wrong.status, wrong.headers["allow"]], [405, "GET, HEAD"])
      assert.strictEqual((yield* ask("/dashboard/actions")).status, 405)
    }))

  it.scopedLive("answers HEAD with the head of GET, and of a stream with nothing", () =>
    Effect.gen(function*() {
      const { ask } = yield* served()
      for (const [path, expected] of [["/dashboard/health", 200], ["/dashboard/api/spans/none", 404]] as const) {
        const got = yield* ask(path)
        const head = yield* ask(path, { method: "HEAD" })
        assert.deepStrictEqual([head.status, head.text], [expected, ""], path)
        assert.strictEqual(head.headers["content-type"], got.headers["content-type"])
      }
      const stream = yield* ask("/dashboard/stream", { method: "HEAD" })
      assert.deepStrictEqual([stream.status, stream.headers["allow"]], [405, "GET"])
    }))

  it.scopedLive("knows its pages by their exact paths", () =>
    Effect.gen(function*() {
      const { ask } = yield* served()
      for (
        const path of [
          "/dashboard/static/..%2f..%2fetc/passwd",
          "/dashboard/%c0%ae%c0%ae/etc/passwd",
          "/dashboard/..\\..\\health",
          "/dashboard/api/spans/%00",
          "/dashboard/api/../health",
          "/dashboard/%2e%2e/dashboard/health",
          "/dashboard//health",
          "/dashboard/health/",
          "/",
          "/v1/models"
        ]
      ) {
        const { status, text } = yield* ask(path)
        assert.strictEqual(status, 404, path)
        // Whoever opens the address in a browser finds the way on.
        assert.include(text, "/dashboard/api/openapi.json")
      }
    }))

  it.scopedLive("refuses queries that cannot be meant, at once", () =>
    Effect.gen(function*() {
      const { ask } = yield* served()
      const begun = performance.now()
      for (
        const query of [
          "limit=-1",
          "limit=1e9",
          "limit=NaN",
          "limit=0x10",
          "limit=0",
          "limit=1001",
          "limit=1&limit=2",
          "limit[]=1",
          "sort=id;DROP",
          "state=gone",
          `state=${"%25".repeat(2_000)}`,
          `q=${"_".repeat(2_000)}`,
          `after=${"(a%2B)%2B$".repeat(200)}`
        ]
      ) {
        assert.strictEqual((yield* ask(`/dashboard/api/runs?${query}`)).status, 400, query)
      }
      assert.isBelow(performance.now() - begun, 10_000)
      for (const query of ["min_score=2", "min_score=-0.1", "mode=all", "after=' OR 1=1--".replaceAll(" ", "%20")]) {
        const { status } = yield* ask(`/dashboard/api/rollouts?${query}`)
        assert.include([400, 404], status, query)
      }
      assert.include([400, 431], (yield* ask(`/dashboard/api/runs?q=${"x".repeat(1_000_000)}`)).status)
    }))
})
