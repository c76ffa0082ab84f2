import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { laterAdmin } from "../../src/cli/ProxyWithDashboard.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import type { Admin } from "../../src/proxy/ProxyOptions.js"
import { asking } from "../support/dashboard.js"
import { withProxy } from "../support/proxy.js"
import { eventually } from "../support/upstream.js"
import { sending, until } from "../support/webSocketClient.js"

/** Answers each request with its path. */
const answering = () => {
  const answered: Array<string | undefined> = []
  const admin: Admin = {
    handle: ({ url }, response) => {
      answered.push(url)
      response.end(url)
    },
    close: () => {}
  }
  return { admin, answered }
}

describe("The dashboard on a proxy's port", () => {
  it.scopedLive("answers, once it is loaded, all who asked meanwhile and are still there", () =>
    Effect.gen(function*() {
      const { admin, answered } = answering()
      const loading = yield* Deferred.make<Admin>()
      let asked = 0
      let loads = 0
      const later = laterAdmin(() => {
        loads += 1
        return Effect.runPromise(Deferred.await(loading))
      }, assert.fail)
      const counting: Admin = {
        ...later,
        handle: (request, response) => {
          asked += 1
          later.handle(request, response)
        }
      }
      yield* withProxy(
        "http://127.0.0.1:9",
        Effect.gen(function*() {
          const get = (page: string) => `GET /dashboard/${page} HTTP/1.1\r\nHost: localhost\r\n\r\n`
          const stays = yield* sending(`${get("first")}${get("second")}`)
          const leaves = yield* sending(`${get("stream")}${get("stream")}`)
          yield* until("all have asked", () => asked === 4)
          leaves.socket.destroy()
          const { ask } = asking((yield* Proxy).origin)
          yield* eventually(
            "one has left",
            // The connection that asks is one of the two.
            Effect.map(ask("/metrics"), ({ text }) => /^tau_connections_open 2$/m.test(text) ? true : undefined)
          )
          yield* Deferred.succeed(loading, admin)
          yield* until("both answers", () => stays.bytes().toString().endsWith("/dashboard/second"))
          assert.deepStrictEqual(answered.toSorted(), ["/dashboard/first", "/dashboard/second"])
          assert.strictEqual(loads, 1)
        }),
        { admin: counting }
      )
    }))

  it.scopedLive("says once why it could not be loaded, answers as the dashboard does, and tries again", () =>
    Effect.gen(function*() {
      const { admin } = answering()
      const warned: Array<string> = []
      let isThere = false
      const later = laterAdmin(
        () => isThere ? Promise.resolve(admin) : Promise.reject(new Error("it is gone")),
        (message) => warned.push(message)
      )
      yield* withProxy(
        "http://127.0.0.1:9",
        Effect.gen(function*() {
          const { ask } = asking((yield* Proxy).origin)
          const answers = yield* Effect.all(Array.from({ length: 5 }, () => ask("/dashboard/health")), {
            concurrency: "unbounded"
          })
          for (const { headers, json, status } of [...answers, yield* ask("/dashboard/health")]) {
            assert.deepStrictEqual([status, json.schema_version, json.error.code], [500, 1, "dashboard_failed"])
            assert.strictEqual(headers["content-security-policy"], "default-src 'none'; frame-ancestors 'none'")
            assert.strictEqual(headers["cache-control"], "no-store")
          }
          assert.deepStrictEqual(warned, ["tau: the dashboard could not be loaded: it is gone"])
          isThere = true
          assert.strictEqual((yield* ask("/dashboard/health")).text, "/dashboard/health")
        }),
        { admin: later }
      )
    }))
})
