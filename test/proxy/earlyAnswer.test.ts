import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { connect } from "node:net"
import { Proxy } from "../../src/proxy/Proxy.js"
import { metrics } from "../support/metrics.js"
import { attribution, oneSpan, withProxy } from "../support/proxy.js"
import { upstream } from "../support/upstream.js"

const path = `/rollout/${attribution.rolloutId}/attempt/${attribution.attemptId}/v1/files`
/** More than the system holds of it on its way. */
const body = Buffer.alloc(32 * 1024 * 1024, "x")

/** The status that a client gets that reads nothing before it has sent all of its request. */
const statusAfterSending = (connection: string) =>
  Effect.flatMap(Proxy, ({ origin }) =>
    Effect.promise(() =>
      new Promise<string>((resolve) => {
        const socket = connect(Number(new URL(origin).port), "127.0.0.1")
        let answer = ""
        socket.on("error", ({ message }) => resolve(message))
        socket.write(
          `POST ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: ${connection}\r\ncontent-length: ${body.length}\r\n\r\n`
        )
        socket.write(body, (error) => {
          if (error) return resolve(error.message)
          socket.on("data", (chunk) => {
            answer += chunk.toString("latin1")
            if (!answer.endsWith("}")) return
            socket.destroy()
            resolve(answer.slice(9, 12))
          })
        })
      })
    ))

describe("An answer before the end of its request", () => {
  for (const connection of ["close", "keep-alive"]) {
    it.scopedLive(`reaches a client that sends all of it first (${connection})`, () =>
      Effect.gen(function*() {
        const url = yield* upstream((req, res) => {
          res.writeHead(413, { "content-length": 2 }).end("{}")
          req.resume()
        })
        yield* withProxy(
          url,
          Effect.gen(function*() {
            assert.strictEqual(yield* statusAfterSending(connection), "413")
            assert.deepInclude(yield* oneSpan, { state: "done", statusCode: 413 })
            assert.strictEqual((yield* metrics).get("tau_recorded_bytes"), 0)
          })
        )
      }))

    it.scopedLive(`does so when there is no upstream to take it (${connection})`, () =>
      withProxy(
        "http://127.0.0.1:9",
        Effect.gen(function*() {
          assert.strictEqual(yield* statusAfterSending(connection), "502")
          assert.deepInclude(yield* oneSpan, { state: "upstream_error", statusCode: 502 })
        })
      ))
  }
})
