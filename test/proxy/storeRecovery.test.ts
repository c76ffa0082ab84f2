import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { randomBytes } from "node:crypto"
import type { ServerResponse } from "node:http"
import { join } from "node:path"
import { request } from "undici"
import { Proxy } from "../../src/proxy/Proxy.js"
import { proxyAt } from "../support/proxy.js"
import { rowsOf, scratchFolder } from "../support/store.js"
import { eventually, upstream } from "../support/upstream.js"

const mib = 1024 * 1024
/** Nothing that is stored once for several calls. */
const unique = (bytes: number) => randomBytes(bytes / 2).toString("hex")

const untilWell = eventually(
  "a store that is well",
  Effect.map(Proxy, ({ health }) => health().storeFailure === null ? true : undefined)
)

const send = (path: string, body = "") =>
  Effect.flatMap(Proxy, ({ origin }) =>
    Effect.promise(async () => {
      try {
        const answer = await request(origin + path, { method: "POST", body })
        await answer.body.text()
        return answer.statusCode
      } catch {
        return 0
      }
    }))

/** An upstream that answers `ok`, or under `/v1/held` what the test says, once it says so. */
const holding = Effect.gen(function*() {
  const held: Array<ServerResponse> = []
  const url = yield* upstream((req, res) => {
    req.resume().on("end", () => req.url === "/v1/held" ? void held.push(res) : res.end("ok"))
  })
  return { held, url }
})

/** What the store says became of its calls. */
const statesOf = (path: string) =>
  rowsOf<{ readonly state: string }>(path, "SELECT state FROM spans ORDER BY state").map(({ state }) => state).join()

describe("Proxy, once its store was in trouble", () => {
  it.scopedLive("stays full until what did not fit would fit, and then tells of the call whose answer that was", () =>
    Effect.gen(function*() {
      const { held, url } = yield* holding
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.gen(function*() {
        assert.strictEqual(yield* send("/v1/x", unique(4 * mib)), 200)
        const call = yield* Effect.fork(send("/v1/held"))
        yield* eventually(
          "its row",
          Effect.sync(() => statesOf(path) === "done,open" || undefined)
        )
        const answer = yield* eventually("the request at the upstream", Effect.sync(() => held[0]))
        answer.end(unique(6 * mib))
        assert.strictEqual(yield* Fiber.join(call), 0)
        // Long enough for the store to be asked whether there is room, which a smaller answer would have.
        const deadline = performance.now() + 1_500
        while (performance.now() < deadline) assert.strictEqual(yield* send("/v1/x"), 503)
        const other = new Database(path)
        other.pragma("foreign_keys = OFF")
        other.exec("DELETE FROM bodies WHERE size > 100000")
        other.close()
        yield* untilWell
        yield* eventually(
          "the end of the call",
          Effect.sync(() => statesOf(path) === "done,unknown_after_crash" || undefined)
        )
      }).pipe(Effect.provide(proxyAt(path, url, {}, 8 * mib)))
    }))
})
