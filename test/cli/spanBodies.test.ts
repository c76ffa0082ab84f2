import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { AttemptId } from "../../src/domain/Ids.js"
import { SpanStore } from "../../src/store/SpanStore.js"
import { proxyAt } from "../support/proxy.js"
import { recordCall, type RecordedCall } from "../support/recordedCall.js"
import { scratchFolder } from "../support/store.js"
import { tau } from "./tau.js"

/** What `tau span` prints of a call that was recorded with these bodies, without its attributes. */
const printed = (call: { readonly path: string; readonly request: object; readonly response: Uint8Array }) =>
  Effect.flatMap(scratchFolder, (folder) => {
    const path = join(folder, "store.sqlite")
    return Effect.gen(function*() {
      yield* recordCall({ ...call, request: Buffer.from(JSON.stringify(call.request)) })
      const [span] = yield* (yield* SpanStore).byAttempt(AttemptId.make("r:attempt-1"))
      const { stderr, stdout } = tau(["span", span!.spanId, "--store", path])
      assert.strictEqual(stderr, "")
      return stdout.slice(stdout.indexOf("\n\n"), stdout.indexOf("\nattributes"))
    }).pipe(Effect.provide(proxyAt(path, "http://127.0.0.1:9")))
  })

const question = { model: "m", messages: [{ role: "user", content: "Hi" }] }

describe("tau span", { timeout: 60_000 }, () => {
  it.scopedLive("shows an answer that is no message beside the messages of its request", () =>
    Effect.gen(function*() {
      const error = JSON.stringify({
        error: { message: "no such model" }
      })
      const asked = "\n\nuser\n  Hi\n"
      const path = "/v1/chat/completions"
      for (const response of [Buffer.from(error), gzipSync(error)]) {
        assert.strictEqual(
          yield* printed({ path, request: question, response }),
          `${asked}\nanswer\n  {"error":{"message":"no such model"}}\n`
        )
      }
      const counted = {
        path: "/v1/messages/count_tokens",
        request: question,
        response: Buffer.from("{\"input_tokens\":7}")
      }
      assert.strictEqual(yield* printed(counted), `${asked}\nanswer\n  {"input_tokens":7}\n`)
      const sound = Buffer.from([0xff, 0xf3, 0x44, 0xc4, 0])
      assert.strictEqual(
        yield* printed({ path: "/v1/audio/speech", request: { input: "Hi" }, response: sound }),
        `${asked}\nanswer\n  [5 bytes]\n`
      )
      const vectors = { path: "/v1/embeddings", request: { input: "Hi" }, response: Buffer.from("{\"data\":[{}]}") }
      assert.strictEqual(yield* printed(vectors), asked)
    }))

  it.scopedLive("gives no curl command of what curl could not send again, and offers the bytes that there are", () =>
    Effect.flatMap(scratchFolder, (folder) => {
      const path = join(folder, "store.sqlite")
      const webSocket = { isCall: true, requestFrames: 0, responseFrames: 0, closeCode: null, unread: null }
      const request = Buffer.from(JSON.stringify({ type: "response.create", model: "m", input: "Hi" }))
      const calls: ReadonlyArray<[name: string, call: RecordedCall, why: string | null, bytes: string | null]> = [
        [
          "socket",
          {
            request,
            path: "/v1/responses",
            span: { method: "GET", statusCode: 101, isOverWebSocket: true, webSocket }
          },
          "it was made over a WebSocket; what was sent: tau span",
          "request"
        ],
        ["metadata", { span: { requestBytes: 145 } }, "its request was not recorded", null],
        ["cut", { request, span: { requestTruncated: true } }, "its request was not recorded whole", "request"],
        ["bare", { path: "/v1/models", span: { method: "GET" } }, null, null],
        ["whole", { request, response: Buffer.from("{}") }, null, "request|response|answer"]
      ]
      return Effect.forEach(calls, ([name, call, why, bytes]) =>
        Effect.gen(function*() {
          yield* recordCall({ ...call, attemptId: name })
          const [span] = yield* (yield* SpanStore).byAttempt(AttemptId.make(name))
          const told = ["span", span!.spanId, "--store", path]
          const curl = tau([...told, "--curl"])
          if (why === null) assert.match(curl.stdout, /^curl -X /)
          else assert.include(curl.stderr, `tau: no curl command makes ${span!.spanId} again: ${why}`)
          assert.strictEqual(curl.status, why === null ? 0 : 1, name)
          assert.strictEqual(/^The bytes: .* --raw (\S+)/m.exec(tau(told).stdout)?.[1] ?? null, bytes, name)
        })).pipe(Effect.provide(proxyAt(path, "http://127.0.0.1:9")))
    }))
})
