import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { gzipSync } from "node:zlib"
import { AttemptId, RolloutId } from "../../src/domain/Ids.js"
import { Scorer } from "../../src/domain/Reward.js"
import * as Scoring from "../../src/scoring/Scoring.js"
import { breaksOff, endless, hangsUp, json, nowhere, type Reply, replying, silent, text } from "../support/answers.js"
import { eventually } from "../support/processes.js"

interface Options {
  readonly headers?: Record<string, string>
  readonly timeout_secs?: number
}

const score = (url: string, options: Options = {}) =>
  Effect.flatMap(Scorer, (scorer) =>
    scorer.score({
      rolloutId: RolloutId.make("rollout-1"),
      attemptId: AttemptId.make("rollout-1:attempt-1"),
      example: { prompt: "2 + 2?" },
      output: "4"
    })).pipe(Effect.provide(Scoring.layer({
      scoring: [{ kind: "http", name: "judge", weight: 1, expected: "expected", timeout_secs: 60, url, ...options }],
      baseDir: "."
    })))

const judged = (reply: Reply) =>
  Effect.scoped(Effect.gen(function*() {
    const { url } = yield* replying(reply)
    const { rewards: [reward], score: mean } = yield* score(url)
    assert.strictEqual(reward?.name, "judge")
    return [mean, reward?.feedback]
  }))
const detail = (reply: Reply, options: Options = {}) =>
  Effect.scoped(Effect.gen(function*() {
    const { asked, url } = yield* replying(reply)
    const { message } = yield* Effect.flip(score(url, options))
    assert.lengthOf(asked, 1, "an answer is judged by one request")
    yield* Effect.promise(() => eventually("the end of the connection", () => asked[0]?.response.destroyed))
    return message
  }))

describe("http scorer", () => {
  it.live("posts example, output and rollout", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* replying(json(1))
      yield* score(`${url}/judge?strict=1`, { headers: { "X-Team": "blue" } })
      assert.lengthOf(asked, 1)
      const [{ body, headers, method, path } = assert.fail("nothing was asked")] = asked
      assert.deepStrictEqual([method, path], ["POST", "/judge?strict=1"])
      assert.deepInclude(headers, { "content-type": "application/json", "x-team": "blue" })
      assert.deepStrictEqual(body, { example: { prompt: "2 + 2?" }, output: "4", rollout_id: "rollout-1" })
    }).pipe(Effect.scoped))

  it.live("reads a number, or a score with feedback of limited length", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* judged(text(" 0.5\n")), [0.5, null])
      assert.deepStrictEqual(yield* judged(json({ score: 0.25, feedback: "too short" }, 201)), [0.25, "too short"])
      assert.deepStrictEqual(yield* judged(json({ score: 0, feedback: null })), [0, null])
      assert.deepStrictEqual(yield* judged(text("\uFEFF{\"score\": 0.75}")), [0.75, null])
      const [, feedback] = yield* judged(json({ score: 0, feedback: "x".repeat(100_000) }))
      assert.lengthOf(String(feedback), 2000)
    }))

  it.live("fails clearly on anything that is no score from 0 to 1", () =>
    Effect.gen(function*() {
      for (const body of ["", "good", "1.5", "-1", "NaN", "true", `{"score":2}`, `{"feedback":"x"}`, "[1]", "a\n1"]) {
        assert.strictEqual(
          yield* detail(text(body)),
          "scorer judge failed: the server must answer with a number from 0 to 1, " +
            `or {"score": number, "feedback": text}; it answered ${JSON.stringify(body)}`
        )
      }
      assert.strictEqual(
        yield* detail(endless),
        "scorer judge failed: the server answered with more than 1048576 bytes"
      )
    }))

  it.live("reads an answer that comes packed, as far as its limit, and says what it cannot unpack", () =>
    Effect.gen(function*() {
      const packed = (coding: string, body: Buffer): Reply => ({ response }) =>
        response.writeHead(200, { "content-encoding": coding }).end(body)
      assert.deepStrictEqual(yield* judged(packed("gzip", gzipSync("0.5"))), [0.5, null])
      assert.strictEqual(
        yield* detail(packed("gzip", gzipSync(" ".repeat(2_000_000)))),
        "scorer judge failed: the server answered with more than 1048576 bytes"
      )
      assert.strictEqual(
        yield* detail(packed("gzip", Buffer.from("0.5"))),
        "scorer judge failed: the server gave no answer: none that can be unpacked: not valid gzip"
      )
      // Some name what packs nothing.
      for (const word of ["utf-8", "none", "UTF-8, gzip"]) {
        const body = word.endsWith("gzip") ? gzipSync("0.5") : Buffer.from("0.5")
        assert.deepStrictEqual(yield* judged(packed(word, body)), [0.5, null], word)
      }
    }))

  it.live("fails clearly on any status that is not 2xx, with the beginning of the body", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* detail(json(1, 404)), `scorer judge failed: the server answered with 404: "1"`)
      assert.strictEqual(yield* detail(text("", 500)), "scorer judge failed: the server answered with 500")
      assert.isBelow((yield* detail(text("x".repeat(99_999), 503))).length, 400)
      assert.strictEqual(
        yield* detail(({ response }) => response.writeHead(302, { location: "/elsewhere" }).end()),
        "scorer judge failed: the server answered with 302 (redirects are not followed)"
      )
    }))

  it.live("fails clearly when the server is not there, breaks off or is late", () =>
    Effect.gen(function*() {
      const { message } = yield* Effect.flip(score(yield* nowhere))
      assert.match(message, /^scorer judge failed: the server gave no answer: ECONNREFUSED/)
      for (const reply of [hangsUp, breaksOff]) assert.match(yield* detail(reply), /the server gave no answer: ./)
      assert.strictEqual(
        yield* detail(silent, { timeout_secs: 1 }),
        "scorer judge failed: the server took longer than 1 s"
      )
    }))

  it.live("hangs up when interrupted", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* replying(silent)
      const fiber = yield* Effect.fork(score(url))
      yield* Effect.promise(() => eventually("the request", () => asked.length === 1))
      yield* Fiber.interrupt(fiber)
      yield* Effect.promise(() => eventually("the end of the connection", () => asked[0]?.response.destroyed))
    }).pipe(Effect.scoped))
})
