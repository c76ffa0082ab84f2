import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { dirname } from "node:path"
import { Dashboard } from "../dashboard/Dashboard.js"
import { DashboardServer } from "../dashboard/DashboardServer.js"
import { DashboardStore } from "../dashboard/DashboardStore.js"
import { isLoopback } from "../http/HostName.js"
import * as ReadOnlyStore from "../store/ReadOnlyStore.js"
import { type CommandError, UsageError } from "./CliError.js"
import { dashboardToken } from "./DashboardToken.js"
import type { Bind } from "./Mode.js"
import { operatorOf } from "./Operator.js"
import { localPrincipal } from "./Principal.js"

export interface DashboardMode {
  /** The control files are beside it. */
  readonly storePath: string
  readonly rbacPolicyPath: string
  readonly bind: Bind
  readonly allowedHosts: ReadonlyArray<string>
  readonly json: boolean
}

/** Serves until SIGINT or SIGTERM, which is success. */
export const run = (mode: DashboardMode): Effect.Effect<number, CommandError> => Effect.scoped(serve(mode))

const serve = Effect.fnUntraced(function*({ allowedHosts, bind, json, rbacPolicyPath, storePath }: DashboardMode) {
  yield* ReadOnlyStore.refuseUnseen(storePath)
  const token = yield* dashboardToken(process.env)
  if (token === null && !isLoopback(bind.host)) {
    return yield* new UsageError({
      detail: `${bind.host} can be reached from other machines: set TAU_DASHBOARD_TOKEN, or bind to 127.0.0.1`
    })
  }
  const context = yield* Layer.build(
    DashboardServer.layer(bind).pipe(
      Layer.provide(Dashboard.layer({ bindHost: bind.host, allowedHosts, token, localPrincipal: localPrincipal() })),
      Layer.provide(operatorOf({ storePath, stateDir: dirname(storePath), rbacPolicyPath })),
      Layer.provide(DashboardStore.atRest(storePath))
    )
  )
  const { origin } = yield* Effect.provide(DashboardServer, context)
  yield* Console.log(
    json
      ? JSON.stringify({ schema_version: 1, origin, store_path: storePath, token_required: token !== null })
      : `tau dashboard listening on ${origin}/dashboard/health\n  store      ${storePath}`
  )
  return yield* Effect.never
})
