/**
 * A proxy whose port serves the dashboard of its store as well. What serves it is a quarter of all that would be loaded, and most
 * proxies are never looked at: it is loaded when somebody asks for it first.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import { Proxy } from "../proxy/Proxy.js"
import type { Admin, ProxyOptions } from "../proxy/ProxyOptions.js"
import type { DashboardPlace } from "./ProxyDashboard.js"

export const proxyWithDashboard = (options: ProxyOptions, place: DashboardPlace) =>
  Layer.unwrapScoped(Effect.map(dashboardOnDemand(options, place), (admin) => Proxy.layer({ ...options, admin })))

const dashboardOnDemand = Effect.fnUntraced(function*(options: ProxyOptions, place: DashboardPlace) {
  // Opened before the proxy is, so that it closes after it, whenever the dashboard comes.
  const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
  const opening = Effect.promise(() => import("./ProxyDashboard.js")).pipe(
    Effect.flatMap(({ openDashboard }) => openDashboard(options, place)),
    Scope.extend(scope)
  )
  const run = Runtime.runPromise(yield* Effect.runtime<Effect.Effect.Context<typeof opening>>())
  let opened: Promise<Admin> | null = null
  let isClosing = false
  const admin: Admin = {
    handle: (request, response) => {
      opened ??= run(opening)
      opened.then((dashboard) => {
        if (isClosing) dashboard.close()
        if (!response.destroyed) dashboard.handle(request, response)
      }, (error: unknown) => {
        opened = null
        options.warn(`tau: warning: the dashboard cannot be loaded: ${String(error)}`)
        response.writeHead(500, { connection: "close" }).end()
      })
    },
    close: () => {
      isClosing = true
      void opened?.then((dashboard) => dashboard.close(), () => {})
    }
  }
  return admin
})
