import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import { hash } from "node:crypto"
import { statSync } from "node:fs"
import { join } from "node:path"
import { request } from "undici"
import { printed, startTau } from "../support/command.js"
import { bodyOf, requestsOf } from "../support/conversation.js"
import { scratchFolder } from "../support/store.js"
import { upstream } from "../support/upstream.js"

const answering = upstream((incoming, response) => {
  incoming.resume().on("end", () => response.end("{\"object\":\"chat.completion\",\"choices\":[]}"))
})

/** A proxy process of its own; resolves to its base URL and a way to end it. */
const startProxy = (cwd: string, upstreamUrl: string) =>
  Effect.gen(function*() {
    const command = yield* startTau(cwd, [
      "--prompt-optimization-proxy-server",
      "--prompt-optimization-proxy-bind=127.0.0.1:0",
      `--prompt-optimization-proxy-upstream-url=${upstreamUrl}/v1`
    ])
    const origin = yield* printed(command, /listening on (\S+)\/v1/)
    const stop = Effect.suspend(() => {
      command.process.kill("SIGTERM")
      return command.exit
    })
    return { origin, stop }
  })

const send = (origin: string, body: Uint8Array) =>
  Effect.promise(async () => {
    const { body: answer, statusCode } = await request(`${origin}/v1/chat/completions`, { method: "POST", body })
    await answer.dump()
    assert.strictEqual(statusCode, 200)
  })

/** The bytes that the view gives for each of these bodies, and the size of the file. */
const recorded = (path: string, bodies: ReadonlyArray<Uint8Array>) => {
  const store = new Database(path, { readonly: true })
  const read = store.prepare("SELECT content FROM payloads WHERE sha256 = ?").pluck()
  const contents = bodies.map((body) => read.get(hash("sha256", body, "hex")) as Buffer | undefined)
  const pieces = store.prepare("SELECT count(*) FROM pieces").pluck().get() as number
  store.close()
  return { contents, pieces, fileBytes: statSync(path).size }
}

describe("A conversation of 50 steps through the proxy", () => {
  it.scopedLive(
    "takes less than an eighth of the bytes that were sent, and each request is there as it was",
    () =>
      Effect.gen(function*() {
        const cwd = yield* scratchFolder
        const proxy = yield* startProxy(cwd, yield* answering)
        const path = join(cwd, ".tau/training/store.sqlite")
        const bodies = requestsOf({ steps: 50, answerBytes: 3_000 }).map(bodyOf)
        for (const body of bodies) yield* send(proxy.origin, body)
        assert.strictEqual(yield* proxy.stop, 0)
        const { contents, fileBytes } = recorded(path, bodies)
        for (const [n, body] of bodies.entries()) assert.isTrue(contents[n]?.equals(body), `request ${n}`)
        const sentBytes = bodies.reduce((sum, { length }) => sum + length, 0)
        // The whole file: an empty store, spans, answers and all.
        assert.isBelow(fileBytes, sentBytes / 8, `${sentBytes} bytes sent, ${fileBytes} bytes of store`)
      }),
    60_000
  )

  it.scopedLive("is kept once when two processes record it at the same time", () =>
    Effect.gen(function*() {
      const cwd = yield* scratchFolder
      const url = yield* answering
      const proxies = [yield* startProxy(cwd, url), yield* startProxy(cwd, url)]
      const path = join(cwd, ".tau/training/store.sqlite")
      const bodies = requestsOf({ steps: 20 }).map(bodyOf)
      yield* Effect.all(
        proxies.map(({ origin }) => Effect.forEach(bodies, (body) => send(origin, body), { concurrency: 4 })),
        { concurrency: 2 }
      )
      for (const { stop } of proxies) assert.strictEqual(yield* stop, 0)
      const { contents, pieces } = recorded(path, bodies)
      for (const [n, body] of bodies.entries()) assert.isTrue(contents[n]?.equals(body), `request ${n}`)
      // The system prompt, the user's question before a long answer, and the tools; each step's two messages at most.
      assert.isAtMost(pieces, 8 + 2 * 20)
    }), 60_000)
})
