/**
 * A proxy whose port serves the dashboard of its store as well. That is loaded when it is first asked for: it is a third of what a
 * process would load at its start, and few look at it.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import type { ServerResponse } from "node:http"
import { Proxy } from "../proxy/Proxy.js"
import type { Admin, ProxyOptions } from "../proxy/ProxyOptions.js"
import type { StoreProcess } from "../store/Sqlite.js"
import type { DashboardPlace } from "./ProxyDashboard.js"

export const proxyWithDashboard = (options: ProxyOptions, place: DashboardPlace) =>
  Layer.unwrapScoped(Effect.map(laterDashboard(options, place), (admin) => Proxy.layer({ ...options, admin })))

const laterDashboard = Effect.fnUntraced(function*(options: ProxyOptions, place: DashboardPlace) {
  // Made before the proxy, so that it is closed after it, whenever it is filled.
  const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
  const runtime = yield* Effect.runtime<SqlClient.SqlClient | StoreProcess>()
  const load = Effect.gen(function*() {
    const { Dashboard, proxyDashboard } = yield* Effect.promise(() => import("./ProxyDashboard.js"))
    return Context.get(yield* Layer.buildWithScope(proxyDashboard(options, place), scope), Dashboard)
  })
  let loading: Promise<Admin> | null = null
  let isClosed = false
  return {
    handle: (request, response) => {
      loading ??= Runtime.runPromise(runtime)(load).then((dashboard) => {
        if (isClosed) dashboard.close()
        return dashboard
      })
      loading.then((dashboard) => dashboard.handle(request, response), (error: unknown) => {
        loading = null
        options.warn(
          `tau: the dashboard could not be loaded: ${error instanceof Error ? error.message : String(error)}`
        )
        fail(response)
      })
    },
    close: () => {
      isClosed = true
      loading?.then((dashboard) => dashboard.close(), () => {})
    }
  } satisfies Admin
})

/** In the shape of the dashboard's own errors. */
const fail = (response: ServerResponse) =>
  response.headersSent
    ? response.destroy()
    : response.writeHead(500, { "content-type": "application/json", connection: "close" }).end(JSON.stringify({
      schema_version: 1,
      error: { code: "dashboard_failed", message: "the dashboard could not be loaded; the proxy's log says why" }
    }))
