import { once } from "node:events"
import { createServer, type ServerResponse } from "node:http"
import { type AddressInfo, connect, type Socket } from "node:net"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "../../support/processes.js"
import { Bench } from "./bench.js"

const clients = 200
const floodedBytes = 24 * 1024 * 1024
const seconds = 6

/** 64 kB a second for ever; or more than all buffers on the way hold, as fast as it is read; or a small answer. */
const answers: Readonly<Record<string, (response: ServerResponse) => void>> = {
  stream: (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" })
    const events = `data: ${"e".repeat(1_000)}\n\n`.repeat(16)
    const timer = setInterval(() => !response.writableNeedDrain && response.write(events), 250)
    response.once("close", () => clearInterval(timer))
  },
  flood: (response) => {
    response.writeHead(200, { "content-length": floodedBytes })
    const part = Buffer.alloc(1024 * 1024)
    let left = floodedBytes
    const more = () => {
      while (left > 0 && !response.destroyed) {
        left -= part.length
        if (!response.write(part)) return
      }
      if (left === 0) response.end()
    }
    response.on("drain", more)
    more()
  },
  good: (response) => void response.end(`{"id":"chatcmpl-faulty"}`)
}

const startUpstream = async () => {
  let underWay = 0
  let connections = 0
  const server = createServer((request, response) => {
    underWay += 1
    response.once("close", () => underWay -= 1)
    request.resume().once("end", () => answers[String(request.headers["x-fault"] ?? "good")]!(response))
  })
  server.on("connection", () => connections += 1).listen(0, "127.0.0.1")
  await once(server, "listening")
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    origin,
    baseUrl: () => origin,
    underWay: () => underWay,
    connections: () => connections,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}

describe(`${clients} clients that read 1 kB a second`, () => {
  let bench: Bench
  beforeAll(async () => {
    bench = await Bench.start(
      ["--prompt-optimization-proxy-timeout-ms", "60000"],
      { callMs: 300_000, clientIdleMs: 300_000, uploadIdleMs: 60_000, headMs: 10_000 },
      await startUpstream()
    )
  })
  afterAll(() => bench.stop())

  /** A client that takes what it is told to take; the rest stays in the connection. */
  const slowReader = (attempt: string, answer: string) => {
    const socket = connect({ port: bench.port, host: "127.0.0.1" })
    socket.on("error", () => {}).pause()
    socket.write(
      `GET ${
        bench.prefixOf(attempt)
      }/v1/models HTTP/1.1\r\nhost: localhost\r\nx-fault: ${answer}\r\nconnection: close\r\n\r\n`
    )
    return socket
  }

  const bytesUntilEnd = (socket: Socket, taken: number) =>
    new Promise<number>((resolve) => {
      let bytes = taken
      socket.on("data", (part: Buffer) => bytes += part.length).on("close", () => resolve(bytes)).resume()
    })

  it("take memory within its bounds, delay nobody, and get the whole answer or let it go", async () => {
    const [leaving, staying] = [bench.newAttempt(), bench.newAttempt()]
    const streams = Array.from({ length: clients - 4 }, () => slowReader(leaving, "stream"))
    await eventually("the streams", () => bench.upstream.underWay() === streams.length, 30_000)
    const floods = Array.from({ length: 4 }, () => slowReader(staying, "flood"))
    await eventually("the floods", () => bench.upstream.underWay() === clients, 30_000)
    const readers = [...streams, ...floods]
    const taken = readers.map(() => 0)
    for (let second = 0; second < seconds; second++) {
      for (const [index, socket] of readers.entries()) {
        taken[index]! += (socket.read(1024) as Buffer | null)?.length ?? 0
      }
      const askedAt = performance.now()
      const good = await bench.ask("good")
      const tookMs = performance.now() - askedAt
      assert.strictEqual(`${good.status} ${good.ending}`, "200 whole", good.body.toString())
      assert.isBelow(tookMs, 5_000)
      assert.isBelow(bench.residentBytes(), 450 * 1024 * 1024)
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, 1_000 - tookMs)))
    }
    assert.isTrue(taken.every((bytes) => bytes >= 1024), taken.join())
    for (const socket of streams) socket.destroy()
    const whole = await Promise.all(floods.map((socket, n) => bytesUntilEnd(socket, taken[streams.length + n]!)))
    for (const bytes of whole) assert.isAbove(bytes, floodedBytes)
    await eventually("the end of all calls", () => bench.upstream.underWay() === 0, 30_000)
    await bench.isWell(staying, floods.map(() => "done"))
    await bench.isWell(leaving, streams.map(() => "client_cancel"))
  }, 180_000)

  it("are no worse when 1,000 connections say nothing: those are told so, and closed", async () => {
    const attempt = bench.newAttempt()
    const told: Array<string> = []
    let closed = 0
    const idle = Array.from({ length: 1_000 }, () => {
      const socket = connect({ port: bench.port, host: "127.0.0.1" })
      return socket.on("error", () => {}).on("data", (part) => told.push(part.toString())).on("close", () => closed++)
    })
    const good = await bench.ask(attempt)
    assert.strictEqual(`${good.status} ${good.ending}`, "200 whole")
    await eventually("the end of the idle connections", () => closed === idle.length, 60_000)
    assert.isTrue(told.every((text) => /^HTTP\/1\.1 408 [^]*"code":"training_proxy_request_timeout"/.test(text)))
    assert.strictEqual(told.length, idle.length)
    await bench.isWell(attempt, ["done"])
  }, 120_000)
})
