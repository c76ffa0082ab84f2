import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Assignment } from "../../src/runtime/Executor.js"
import * as HttpExecutor from "../../src/runtime/HttpExecutor.js"
import { breaksOff, endless, hangsUp, json, nowhere, type Reply, replying, silent, text } from "../support/answers.js"
import { eventually } from "../support/processes.js"
import { assignment, execute } from "./assignments.js"

const post = (url: string, headers?: Record<string, string>, more: Partial<Assignment> = {}) =>
  execute(more).pipe(Effect.provide(HttpExecutor.layer({ kind: "http", url, ...(headers && { headers }) })))

const outputFor = (reply: Reply) =>
  Effect.scoped(Effect.flatMap(replying(reply), ({ url }) => Effect.map(post(url), ({ output }) => output)))
const failureFor = (reply: Reply) =>
  Effect.scoped(Effect.gen(function*() {
    const { asked, url } = yield* replying(reply)
    const error = yield* Effect.flip(post(url))
    assert.lengthOf(asked, 1, "an attempt is one request")
    assert.isNull(error.stderrTail)
    return error
  }))

describe("HttpExecutor", () => {
  it.live("posts the assignment once and answers with the output", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* replying(json({ output: "4", usage: 1 }))
      assert.deepStrictEqual(yield* post(`${url}/run?team=a`, { "X-Team": "blue" }), { output: "4" })
      assert.lengthOf(asked, 1)
      const [{ body, headers, method, path } = assert.fail("nothing was asked")] = asked
      assert.deepStrictEqual([method, path], ["POST", "/run?team=a"])
      assert.deepInclude(headers, {
        "content-type": "application/json",
        accept: "application/json",
        "x-team": "blue"
      })
      const { apiKey, attemptId, baseUrl, example, model, resources, rolloutId } = assignment()
      assert.deepStrictEqual(body, {
        example,
        resources,
        rollout_id: rolloutId,
        attempt_id: attemptId,
        base_url: baseUrl,
        api_key: apiKey,
        model
      })
    }).pipe(Effect.scoped))

  it.live("takes any 2xx, and an output that is not a text as its JSON", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* outputFor(json({ output: "" }, 201)), "")
      assert.strictEqual(yield* outputFor(json({ output: { a: [1, "é"] } })), `{"a":[1,"é"]}`)
      assert.strictEqual(yield* outputFor(json({ output: 4 })), "4")
      assert.strictEqual(yield* outputFor(json({ output: null })), "null")
    }))

  it.live("reads an answer behind a byte order mark, and leaves one in the output alone", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* outputFor(text(`\uFEFF${JSON.stringify({ output: "\uFEFF4" })}`)), "\uFEFF4")
    }))

  it.live("fails with the status and the agent's words, for good when the same request would be refused again", () =>
    Effect.gen(function*() {
      for (const status of [400, 401, 403, 404, 410, 413, 422, 451]) {
        const error = yield* failureFor(json({ error: { message: "no such tool" } }, status))
        assert.deepInclude(error, { reason: "http", permanent: true })
        assert.strictEqual(error.detail, `the agent answered with ${status}: no such tool`)
      }
      const isAway = (status: number) => [429, 502, 503, 504].includes(status)
      for (const status of [408, 409, 429, 500, 501, 502, 503, 504, 505]) {
        const error = yield* failureFor(text("busy\n", status))
        assert.deepInclude(error, { reason: isAway(status) ? "away" : "http", permanent: false })
        assert.strictEqual(error.detail, `the agent answered with ${status}: busy`)
      }
      assert.strictEqual((yield* failureFor(text("", 500))).detail, "the agent answered with 500")
    }))

  it.live("masks the run's key and bounds what it quotes, wherever the key stands", () =>
    Effect.gen(function*() {
      for (const lead of ["", " ".repeat(995)]) {
        const error = yield* failureFor(text(`${lead}tau-run-key tau-run-key ${"x".repeat(99_999)}`, 500))
        assert.match(error.detail, /^the agent answered with 500: \[key\]/)
        assert.notMatch(error.detail, /tau-r/)
        assert.isBelow(error.detail.length, 600)
      }
      assert.notInclude((yield* failureFor(text("tau-run-key"))).detail, "tau-run-key")
    }))

  it.live("follows no redirect", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* replying(json({ output: "elsewhere" }))
      for (const status of [301, 302, 307, 308]) {
        const error = yield* failureFor(({ response }) => response.writeHead(status, { location: url }).end())
        assert.deepInclude(error, { reason: "http", permanent: false })
        assert.strictEqual(error.detail, `the agent answered with ${status} (redirects are not followed)`)
      }
      assert.lengthOf(asked, 0)
    }).pipe(Effect.scoped))

  it.live("takes along the safety_events of the answer, and fails when they are none", () =>
    Effect.gen(function*() {
      const answer = (safety_events: unknown) => json({ output: "4", safety_events })
      const { url } = yield* replying(answer([{ reason_codes: ["tone.rude"], blocked: true }]))
      assert.deepStrictEqual(yield* post(url), {
        output: "4",
        safetyEvents: [{ reasonCodes: ["tone.rude"], blocked: true }]
      })
      for (const events of ["rude", {}, [1], [{ blocked: "no" }], [{ reason_codes: [""] }]]) {
        const error = yield* failureFor(answer(events))
        assert.deepInclude(error, { reason: "output", permanent: false })
        assert.include(error.detail, "safety_events")
      }
    }).pipe(Effect.scoped))

  it.live("fails when the output is nested deeper than can be written as JSON", () =>
    Effect.gen(function*() {
      const depth = 100_000
      const error = yield* failureFor(text(`{"output":${"[".repeat(depth)}${"]".repeat(depth)}}`))
      assert.deepInclude(error, { reason: "output", permanent: false })
      assert.match(error.detail, /^the agent's output cannot be written as JSON: ./)
    }))

  it.live("fails when the answer has no output", () =>
    Effect.gen(function*() {
      for (const body of ["four", "", "{", `"four"`, "[]", "null", `{"answer":"4"}`]) {
        const error = yield* failureFor(text(body))
        assert.deepInclude(error, { reason: "output", permanent: false }, body)
        assert.match(error.detail, /^the agent must answer with \{"output": …\} as JSON; it answered ./, body)
      }
      assert.match((yield* failureFor(text(""))).detail, /it answered nothing$/)
    }))

  it.live("stops reading an answer that has no end, and hangs up", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* replying(endless)
      const error = yield* Effect.flip(post(url))
      assert.deepInclude(error, { reason: "output", permanent: false })
      assert.strictEqual(error.detail, "the agent answered with more than 16777216 bytes")
      yield* Effect.promise(() => eventually("the end of the connection", () => asked[0]?.response.destroyed))
    }).pipe(Effect.scoped))

  it.live("fails, not for good, when there is nobody or the connection breaks", () =>
    Effect.gen(function*() {
      const refused = yield* Effect.flip(post(yield* nowhere))
      assert.deepInclude(refused, { reason: "away", permanent: false })
      assert.match(refused.detail, /^the agent failed: the server gave no answer: ECONNREFUSED/)
      for (const reply of [hangsUp, breaksOff]) {
        const error = yield* failureFor(reply)
        assert.deepInclude(error, { reason: "away", permanent: false })
        assert.match(error.detail, /gave no answer: ./)
      }
      const noHttp = yield* failureFor(({ response }) => response.socket?.end("GARBAGE\r\n\r\n"))
      assert.match(noHttp.detail, /^the agent failed: the server gave no answer: Response does not match the HTTP/)
    }))

  it.live("hangs up when interrupted, before and during the answer", () =>
    Effect.gen(function*() {
      const starts: Reply = ({ response }) => {
        response.writeHead(200)
        response.write("{")
      }
      for (const reply of [silent, starts]) {
        const { asked, url } = yield* replying(reply)
        const fiber = yield* Effect.fork(post(url))
        yield* Effect.promise(() => eventually("the request", () => asked.length === 1))
        yield* Fiber.interrupt(fiber)
        yield* Effect.promise(() => eventually("the end of the connection", () => asked[0]?.response.destroyed))
      }
    }).pipe(Effect.scoped))
})
