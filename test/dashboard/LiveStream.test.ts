import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { request } from "node:http"
import { connect } from "node:net"
import { LiveStream } from "../../src/dashboard/LiveStream.js"
import { eventually, upstream } from "../support/upstream.js"

/** Somebody who reads all there is, and keeps only its size. */
const reading = (origin: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      let bytes = 0
      let over = false
      let whole = false
      const sent = request(origin, { agent: false }, (response) => {
        response.on("data", (chunk: Buffer) => bytes += chunk.length)
        response.on("error", () => {})
        response.on("end", () => whole = true)
        response.on("close", () => over = true)
      })
      sent.on("error", () => {})
      sent.end()
      return { bytes: () => bytes, isOver: () => over, isWhole: () => whole, close: () => sent.destroy() }
    }),
    ({ close }) => Effect.sync(close)
  )

describe("the listeners of the stream", { timeout: 60_000 }, () => {
  it.scopedLive("drops the one of fifty that does not read, and nobody else misses an event", () =>
    Effect.gen(function*() {
      const stream = new LiveStream({ listenersMax: 50, unreadBytesMax: 64 * 1024 })
      const origin = yield* upstream((_, response) => stream.add(response, []))
      const readers = yield* Effect.replicateEffect(reading(origin), 49)
      const deaf = yield* Effect.acquireRelease(
        Effect.sync(() => connect(Number(new URL(origin).port), "127.0.0.1").pause()),
        (socket) => Effect.sync(() => socket.destroy())
      )
      deaf.write("GET /dashboard/stream HTTP/1.1\r\nhost: x\r\n\r\n")
      yield* eventually("all listen", Effect.sync(() => stream.size === 50 ? true : undefined))
      assert.isTrue(stream.isFull)
      const ballast = "x".repeat(128 * 1024)
      let sent = 0
      yield* eventually(
        "the deaf one is dropped",
        Effect.gen(function*() {
          stream.broadcast("tick", { n: sent += 1, ballast })
          yield* eventually(
            "everybody else has it",
            Effect.sync(() => readers.every(({ bytes }) => bytes() >= sent * ballast.length) ? true : undefined)
          )
          return stream.drops === 1 ? true : undefined
        })
      )
      assert.strictEqual(stream.size, 49)
      assert.isTrue(readers.every(({ isOver }) => !isOver()))
      stream.close()
      yield* eventually(
        "all streams end",
        Effect.sync(() => readers.every(({ isOver }) => isOver()) ? true : undefined)
      )
      assert.isTrue(readers.every(({ isWhole }) => isWhole()))
    }))
})
