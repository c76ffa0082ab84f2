/** A proxy whose port serves the dashboard of its store as well. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { basename, dirname, join, resolve } from "node:path"
import { Dashboard } from "../dashboard/Dashboard.js"
import { DashboardStore } from "../dashboard/DashboardStore.js"
import { Proxy } from "../proxy/Proxy.js"
import type { ProxyOptions } from "../proxy/ProxyOptions.js"
import { operatorOf } from "./Operator.js"
import { localPrincipal } from "./Principal.js"

export const proxyWithDashboard = (
  options: ProxyOptions,
  { storePath, token }: { readonly storePath: string; readonly token: string | null }
) =>
  Layer.unwrapEffect(
    Effect.map(Dashboard, (admin) => Proxy.layer({ ...options, admin }))
  ).pipe(
    Layer.provide(Dashboard.layer({
      bindHost: options.bind.host,
      allowedHosts: options.allowedHosts,
      token,
      localPrincipal: localPrincipal()
    })),
    Layer.provide(operatorOf({ storePath, stateDir: dirname(storePath), rbacPolicyPath: rbacPolicyOf(storePath) })),
    Layer.provide(DashboardStore.live)
  )

/** `.tau/security/rbac.json` for `.tau/training/store.sqlite`; for a store in any other folder, `security/` beside it. */
const rbacPolicyOf = (storePath: string): string => {
  const folder = dirname(storePath)
  return join(basename(resolve(folder)) === "training" ? dirname(folder) : folder, "security", "rbac.json")
}
