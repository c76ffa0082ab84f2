/** The dashboard of the store that a proxy writes, in the proxy's own process. */
import * as Layer from "effect/Layer"
import { basename, dirname, join, resolve } from "node:path"
import { Dashboard } from "../dashboard/Dashboard.js"
import { DashboardStore } from "../dashboard/DashboardStore.js"
import type { ProxyOptions } from "../proxy/ProxyOptions.js"
import { operatorOf } from "./Operator.js"
import { localPrincipal } from "./Principal.js"

export interface DashboardPlace {
  readonly storePath: string
  readonly token: string | null
}

export { Dashboard }

export const proxyDashboard = (
  { allowedHosts, bind }: Pick<ProxyOptions, "allowedHosts" | "bind">,
  { storePath, token }: DashboardPlace
) =>
  Dashboard.layer({ bindHost: bind.host, allowedHosts, token, localPrincipal: localPrincipal() }).pipe(
    Layer.provide(operatorOf({ storePath, stateDir: dirname(storePath), rbacPolicyPath: rbacPolicyOf(storePath) })),
    Layer.provide(DashboardStore.live)
  )

/** `.tau/security/rbac.json` for `.tau/training/store.sqlite`; for a store in any other folder, `security/` beside it. */
const rbacPolicyOf = (storePath: string): string => {
  const folder = dirname(storePath)
  return join(basename(resolve(folder)) === "training" ? dirname(folder) : folder, "security", "rbac.json")
}
