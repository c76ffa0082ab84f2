import * as SqlClient from "@effect/sql/SqlClient"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { existsSync, statSync } from "node:fs"
import { join } from "node:path"
import { counted } from "../domain/Figures.js"
import { visible } from "../domain/TerminalText.js"
import { isLoopback, reachable } from "../http/HostName.js"
import { defaultRules } from "../openai/Redaction.js"
import { Proxy } from "../proxy/Proxy.js"
import { defaultLimits, type ProxyOptions } from "../proxy/ProxyOptions.js"
import { keyHeaders } from "../proxy/RequestSecrets.js"
import { ActorTree } from "../runtime/ActorTree.js"
import { Announcer } from "../runtime/Announcer.js"
import { ControlSocket } from "../runtime/ControlSocket.js"
import * as ReadOnlyStore from "../store/ReadOnlyStore.js"
import { StoreProcess } from "../store/Sqlite.js"
import * as Sqlite from "../store/Sqlite.js"
import { Writer } from "../store/Writer.js"
import { type CommandError, UsageError } from "./CliError.js"
import { dashboardToken } from "./DashboardToken.js"
import type { ProxyMode } from "./Mode.js"
import { proxyActors } from "./ProxyActors.js"
import { proxyWithDashboard } from "./ProxyWithDashboard.js"

/** Records calls until SIGINT or SIGTERM, which is success; fails when it cannot start or loses its store. */
export const run = (mode: ProxyMode): Effect.Effect<number, CommandError> => Effect.scoped(serve(mode))

const serve = Effect.fnUntraced(function*(mode: ProxyMode) {
  const { storePath } = mode
  if (mode.storeElsewhere !== undefined) {
    yield* Console.error(
      `tau: the store of this proxy is ${visible(storePath)}; TAU_STORE (${visible(mode.storeElsewhere)}) is where `
        + "commands such as tau spans and tau prune look: --prompt-optimization-proxy-state-dir chooses the proxy's folder"
    )
  }
  const attributionLogPath = join(mode.stateDir, "training", "proxy-attribution.jsonl")
  const upstreamUrl = mode.upstreamUrl ?? (yield* simulated(mode.model?.name ?? "arithmetic")).url
  const redaction = yield* redactionOf(mode)
  const rewrite = yield* rewriteOf(mode)
  const required = mode.requireKey || !isLoopback(mode.bind.host)
  if (required && !(yield* hasUsableKey(storePath))) {
    return yield* new UsageError({
      detail:
        `${
          mode.requireKey ? "keys are asked for" : `${mode.bind.host} can be reached from other machines`
        }, and there is no `
        + `key yet that a client could show: make one with tau keys create --state-dir ${mode.stateDir}`
    })
  }
  const options: ProxyOptions = {
    bind: mode.bind,
    upstreamUrl,
    timeoutMs: mode.timeoutMs,
    attributionRequired: false,
    clientKey: null,
    upstreamKey: mode.upstreamKeyAlways ? mode.upstreamKey : null,
    keys: { required, upstreamKey: mode.upstreamKey },
    allowedHosts: mode.allowedHosts,
    allowedOrigins: mode.allowedOrigins,
    attributionLogPath,
    secretHeaders: [...(redaction.defaults ? keyHeaders : []), ...redaction.headers],
    recordPolicy: mode.recordPolicy,
    onDisconnect: mode.onDisconnect,
    streamUsage: mode.streamUsage,
    rewrite,
    rewriteFor: "everybody",
    warn: (message) => void process.stderr.write(`${message}\n`),
    limits: { ...defaultLimits, ...mode.limits }
  }
  const token = yield* dashboardToken(process.env)
  const losses = yield* lastLosses
  const context = yield* Layer.build(
    proxyActors.pipe(
      Layer.provideMerge(proxyWithDashboard(options, { storePath, token })),
      // Once the store is there: the socket is beside it.
      Layer.provide(ActorTree.layer("proxy", storePath)),
      Layer.provide(ControlSocket.layer(storePath)),
      Layer.provideMerge(
        Sqlite.layer({
          path: storePath,
          kind: "proxy",
          attributionLogPath,
          bytesMax: mode.storeBytesMax,
          recording: { payloads: mode.payloads, redaction }
        })
      ),
      Layer.provide(Announcer.layer(process.stderr, process.env))
    )
  )
  yield* announce(mode, options, storePath, token, losses).pipe(Effect.provide(context))
  return yield* Effect.flatMap(Writer, (writer) => writer.died).pipe(Effect.provide(context))
})

/** What a proxy says once its store is closed of calls that it could not record while it stopped. */
const lastLosses = Effect.gen(function*() {
  const losses = { told: 0, now: () => 0 }
  yield* Effect.addFinalizer(() => {
    const more = losses.now() - losses.told
    return more > 0 ? Console.error(`tau: ${counted(more, "call")} could not be recorded while stopping`) : Effect.void
  })
  return losses
})

const announce = Effect.fnUntraced(function*(
  mode: ProxyMode,
  options: ProxyOptions,
  storePath: string,
  token: string | null,
  losses: Effect.Effect.Success<typeof lastLosses>
) {
  const proxy = yield* Proxy
  losses.now = () => proxy.health().spansLost
  const { unknownCalls } = yield* StoreProcess
  // Closed before the proxy is: what it says is what the proxy had recorded when it was told to stop.
  yield* Effect.addFinalizer(() => {
    const { callsUnderWay, spansCommitted, spansLost } = proxy.health()
    losses.told = spansLost
    const lost = spansLost === 0 ? "" : `, ${spansLost} could not be recorded`
    const { shutdownGraceMs } = options.limits
    const patience = `may finish within ${shutdownGraceMs / 1_000} s; a second signal stops at once`
    return Console.error([
      `tau: stopping; ${counted(spansCommitted, "call")} recorded so far in ${storePath}${lost}`,
      ...(callsUnderWay > 0 && shutdownGraceMs > 0
        ? [`tau: ${counted(callsUnderWay, "call")} under way ${patience}`]
        : [])
    ].join("\n"))
  })
  const origin = reachable(proxy.origin)
  yield* Console.log([
    `tau proxy listening on ${proxy.origin}/v1`,
    `  upstream   ${options.upstreamUrl}${mode.upstreamUrl === undefined ? " (simulated, not a real model)" : ""}`,
    `  store      ${storePath}`,
    `  log        ${options.attributionLogPath}`,
    token === null && !isLoopback(mode.bind.host)
      ? "  dashboard  answers nobody: other machines reach it, and TAU_DASHBOARD_TOKEN is not set"
      : `  dashboard  ${origin}/dashboard/health`,
    ...(mode.rewritePath === undefined
      ? []
      : [`  rewrite    promoted texts, by ${counted(options.rewrite?.length ?? 0, "rule")} of ${mode.rewritePath}`]),
    `  unnamed    recorded under ${proxy.captureSession}`,
    "",
    "Point an agent at it:",
    `  export OPENAI_BASE_URL=${origin}/v1`,
    ...(origin === proxy.origin ? [] : ["From another machine, with an address of this one in its place."]),
    ...(options.keys?.required === true
      ? [
        "With a key of tau, which every client must show (tau keys create makes one):",
        "  export OPENAI_API_KEY=tau_..."
      ]
      : []),
    "Name its rollout and attempt, by prefix or by x-rollout-id and x-attempt-id:",
    `  ${origin}/rollout/<id>/attempt/<id>/v1`
  ].join("\n"))
  const owner = statSync(storePath, { throwIfNoEntry: false })?.uid
  const user = process.getuid?.()
  // Whoever may write to a shared folder may have put a store there, and keys into it.
  if (owner !== undefined && user !== undefined && owner !== user) {
    yield* Console.error(
      `tau: warning: ${storePath} belongs to another user (uid ${owner}), who can read all that is recorded there`
    )
  }
  if (unknownCalls > 0) {
    yield* Console.error(
      `tau: ${counted(unknownCalls, "call")} under way when an earlier process died, marked unknown_after_crash`
    )
  }
})

const redactionOf = ({ redactDefaults, redactPath }: ProxyMode) =>
  redactPath === undefined
    ? Effect.succeed({ ...defaultRules, defaults: redactDefaults })
    : Effect.flatMap(
      Effect.promise(() => import("./RedactionFile.js")),
      ({ loadRedaction }) => loadRedaction(redactPath, redactDefaults)
    )

const rewriteOf = ({ rewritePath }: ProxyMode) =>
  rewritePath === undefined
    ? Effect.succeed([])
    : Effect.flatMap(Effect.promise(() => import("./RewriteFile.js")), ({ loadRewrite }) => loadRewrite(rewritePath))

/** Loaded where nobody names an upstream, as few do. */
const simulated = (name: string) =>
  Effect.flatMap(
    Effect.promise(() => import("./SimulatedUpstream.js")),
    ({ simulatedUpstream }) => simulatedUpstream(name)
  )

/** Whether a client could be let in. A store that cannot be asked counts as one with keys: what is the matter with it, its opening tells. */
const hasUsableKey = Effect.fnUntraced(function*(storePath: string) {
  yield* ReadOnlyStore.refuseUnseen(storePath)
  if (!existsSync(storePath)) return false
  return yield* Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => sql`SELECT 1 FROM client_keys WHERE revoked_at_ms IS NULL AND coalesce(expires_at_ms > ${Date.now()}, 1)`
  ).pipe(
    Effect.provide(Sqlite.readOnly(storePath)),
    Effect.map((keys) => keys.length > 0),
    // One that is empty, or of before there were keys.
    Effect.catchAll(({ cause }) => Effect.succeed(!String(cause).includes("no such table")))
  )
})
