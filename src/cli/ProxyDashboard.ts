/** The dashboard on a proxy's own port. Loaded when somebody asks for it first. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
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

/** Its parts live as long as the scope. */
export const openDashboard = ({ allowedHosts, bind }: ProxyOptions, { storePath, token }: DashboardPlace) =>
  Layer.build(
    Dashboard.layer({ bindHost: bind.host, allowedHosts, token, localPrincipal: localPrincipal() }).pipe(
      Layer.provide(operatorOf({ storePath, stateDir: dirname(storePath), rbacPolicyPath: rbacPolicyOf(storePath) })),
      Layer.provide(DashboardStore.live)
    )
  ).pipe(Effect.map(Context.get(Dashboard)))

/** `.tau/security/rbac.json` for `.tau/training/store.sqlite`; for a store in any other folder, `security/` beside it. */
const rbacPolicyOf = (storePath: string): string => {
  const folder = dirname(storePath)
  return join(basename(resolve(folder)) === "training" ? dirname(folder) : folder, "security", "rbac.json")
}
