import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { ServerResponse } from "node:http"
import { request } from "undici"
import { toBaseUrl } from "../../src/domain/Attribution.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { setWallClock } from "../support/clock.js"
import { attribution, oneSpan, withProxy } from "../support/proxy.js"
import { eventually, upstream } from "../support/upstream.js"

describe("The times of a call", () => {
  it.scopedLive("are those of the wall clock, also once it was set forward", () =>
    Effect.gen(function*() {
      const answers: Array<ServerResponse> = []
      const url = yield* upstream((_req, res) => void answers.push(res))
      const spanOfCall = Effect.gen(function*() {
        const { origin } = yield* Proxy
        const begunAtMs = Date.now()
        const call = yield* Effect.fork(
          Effect.promise(async () => {
            const { body, statusCode } = await request(`${toBaseUrl(origin, attribution)}/models`)
            return { statusCode, text: await body.text() }
          })
        )
        yield* eventually("the call upstream", Effect.sync(() => answers.length === 1 ? true : undefined))
        yield* setWallClock(2 * 3_600_000)
        answers[0]!.end("1")
        assert.deepStrictEqual(yield* call, { statusCode: 200, text: "1" })
        return { begunAtMs, span: yield* oneSpan }
      })
      const { begunAtMs, span } = yield* withProxy(url, spanOfCall)
      assert.closeTo(span.startTimeUs / 1000, begunAtMs, 10_000)
      assert.closeTo(span.endTimeUs! / 1000, Date.now(), 10_000)
    }))
})
