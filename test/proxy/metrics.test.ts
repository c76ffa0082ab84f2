import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { request } from "undici"
import { Proxy } from "../../src/proxy/Proxy.js"
import { defaultLimits } from "../../src/proxy/ProxyOptions.js"
import { metrics } from "../support/metrics.js"
import { withProxy } from "../support/proxy.js"
import { eventually, upstream } from "../support/upstream.js"

const call = (path: string, options: Parameters<typeof request>[1] = {}) =>
  Effect.flatMap(Proxy, ({ origin }) =>
    Effect.promise(async () => {
      const { body, statusCode } = await request(origin + path, { method: "POST", body: "{}", ...options })
      return { statusCode, text: await body.text() }
    }))

describe("GET /metrics", () => {
  it.scopedLive("counts the span of a stream once, and all of its bytes, where more comes behind its end", () =>
    Effect.gen(function*() {
      const end = "data: [DONE]\n\n"
      const more = ": bye\n\n"
      const url = yield* upstream((req, res) => {
        req.resume()
        res.writeHead(200, { "content-type": "text/event-stream" })
        res.write(end)
        setTimeout(() => res.end(more), 100)
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          assert.strictEqual((yield* call("/v1/chat/completions")).text, end + more)
          const { origin } = yield* Proxy
          const counts = yield* eventually(
            "the end of the call",
            Effect.map(metrics, (samples) => samples.get("tau_calls_under_way") === 0 ? samples : undefined)
          )
          assert.strictEqual(counts.get("tau_spans_committed_total"), 1)
          assert.strictEqual(counts.get("tau_span_commit_seconds_count"), 1)
          assert.strictEqual(counts.get("tau_response_bytes_total"), end.length + more.length)
          const health = yield* Effect.promise(async () =>
            (await request(`${origin}/training/proxy/health`)).body.json()
          )
          assert.include(health, { calls: 1, spans_committed: 1, spans_lost: 0 })
        })
      )
    }))

  it.scopedLive("counts calls by endpoint, status class and end state, and what they used", () =>
    Effect.gen(function*() {
      const answer = JSON.stringify({
        object: "chat.completion",
        model: "m",
        choices: [{ index: 0, message: { role: "assistant", content: "4" }, finish_reason: "stop" }],
        usage: { prompt_tokens: 11, completion_tokens: 3, total_tokens: 14 }
      })
      const seen: Array<string> = []
      const url = yield* upstream((req, res) => {
        seen.push(req.url ?? "")
        req.resume()
        if (req.url === "/v1/chat/completions") res.writeHead(200, { "content-type": "application/json" }).end(answer)
        else res.writeHead(429).end()
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          for (let n = 0; n < 2; n++) yield* call("/v1/chat/completions")
          yield* call("/v1/embeddings")
          yield* call("/anything/else?a=%22%0A", { method: "GET", body: null })
          yield* call("/v1/chat/completions", { headers: { "x-rollout-id": "two words" } })
          const counts = yield* eventually(
            "four calls",
            Effect.map(
              metrics,
              (samples) =>
                samples.get("tau_spans_committed_total") === 4 && samples.get("tau_calls_under_way") === 0
                  ? samples
                  : undefined
            )
          )
          const expected: Record<string, number> = {
            "tau_requests_total{endpoint=\"chat_completions\",status=\"2xx\",state=\"done\"}": 2,
            "tau_requests_total{endpoint=\"embeddings\",status=\"4xx\",state=\"done\"}": 1,
            "tau_requests_total{endpoint=\"other\",status=\"4xx\",state=\"done\"}": 1,
            "tau_requests_refused_total{reason=\"attribution\"}": 1,
            "tau_requests_refused_total{reason=\"store\"}": 0,
            tau_request_duration_seconds_count: 4,
            tau_time_to_first_chunk_seconds_count: 2,
            tau_span_commit_seconds_count: 4,
            tau_input_tokens_total: 22,
            tau_output_tokens_total: 6,
            tau_request_bytes_total: 6,
            tau_response_bytes_total: 2 * answer.length,
            tau_recorded_bytes: 0,
            tau_spans_lost_total: 0,
            tau_store_failure: 0
          }
          for (const [series, value] of Object.entries(expected)) assert.strictEqual(counts.get(series), value, series)
          for (const name of ["tau_commits_total", "tau_resident_memory_bytes", "tau_connections_open"]) {
            assert.isAbove(counts.get(name) ?? 0, 0, name)
          }
          assert.isTrue(counts.has("tau_store_wal_bytes"))
          assert.isTrue(counts.has("tau_event_loop_lag_seconds{quantile=\"0.99\"}"))
          assert.notInclude(seen, "/metrics")
        })
      )
    }))

  it.scopedLive("has a line in the documentation for each of its names", () =>
    Effect.gen(function*() {
      const page = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8")
      const url = yield* upstream((_req, res) => res.end())
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const namesNow = Effect.map(
            call("/metrics", { method: "GET", body: null }),
            ({ text }) => [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!)
          )
          // The disk is looked at in the background.
          const names = yield* eventually(
            "the store to be measured",
            Effect.map(namesNow, (names) =>
              names.includes("tau_store_free_bytes") && names.includes("tau_store_wal_bytes") ? names : undefined)
          )
          const documented = [...page.matchAll(/^\| `(tau_\w+)`/gm)].map(([, name]) =>
            name!
          )
          assert.sameMembers(documented, [...names, "tau_rewrites_total"])
        })
      )
    }))

  it.scopedLive("is a page of the upstream's under a rollout's prefix, and for any method but GET and HEAD", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const url = yield* upstream((req, res) => {
        seen.push(`${req.method} ${req.url}`)
        req.resume().on("end", () => res.end())
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          yield* call("/metrics")
          yield* call("/metrics", { method: "HEAD", body: null })
          yield* call("/rollout/r1/attempt/a1/metrics", { method: "GET", body: null })
          assert.deepStrictEqual(seen, ["POST /metrics", "GET /metrics"])
        }),
        { limits: defaultLimits }
      )
    }))
})
