import { connect, type Socket } from "node:net"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "../../support/processes.js"
import { Bench } from "./bench.js"

const leavers = 195
const stayers = 5
const largeBodyBytes = 16 * 1024 * 1024
const seconds = 5

describe("200 clients that read 1 kB a second of answers without end", () => {
  let bench: Bench
  beforeAll(async () => {
    bench = await Bench.start([], { callMs: 120_000, clientIdleMs: 120_000 })
  })
  afterAll(() => bench.stop())

  /** A client that takes what it is told to take; the rest stays in the connection. */
  const slowReader = (attempt: string, fault: string) => {
    const socket = connect({ port: bench.port, host: "127.0.0.1" })
    socket.on("error", () => {}).pause()
    socket.write(
      `GET ${bench.prefixOf(attempt)}/v1/models HTTP/1.1\r\nhost: localhost\r\nx-fault: ${fault}\r\nconnection: close\r\n\r\n`
    )
    return socket
  }

  const bytesUntilEnd = (socket: Socket, taken: number) =>
    new Promise<number>((resolve) => {
      let bytes = taken
      socket.on("data", (part: Buffer) => bytes += part.length).on("close", () => resolve(bytes)).resume()
    })

  it("cost no memory without bound, delay nobody else, and are let go as they leave", async () => {
    const [leaving, staying] = [bench.newAttempt(), bench.newAttempt()]
    const readers = [
      ...Array.from({ length: leavers }, () => slowReader(leaving, "endless-stream")),
      ...Array.from({ length: stayers }, () => slowReader(staying, "large-body"))
    ]
    const taken = readers.map(() => 0)
    await eventually("200 answers under way", () => bench.upstream.underWay() === 200, 30_000)
    for (let second = 0; second < seconds; second++) {
      for (const [index, socket] of readers.entries()) {
        const part = socket.read(1024) as Buffer | null
        taken[index]! += part?.length ?? 0
      }
      const askedAt = performance.now()
      const good = await bench.ask("good")
      assert.strictEqual(`${good.status} ${good.ending}`, "200 whole", good.body.toString())
      const tookMs = performance.now() - askedAt
      assert.isBelow(tookMs, 5_000)
      assert.isBelow(bench.residentBytes(), 450 * 1024 * 1024)
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, 1_000 - tookMs)))
    }
    assert.isTrue(taken.every((bytes) => bytes >= 1024))
    for (const socket of readers.slice(0, leavers)) socket.destroy()
    const whole = await Promise.all(
      readers.slice(leavers).map((socket, index) => bytesUntilEnd(socket, taken[leavers + index]!))
    )
    for (const bytes of whole) assert.isAbove(bytes, largeBodyBytes)
    await eventually("the end of all calls", () => bench.upstream.underWay() === 0, 30_000)
    await bench.isWell(staying, Array.from({ length: stayers }, () => "done"))
    await bench.isWell(leaving, Array.from({ length: leavers }, () => "client_cancel"))
  }, 120_000)
})
