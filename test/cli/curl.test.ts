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
    const key = request.headers["x-api-key"]
    asked.push(`${request.method} ${request.url}${key === undefined ? "" : ` ${key}`}`)
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
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
})

/** Runs the command of a call, as a shell does that a person pastes it into. */
const sent = (method: string, path: string, body: string | null, environment: Record<string, string>) => {
  const command = curlOf({ method, path }, body === null ? null : Buffer.from(body), `printf %s '${body}'`).join("\n")
  return Effect.promise(() =>
    run("sh", ["-c", command], { env: { PATH: process.env["PATH"], ...environment }, timeout: 10_000 })
  )
}

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
        yield* sent(method, path, null, { OPENAI_BASE_URL: `${url}/v1` })
      }
      assert.deepStrictEqual(asked, calls.map(([method, path]) => `${method} ${path}`))
    }))

  it.scopedLive("goes where the call went, whatever API it speaks, with the key of that", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* noting
      const paths = [
        "/v1/models",
        "/",
        "/api/chat",
        "/v1beta/models/gemini:generateContent?alt=sse",
        "/v1/threads/t/messages",
        "/v1/chat/completions/c/messages?limit=1"
      ]
      const ofAnthropic = ["/v1/messages?beta=true", "/v1/messages/count_tokens", "/messages"]
      const environment = { OPENAI_BASE_URL: `${url}/v1`, ANTHROPIC_BASE_URL: url, ANTHROPIC_API_KEY: "k" }
      for (const path of [...paths, ...ofAnthropic]) {
        yield* sent("POST", path, "{}", environment)
        yield* sent("POST", path, "no JSON", environment)
        yield* sent("GET", path, null, environment)
      }
      const expected = [...paths, ...ofAnthropic.map((path) => `${path} k`)]
      assert.deepStrictEqual(asked, expected.flatMap((told) => [`POST ${told}`, `POST ${told}`, `GET ${told}`]))
    }))
})
