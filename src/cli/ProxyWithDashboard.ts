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
import { answerHeaders } from "../dashboard/Access.js"
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
  return laterAdmin(() => Runtime.runPromise(runtime)(load), options.warn)
})

/** One that is loaded by the first request, and tried again by the next when that failed. */
export const laterAdmin = (load: () => Promise<Admin>, warn: (message: string) => void): Admin => {
  let loading: Promise<Admin> | null = null
  let isClosed = false
  let told = ""
  const loaded = () =>
    load().then((admin) => {
      if (isClosed) admin.close()
      return admin
    }, (error: unknown) => {
      loading = null
      const message = error instanceof Error ? error.message : String(error)
      // Who looks at the dashboard asks again and again.
      if (message !== told) warn(`tau: the dashboard could not be loaded: ${message}`)
      told = message
      throw error
    })
  return {
    handle: (request, response) => {
      loading ??= loaded()
      loading.then((admin) => {
        // Of a client that left meanwhile nothing would tell that it has: its stream would keep its place for ever.
        if (!request.socket.destroyed) admin.handle(request, response)
      }, () => fail(response))
    },
    close: () => {
      isClosed = true
      loading?.then((admin) => admin.close(), () => {})
    }
  }
}

/** In the shape of the dashboard's own errors. */
const fail = (response: ServerResponse) => {
  for (const [name, value] of answerHeaders) response.setHeader(name, value)
  response.writeHead(500, { "content-type": "application/json", connection: "close" }).end(JSON.stringify({
    schema_version: 1,
    error: { code: "dashboard_failed", message: "the dashboard could not be loaded; the proxy's log says why" }
  }))
}
