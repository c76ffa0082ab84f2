import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { once } from "node:events"
import { writeFileSync } from "node:fs"
import type { IncomingMessage, ServerResponse } from "node:http"
import { createServer } from "node:https"
import { type AddressInfo, connect, type Socket } from "node:net"
import { join } from "node:path"
import { request } from "undici"
import { printed, startTau } from "../support/command.js"
import { certificate, key } from "../support/localhostCertificate.js"
import { finishedSpans } from "../support/proxy.js"
import { scratchFolder, storeAt } from "../support/store.js"

const long = Buffer.from(Array.from({ length: 5_000_000 }, (_, n) => n * n % 251))

const untilClose = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nall there is"
/** The connections below those of TLS, by the port of their other end. */
const rawOf = new Map<number | undefined, Socket>()

const answers = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
  let bytes = 0
  for await (const chunk of incoming) bytes += (chunk as Buffer).length
  if (incoming.url === "/v1/long") outgoing.end(long)
  else if (incoming.url === "/v1/closed") incoming.socket.end(untilClose)
  else if (incoming.url === "/v1/reset") {
    incoming.socket.write(untilClose, () => rawOf.get(incoming.socket.remotePort)!.resetAndDestroy())
  } else if (incoming.url === "/v1/chat/completions") {
    outgoing.writeHead(200, { "content-type": "text/event-stream" })
    for (const word of ["one", "two", "three"]) {
      outgoing.write(`data: {"choices":[{"index":0,"delta":{"content":"${word} "}}]}\n\n`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    outgoing.end("data: [DONE]\n\n")
  } else outgoing.writeHead(200, { "content-length": String(bytes).length }).end(String(bytes))
}

/** An upstream behind TLS, and how often a connection to it was made. */
const tlsUpstream = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = createServer({ key, cert: certificate }, (incoming, outgoing) => void answers(incoming, outgoing))
    let connections = 0
    server.on("connection", (raw: Socket) => rawOf.set(raw.remotePort, raw))
    server.on("secureConnection", () => connections += 1)
    await once(server.listen(0, "localhost"), "listening")
    return {
      url: `https://localhost:${(server.address() as AddressInfo).port}`,
      connections: () => connections,
      close: () => (server.closeAllConnections(), server.close())
    }
  }),
  (server) => Effect.sync(() => server.close())
)

const proxyFor = (cwd: string, url: string, env: Record<string, string>) =>
  Effect.gen(function*() {
    const flags = ["--prompt-optimization-proxy-server", "--prompt-optimization-proxy-bind=127.0.0.1:0"]
    const proxy = yield* startTau(cwd, [...flags, `--prompt-optimization-proxy-upstream-url=${url}`], env)
    const origin = yield* printed(proxy, /listening on (\S+)\/v1/)
    return { ...proxy, origin, base: `${origin}/rollout/r1/attempt/r1%3Aattempt-1/v1` }
  })

/** A proxy that takes the upstream's certificate for good. */
const trusting = Effect.gen(function*() {
  const cwd = yield* scratchFolder
  const server = yield* tlsUpstream
  writeFileSync(join(cwd, "authority.pem"), certificate)
  const proxy = yield* proxyFor(cwd, server.url, { NODE_EXTRA_CA_CERTS: join(cwd, "authority.pem") })
  return { cwd, proxy, server }
})

/** A client that reads a little at a time. */
const readSlowly = async (base: string) => {
  const { hostname, pathname, port } = new URL(`${base}/long`)
  const socket = connect(Number(port), hostname)
  socket.write(`GET ${pathname} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`)
  const parts: Array<Buffer> = []
  socket.on("data", (part) => {
    parts.push(part)
    socket.pause()
    setImmediate(() => socket.resume())
  })
  await once(socket, "end")
  return Buffer.concat(parts)
}

describe("An upstream behind TLS", () => {
  it.scopedLive("is answered for as any other: whole, in events, slowly, and to long uploads, on connections that are kept", () =>
    Effect.gen(function*() {
      const { cwd, proxy, server } = yield* trusting
      const post = (path: string, body: string | Buffer) =>
        Effect.promise(async () =>
          (await request(`${proxy.base}/${path}`, { method: "POST", body })).body.arrayBuffer()
        )
      const textOf = (bytes: ArrayBuffer) => Buffer.from(bytes).toString()
      for (const body of ["{}", "{\"a\":1}"]) assert.strictEqual(textOf(yield* post("x", body)), String(body.length))
      assert.isTrue(Buffer.from(yield* post("long", "{}")).equals(long))
      const events = textOf(yield* post("chat/completions", `{"model":"m","stream":true}`))
      assert.strictEqual(events.match(/"content":"(?:one|two|three) "/g)?.length, 3)
      assert.isTrue(events.endsWith("data: [DONE]\n\n"))
      assert.strictEqual(textOf(yield* post("x", Buffer.alloc(3_000_000))), "3000000")
      // The client may have asked on before the end behind the last event had come.
      assert.isAtMost(server.connections(), 2)
      const slow = yield* Effect.promise(() => readSlowly(proxy.base))
      // Behind the head, in chunks.
      assert.isAbove(slow.length, long.length)
      proxy.process.kill("SIGTERM")
      assert.strictEqual(yield* proxy.exit, 0)
      const spans = yield* Effect.provide(finishedSpans(6), storeAt(join(cwd, ".tau/training/store.sqlite")))
      assert.deepStrictEqual(spans.map(({ state }) => state), Array.from({ length: 6 }, () => "done"))
    }))

  it.scopedLive("whose answer the close of its connection ends is whole, unless that was a reset", () =>
    Effect.gen(function*() {
      const { cwd, proxy } = yield* trusting
      const textOf = (path: string) =>
        Effect.promise(async () =>
          (await request(`${proxy.base}/${path}`, { method: "POST", body: "{}" })).body.text().catch(() => "cut")
        )
      assert.deepStrictEqual([yield* textOf("closed"), yield* textOf("reset")], ["all there is", "cut"])
      proxy.process.kill("SIGTERM")
      assert.strictEqual(yield* proxy.exit, 0)
      const spans = yield* Effect.provide(finishedSpans(2), storeAt(join(cwd, ".tau/training/store.sqlite")))
      assert.deepStrictEqual(spans.map(({ state }) => state), ["done", "upstream_cut"])
    }))

  it.scopedLive("whose certificate nobody vouches for is told as one that cannot be reached", () =>
    Effect.gen(function*() {
      const cwd = yield* scratchFolder
      const server = yield* tlsUpstream
      const proxy = yield* proxyFor(cwd, server.url, {})
      const { body, statusCode } = yield* Effect.promise(() => request(`${proxy.base}/models`))
      assert.strictEqual(statusCode, 502)
      assert.include(yield* Effect.promise(() => body.text()), "(DEPTH_ZERO_SELF_SIGNED_CERT)")
      proxy.process.kill("SIGTERM")
      assert.strictEqual(yield* proxy.exit, 0)
    }))
})
