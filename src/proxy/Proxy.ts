/**
 * The recording proxy: forwards every call byte for byte and records it as a span. Texts that `rewrite` names are replaced.
 *
 *   request ─▶ identity ─▶ admission ─▶ (rewrite) ─▶ upstream ─▶ client
 *                                                      └─▶ recording ─▶ span ─▶ commit ─▶ last byte
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AddressInfo } from "node:net"
import { parseUpstream } from "../openai/UpstreamUrl.js"
import { openAttemptResources } from "../store/AttemptResources.js"
import { openCallHistory } from "../store/CallHistory.js"
import { StoreProcess } from "../store/Sqlite.js"
import { Writer } from "../store/Writer.js"
import { Gateway } from "./Gateway.js"
import type { Health } from "./Health.js"
import { Journal } from "./Journal.js"
import { openKeyRing } from "./KeyRing.js"
import { listen, stop } from "./Listener.js"
import { AttemptTexts, openPromotedTexts } from "./PlacedTexts.js"
import { ProxyStartError } from "./ProxyError.js"
import type { ProxyOptions } from "./ProxyOptions.js"
import { Rewriter } from "./Rewriter.js"
import { UpstreamConnections } from "./UpstreamConnections.js"

const openRewriter = ({ limits, rewrite = [], rewriteFor = "attempts", warn }: ProxyOptions) =>
  Effect.gen(function*() {
    if (rewrite.length === 0) return null
    if (rewriteFor === "attempts") {
      return new Rewriter(rewrite, new AttemptTexts(yield* openAttemptResources), limits, warn)
    }
    const texts = yield* openPromotedTexts(rewrite, warn)
    return new Rewriter(rewrite, texts, limits, (message) => warn(`tau: warning: ${message}`))
  })

/** A running proxy. */
export class Proxy extends Context.Tag("tau/proxy/Proxy")<Proxy, {
  /** `http://host:port`, without a trailing slash. */
  readonly origin: string
  /** Calls that name no attempt are recorded under this rollout id. */
  readonly captureSession: string
  readonly health: () => Health
}>() {
  static readonly layer = (
    options: ProxyOptions
  ): Layer.Layer<Proxy, ProxyStartError, Writer | StoreProcess | SqlClient.SqlClient> =>
    Layer.scoped(
      Proxy,
      Effect.gen(function*() {
        const writer = yield* Writer
        const process = yield* StoreProcess
        const upstream = parseUpstream(options.upstreamUrl)
        if (typeof upstream === "string") return yield* new ProxyStartError({ detail: `upstream URL: ${upstream}` })
        const { replay, warn } = options
        const journal = replay === undefined ? null : new Journal(yield* openCallHistory, replay, warn)
        const rewriter = yield* openRewriter(options)
        const ring = options.keys === undefined ? null : yield* openKeyRing
        const connections = yield* Effect.acquireRelease(
          Effect.sync(() => new UpstreamConnections(upstream.origin, options.timeoutMs)),
          (opened) => Effect.sync(() => opened.destroy())
        )
        const gateway = yield* Effect.acquireRelease(
          Effect.sync(() =>
            new Gateway(
              options,
              upstream,
              connections,
              writer,
              process,
              journal,
              ring,
              rewriter
            )
          ),
          (opened) => Effect.sync(() => opened.close())
        )
        const server = yield* Effect.acquireRelease(
          listen(gateway, options),
          (running) => stop(running, gateway, options)
        )
        const { port } = server.address() as AddressInfo
        const host = options.bind.host.includes(":") ? `[${options.bind.host}]` : options.bind.host
        return {
          origin: `http://${host}:${port}`,
          captureSession: gateway.captureSession,
          health: () => gateway.health()
        }
      })
    )
}
