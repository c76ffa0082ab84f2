import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { get } from "node:http"
import { join } from "node:path"
import { request } from "undici"
import { AttemptId } from "../../src/domain/Ids.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { finishedSpans, oneSpan, proxyAt, withProxy } from "../support/proxy.js"
import { scratchFolder } from "../support/store.js"
import { upstream } from "../support/upstream.js"

type Options = NonNullable<Parameters<typeof request>[1]>
const call = (url: string, options: Partial<Options> = {}) =>
  Effect.promise(() => request(url, { method: "POST", body: `{"model":"m"}`, ...options } as Options))
const text = (response: { readonly body: { text(): Promise<string> } }) => Effect.promise(() => response.body.text())

describe("The attempt that a call belongs to", () => {
  it.scopedLive("is told by headers; malformed ids are refused always, missing ones where they are required", () =>
    Effect.gen(function*() {
      const url = yield* upstream((req, res) => void res.end(Object.keys(req.headers).join()))
      const status = (headers: Record<string, string>) =>
        Effect.gen(function*() {
          const { origin } = yield* Proxy
          const response = yield* call(`${origin}/v1/chat/completions`, { headers })
          return [response.statusCode, yield* text(response)] as const
        })
      const named = { "x-rollout-id": "r1", "x-attempt-id": "r1:attempt-1" }
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const [code, seen] = yield* status(named)
          assert.strictEqual(code, 200)
          assert.notInclude(seen, "x-rollout-id")
          yield* oneSpan
          for (
            const bad of [{ "x-sequence-id": "-1" }, { "x-sequence-id": "1.5" }, { "x-trace-id": "a b" }, {
              "x-rollout-id": "é"
            }]
          ) {
            const [refused, body] = yield* status({ ...named, ...bad })
            assert.strictEqual(refused, 400)
            assert.include(body, "training_proxy_missing_or_invalid_attribution_header")
          }
          const { captureSession, origin } = yield* Proxy
          assert.strictEqual((yield* call(`${origin}/rollout//attempt/a/v1/models`)).statusCode, 400)
          yield* status({})
          const [unattributed] = yield* finishedSpans(1, AttemptId.make(`${captureSession}:attempt-1`))
          assert.strictEqual(unattributed?.rolloutId as string, captureSession)
        })
      )
      yield* withProxy(
        url,
        Effect.gen(function*() {
          for (const missing of [{}, { "x-rollout-id": "r1" }, { ...named, "x-attempt-id": " " }]) {
            assert.strictEqual((yield* status(missing))[0], 400)
          }
          assert.strictEqual((yield* status(named))[0], 200)
        }),
        { attributionRequired: true }
      )
    }))

  it.scopedLive("is told by Agent Lightning's prefix too, which no upstream sees and whose mode is kept", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const url = yield* upstream((req, res) => {
        seen.push(`${req.method} ${req.url}`)
        res.end("{}")
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const { origin } = yield* Proxy
          const prefix = "/proxy/rollout/ro-1/attempt/0/mode/val/openai"
          yield* text(yield* call(`${origin}${prefix}/v1/chat/completions?a=1`))
          yield* text(yield* call(`${origin}${prefix}/v1/models`, { method: "GET", body: null }))
          assert.deepStrictEqual(seen, ["POST /v1/chat/completions?a=1", "GET /v1/models"])
          const spans = yield* finishedSpans(2, AttemptId.make("0"))
          for (const span of spans) {
            assert.strictEqual(span.rolloutId as string, "ro-1")
            assert.include(span.path, "/v1/")
            assert.strictEqual(span.attributes["tau.mode"], "val")
          }
          for (const bad of ["//attempt/0/mode/val/openai/v1", "/r/attempt/0/mode/play/openai/v1", "/r/attempt/0/v1"]) {
            assert.strictEqual((yield* call(`${origin}/proxy/rollout${bad}/models`)).statusCode, 400)
          }
          assert.strictEqual(seen.length, 2)
        }),
        { attributionRequired: true }
      )
    }))

  it.scopedLive("is told by a prefix whatever its query is, and however little of a path is left", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const url = yield* upstream((req, res) => {
        seen.push(req.url!)
        res.end("{}")
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const { origin } = yield* Proxy
          for (const prefix of ["/rollout/r/attempt/0", "/proxy/rollout/r/attempt/0/mode/val/openai"]) {
            for (const rest of ["", "?x=1", "/?x=/#", "/v1/models?q=a#b/../c"]) {
              // Most clients keep what follows a # to themselves.
              const { hostname, port } = new URL(origin)
              const status = yield* Effect.async<number | undefined>((resume) =>
                void get({ hostname, port, path: prefix + rest }, (answer) => {
                  answer.resume()
                  resume(Effect.succeed(answer.statusCode))
                })
              )
              assert.strictEqual(status, 200)
            }
          }
          const expected = ["/", "/?x=1", "/?x=/#", "/v1/models?q=a#b/../c"]
          assert.deepStrictEqual(seen, [...expected, ...expected])
          yield* finishedSpans(8, AttemptId.make("0"))
        })
      )
    }))

  it.scopedLive("takes any unsigned integer as a sequence id, and keeps to itself those that are too large to go on from", () =>
    Effect.gen(function*() {
      const url = yield* upstream((_req, res) => void res.end("{}"))
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.provide(
        Effect.gen(function*() {
          const { origin } = yield* Proxy
          const ask = (sequence: string) =>
            Effect.flatMap(
              call(`${origin}/v1/models`, {
                headers: { "x-rollout-id": "r1", "x-attempt-id": "r1:attempt-1", "x-sequence-id": sequence }
              }),
              (answer) => Effect.as(text(answer), answer.statusCode)
            )
          // Counted, in microseconds, in nanoseconds, and the largest of 64 bits.
          const good = ["7", "1795661447560821", "1795661447560821000", "18446744073709551615", "007"]
          for (const sequence of good) assert.strictEqual(yield* ask(sequence), 200, sequence)
          for (const sequence of ["18446744073709551616", "9".repeat(30), "1e3", "0x7", "+7"]) {
            assert.strictEqual(yield* ask(sequence), 400, sequence)
          }
          const spans = yield* finishedSpans(5)
          const first = 1_795_661_447_560_821
          assert.deepStrictEqual(spans.map(({ sequenceId }) => sequenceId), [7, first, first + 1, first + 2, first + 3])
          assert.deepStrictEqual(
            spans.map(({ attributes }) => attributes["tau.client_sequence_id"]),
            [7, first, "1795661447560821000", "18446744073709551615", 7]
          )
          const log = readFileSync(`${path}.attribution.jsonl`, "utf8")
          assert.deepStrictEqual(
            Array.from(log.matchAll(/"sequence_id":([^,]*),/g), ([, sequence]) => sequence),
            ["7", "1795661447560821", "1795661447560821000", "18446744073709551615", "7"]
          )
        }),
        proxyAt(path, url)
      )
    }))

  it.scopedLive("has the parent that traceparent names, in this version of it and in later ones", () =>
    Effect.gen(function*() {
      const url = yield* upstream((_req, res) => void res.end("{}"))
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const { origin } = yield* Proxy
          const ids = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"
          const parents = [`00-${ids}-01`, `01-${ids}-03`, `cc-${ids}-01-what-will-be`]
          const none = [`00-${ids}-01-more`, `ff-${ids}-01`, `01-${ids}-01more`, `0-${ids}-01`]
          for (const traceparent of [...parents, ...none]) {
            const headers = { "x-rollout-id": "r1", "x-attempt-id": "r1:attempt-1", traceparent }
            yield* text(yield* call(`${origin}/v1/models`, { headers }))
          }
          const spans = yield* finishedSpans(7)
          assert.deepStrictEqual(
            spans.map(({ parentId }) => parentId),
            [...parents.map(() => "b7ad6b7169203331"), ...none.map(() => null)]
          )
        })
      )
    }))
})
