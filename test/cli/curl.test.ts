import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { promisify } from "node:util"
import { curlOf } from "../../src/cli/reading/curl.js"

const run = promisify(execFile)

/** A server that notes what it is asked for, in order. */
const noting = Effect.gen(function*() {
  const asked: Array<string> = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    response.end("{}")
  })
  yield* Effect.acquireRelease(
    Effect.async<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () =>
      Effect.async<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1` }
})

describe("a call as a curl command", () => {
  it.scopedLive("asks once for the very path, and waits for no answer to a HEAD", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* noting
      const calls = [
        ["HEAD", "/v1/models"],
        ["GET", "/v1/responses?metadata[task]=a"],
        ["GET", "/v1/files/[1-3]"],
        ["DELETE", "/v1/files/{a,b}"],
        ["GET", "/v1/models?after=it's"]
      ] as const
      for (const [method, path] of calls) {
        const command = curlOf({ method, path }, null, "").join("\n")
        yield* Effect.promise(() =>
          run("sh", ["-c", command], { env: { ...process.env, OPENAI_BASE_URL: url }, timeout: 10_000 })
        )
      }
      assert.deepStrictEqual(asked, calls.map(([method, path]) => `${method} ${path}`))
    }))
})
