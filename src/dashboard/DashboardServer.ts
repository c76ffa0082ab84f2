import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { listenFailure } from "../http/ListenFailure.js"
import { Dashboard } from "./Dashboard.js"

/** The port could not be listened at; the detail says why. */
export class DashboardStartError extends Schema.TaggedError<DashboardStartError>()("DashboardStartError", {
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

/** The dashboard on a port of its own, where `/api/…` is another name of `/dashboard/api/…`. */
export class DashboardServer extends Context.Tag("tau/dashboard/DashboardServer")<DashboardServer, {
  /** `http://host:port`, without a trailing slash. */
  readonly origin: string
}>() {
  static readonly layer = (bind: { readonly host: string; readonly port: number }) =>
    Layer.scoped(
      DashboardServer,
      Effect.gen(function*() {
        const dashboard = yield* Dashboard
        const server = createServer(
          {
            maxHeaderSize: 16 * 1024,
            headersTimeout: 10_000,
            requestTimeout: 30_000,
            connectionsCheckingInterval: 1_000
          },
          (request, response) => {
            if (request.url?.startsWith("/api/") === true) request.url = `/dashboard${request.url}`
            dashboard.handle(request, response)
          }
        )
        server.maxConnections = connectionsMax
        yield* Effect.acquireRelease(listen(server, bind), () =>
          Effect.async<void>((resume) => {
            server.close(() => resume(Effect.void))
            dashboard.close()
            server.closeAllConnections()
          }))
        const { port } = server.address() as AddressInfo
        const host = bind.host.includes(":") ? `[${bind.host}]` : bind.host
        return { origin: `http://${host}:${port}` }
      })
    )
}

const connectionsMax = 1024

const listen = (server: Server, bind: { readonly host: string; readonly port: number }) =>
  Effect.async<void, DashboardStartError>((resume) => {
    // One that listens goes on whatever becomes of a connection that it could not take.
    server.on("error", (error) => resume(new DashboardStartError({ detail: listenFailure(bind, error) })))
    server.listen(bind.port, bind.host, () => resume(Effect.void))
  })
