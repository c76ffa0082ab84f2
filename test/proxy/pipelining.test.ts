import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { attribution, finishedSpans, oneSpan, withProxy } from "../support/proxy.js"
import { upstream } from "../support/upstream.js"
import { h2c, sending, until } from "../support/webSocketClient.js"

const path = `/rollout/${attribution.rolloutId}/attempt/${attribution.attemptId}/v1`

/** An upstream that answers what is asked of it: `/large` 3 MB, `/broken` half of it, `/held` when the test says so. */
const various = Effect.gen(function*() {
  const held: Array<() => void> = []
  const url = yield* upstream((req, res) => {
    const asked = req.url!.split("/").at(-1)
    req.resume().on("end", () => {
      if (asked === "held") held.push(() => void res.end("<held>"))
      else if (asked === "broken") res.writeHead(200, { "content-length": 100 }).write("half", () => res.destroy())
      else res.end(asked === "large" ? large : "<small>")
    })
  })
  return { url, held }
})

const large = "l".repeat(3_000_000)
const get = (asked: string, headers = "") => `GET ${path}/${asked} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`
const bytesOf = (text: string) => (text.match(/l{100,}/g) ?? []).join("").length

describe("Proxy, requests behind others on one connection", () => {
  it.scopedLive("outlives a client that resets the connection while its offer waits for its turn", () =>
    Effect.gen(function*() {
      const { held, url } = yield* various
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const client = yield* sending(get("held") + get("small", h2c))
          yield* until("the call", () => held.length === 1)
          client.socket.resetAndDestroy()
          assert.strictEqual((yield* oneSpan).state, "client_cancel")
          const ended = yield* sending(get("held") + get("small", h2c))
          yield* until("the other call", () => held.length === 2)
          ended.socket.end()
          yield* until("the connection closed", () => ended.state() === "clean")
          const next = yield* sending(get("small"))
          yield* until("the next answer", () => next.bytes().includes("<small>"))
        })
      )
    }))

  it.scopedLive("sends on an answer that is larger than the connection takes at once, though an offer waits behind it", () =>
    Effect.gen(function*() {
      const { url } = yield* various
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const client = yield* sending(get("large") + get("small", h2c))
          yield* until("both answers", () => client.bytes().includes("<small>"))
          // Chunks are counted without their sizes.
          assert.isAtLeast(bytesOf(client.bytes().toString()), large.length - 1_000)
        })
      )
    }))

  it.scopedLive("asks for a body after the answers before it, not within its own", () =>
    Effect.gen(function*() {
      const { held, url } = yield* various
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const expecting =
            `POST ${path}/small HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}`
          const client = yield* sending(get("held") + expecting)
          yield* until("the call", () => held.length === 1)
          assert.strictEqual((yield* oneSpan).method, "POST")
          held[0]!()
          yield* until("the answers", () => client.bytes().includes("<small>"))
          // The answer was whole before its turn came: no body need be asked for any more.
          assert.notInclude(client.bytes().toString(), "100 Continue")
          const patient = yield* sending(get("held") + expecting.slice(0, -2))
          yield* until("the call", () => held.length === 2)
          held[1]!()
          yield* until("the 100", () => patient.bytes().toString().endsWith("<held>HTTP/1.1 100 Continue\r\n\r\n"))
          patient.socket.write("{}")
          yield* until("its answer", () => patient.bytes().includes("<small>"))
        })
      )
    }))

  it.scopedLive("gets all of an answer though the next one breaks off", () =>
    Effect.gen(function*() {
      const { url } = yield* various
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const client = yield* sending("")
          client.socket.pause()
          client.socket.write(get("large") + get("broken"))
          yield* finishedSpans(1)
          client.socket.resume()
          yield* until("the end", () => client.state() !== "open")
          const text = client.bytes().toString()
          assert.isAtLeast(bytesOf(text), large.length - 1_000)
          assert.match(text, /half$/)
          assert.deepStrictEqual((yield* finishedSpans(2)).map(({ state }) => state).toSorted(), [
            "done",
            "upstream_cut"
          ])
        })
      )
    }))

  it.scopedLive("takes the rest of an upload that was answered before its end, and the request behind it", () =>
    Effect.gen(function*() {
      const url = yield* upstream((req, res) => {
        if (req.method === "GET") res.end("<small>")
        else res.writeHead(413, { "content-length": 7 }).end("<early>")
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const client = yield* sending("")
          client.socket.pause()
          const length = 12_000_000
          client.socket.write(`POST ${path}/small HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\n\r\n`)
          client.socket.write("x".repeat(length))
          yield* until("all of it has left", () => client.socket.writableLength === 0)
          client.socket.resume()
          yield* until("the answer", () => client.bytes().toString().endsWith("<early>"))
          client.socket.write(get("small"))
          yield* until("the next answer", () => client.bytes().toString().endsWith("<small>"))
          const [early] = yield* finishedSpans(2)
          assert.deepInclude(early, { state: "done", statusCode: 413 })
        })
      )
    }))

  it.scopedLive("answers a request whose client goes on with what cannot be read, and keeps nothing for each piece of it", () =>
    Effect.gen(function*() {
      const { held, url } = yield* various
      const warnings: Array<string> = []
      const warned = ({ message }: Error) => void warnings.push(message)
      yield* Effect.acquireRelease(
        Effect.sync(() => process.on("warning", warned)),
        () => Effect.sync(() => process.off("warning", warned))
      )
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const client = yield* sending(get("held"))
          yield* until("the call", () => held.length === 1)
          for (let piece = 0; piece < 100; piece++) {
            yield* Effect.promise(() => new Promise((resolve) => client.socket.write("garbage\r\n\r\n", resolve)))
            yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
          }
          held[0]!()
          yield* until("the end", () => client.state() !== "open")
          assert.match(client.bytes().toString(), /^HTTP\/1\.1 200 [^]*<held>$/)
          assert.deepStrictEqual(warnings, [])
        })
      )
    }))

  it.scopedLive("answers every whole request that came before one that cannot be read", () =>
    Effect.gen(function*() {
      const { held, url } = yield* various
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const client = yield* sending(`${get("held")}${get("small")}garbage\r\n\r\n`)
          yield* until("the call", () => held.length === 1)
          held[0]!()
          yield* until("the end", () => client.state() !== "open")
          const text = client.bytes().toString()
          assert.match(text, /^HTTP\/1\.1 200 [^]*<held>HTTP\/1\.1 200 [^]*<small>$/)
          assert.strictEqual(text.match(/^connection: close$/gim)?.length, 1)
          assert.deepStrictEqual((yield* finishedSpans(2)).map(({ state }) => state), ["done", "done"])
        })
      )
    }))
})
