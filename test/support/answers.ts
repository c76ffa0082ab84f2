import * as Effect from "effect/Effect"
import type { IncomingHttpHeaders, ServerResponse } from "node:http"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { upstream } from "./upstream.js"

/** One request, as a server saw it. */
export interface Asked {
  readonly method: string | undefined
  readonly path: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
  readonly response: ServerResponse
}

export type Reply = (asked: Asked) => void

export const text = (body: string, status = 200): Reply => ({ response }) => response.writeHead(status).end(body)
export const json = (value: unknown, status = 200): Reply => text(JSON.stringify(value), status)
export const silent: Reply = () => {}
export const hangsUp: Reply = ({ response }) => response.destroy()
export const breaksOff: Reply = ({ response }) => {
  response.writeHead(200, { "content-length": "1000" })
  response.write("{", () => response.destroy())
}
/** Never stops. */
export const endless: Reply = ({ response }) => {
  const more = () => {
    while (response.write("x".repeat(65_536))) { /* until the pipe is full */ }
  }
  response.on("drain", more)
  more()
}

/** A server that always replies the same and keeps what it was asked. */
export const replying = (reply: Reply) =>
  Effect.gen(function*() {
    const asked: Array<Asked> = []
    const origin = yield* upstream((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const { headers, method, url: path } = request
        const one = { method, path, headers, body: JSON.parse(Buffer.concat(chunks).toString()), response }
        asked.push(one)
        reply(one)
      })
    })
    return { asked, url: origin }
  })

/** A loopback URL that nobody listens at. */
export const nowhere = Effect.async<string>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(`http://127.0.0.1:${port}/`)))
  })
})
