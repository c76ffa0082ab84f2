import * as Effect from "effect/Effect"
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

/** A real HTTP server on a free loopback port, closed with the scope. Answers its origin. */
export const upstream = (listener: RequestListener) =>
  Effect.acquireRelease(
    Effect.async<ReturnType<typeof createServer>>((resume) => {
      const server = createServer(listener)
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.async<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  ).pipe(Effect.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`))

/** A listener that is told of a request once all of its body has come. */
export const withBody =
  (answer: (body: Buffer, request: IncomingMessage, response: ServerResponse) => void): RequestListener =>
  (request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => answer(Buffer.concat(chunks), request, response))
  }

/**
 * Polls until the value is there, for at most half a minute of real time: a busy machine takes long to start a process. What was waited
 * for may be told by what is known at the end of it.
 */
export const eventually = <A, E, R>(what: string | (() => string), read: Effect.Effect<A | undefined, E, R>) =>
  Effect.gen(function*() {
    const deadline = performance.now() + 30_000
    for (;;) {
      const value = yield* read
      if (value !== undefined) return value
      if (performance.now() > deadline) {
        return yield* Effect.dieMessage(`never happened: ${typeof what === "string" ? what : what()}`)
      }
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 10)))
    }
  })
