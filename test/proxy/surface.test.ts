import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { type Dispatcher, request } from "undici"
import { Proxy } from "../../src/proxy/Proxy.js"
import { withProxy } from "../support/proxy.js"
import { type SdkRequest, sdkRequests } from "../support/sdkRequests.js"
import { upstream, withBody } from "../support/upstream.js"

interface Seen {
  readonly method: string | undefined
  readonly path: string | undefined
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: Buffer
}

/** Bytes that are no text, and differ from request to request. */
const answerTo = (number: string) => createHash("sha512").update(number).digest()

/** Headers that a hop may change. */
const ofHop = new Set(["host", "connection", "keep-alive", "transfer-encoding"])
const endToEnd = (headers: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !ofHop.has(name)))

/** An upstream that keeps what it sees by the number of the request, and answers binary, empty, sized or not. */
const recordingUpstream = Effect.gen(function*() {
  const seen = new Map<string, Seen>()
  const listener = withBody((body, incoming, response) => {
    const number = String(incoming.headers["x-number"])
    const { headers, method, url: path } = incoming
    seen.set(number, { method, path, headers, body })
    const answer = answerTo(number)
    const kind = Number(number) % 3
    response.setHeader("x-request-id", `req_${number}`)
    response.setHeader("x-word", "caf\u00E9")
    response.setHeader("content-type", kind === 0 ? "application/octet-stream" : "text/plain")
    if (kind === 1) response.writeHead(method === "DELETE" ? 204 : 404).end(method === "DELETE" ? undefined : answer)
    else if (kind === 2) response.writeHead(200, { "content-length": answer.length }).end(answer)
    else {
      response.write(answer.subarray(0, 10))
      response.end(answer.subarray(10))
    }
  })
  return { seen, url: yield* upstream(listener) }
})

interface Sent {
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer | null
}

const send = async (origin: string, number: number, { body, headers, method, path }: Sent) => {
  const answer = await request(`${origin}${path}`, {
    method: method as Dispatcher.HttpMethod,
    headers: { ...headers, "x-number": String(number) },
    body: body === undefined || body === null || body.length === 0 ? null : body
  })
  const { "content-type": contentType, "x-request-id": requestId, "x-word": word } = answer.headers
  const bytes = Buffer.from(await answer.body.arrayBuffer()).toString("hex")
  return { status: answer.statusCode, contentType, requestId, word, bytes }
}

/** Sends each request directly and through the proxy, several at a time; everything that is seen must be the same. */
const compare = (requests: ReadonlyArray<Sent>) =>
  Effect.gen(function*() {
    const { seen, url } = yield* recordingUpstream
    yield* withProxy(
      url,
      Effect.flatMap(Proxy, ({ origin }) =>
        Effect.forEach(
          requests,
          (sent, number) =>
            Effect.gen(function*() {
              const what = `${sent.method} ${sent.path}`
              const direct = yield* Effect.promise(() => send(url, number, sent))
              const expected = seen.get(String(number))!
              seen.delete(String(number))
              const through = yield* Effect.promise(() => send(origin, number, sent))
              const found = seen.get(String(number))
              assert.deepStrictEqual(through, direct, what)
              assert.deepStrictEqual([found?.method, found?.path], [expected.method, expected.path], what)
              assert.deepStrictEqual(endToEnd(found!.headers), endToEnd(expected.headers), what)
              assert.isTrue(found!.body.equals(expected.body), `${what}: body`)
            }),
          { concurrency: 8, discard: true }
        ))
    )
  })

describe("A proxy in front of the whole API", () => {
  it.scopedLive(
    "passes every request that the OpenAI client can make, without /v1, byte for byte",
    () =>
      Effect.gen(function*() {
        const requests = yield* Effect.promise(sdkRequests)
        const count = (matches: (request: SdkRequest) => boolean) => requests.filter(matches).length
        assert.isAtLeast(requests.length, 380)
        assert.isAtLeast(count(({ headers }) => headers["content-type"]?.startsWith("multipart/") === true), 15)
        assert.isAtLeast(count(({ path }) => path.includes("beta=true")), 5)
        assert.isAtLeast(count(({ path }) => path.includes("id%2F1%20%C3%BC%25")), 200)
        assert.isAtLeast(count(({ path }) => path.includes("include%5B%5D=a%20b&include%5B%5D=c")), 20)
        assert.isAtLeast(count(({ body, method }) => method === "POST" && body.length === 0), 5)
        yield* compare(requests)
      }),
    120_000
  )

  it.scopedLive("passes what no client of today sends, too", () =>
    compare([
      { method: "HEAD", path: "/v1/models" },
      { method: "OPTIONS", path: "/v1/chat/completions" },
      { method: "PUT", path: "/v1/unknown/thing", body: Buffer.from([0, 255, 13, 10]) },
      {
        method: "PATCH",
        path: "/v1/unknown",
        body: Buffer.from("{}"),
        headers: { "content-type": "application/json" }
      },
      { method: "DELETE", path: "/v1/files/a", body: Buffer.from("{\"why\":1}") },
      { method: "DELETE", path: "/v1/files/a%2Fb" },
      { method: "POST", path: "/v1/responses/resp_1/cancel" },
      { method: "GET", path: "/v1beta/openai/models/x?key[]=1&key[]=2&empty=&bare&plus=a+b&semi=a;b" },
      { method: "GET", path: "/openai/deployments/d/chat/completions?api-version=2026-01-01" },
      { method: "GET", path: "/" },
      { method: "GET", path: "/v1//double//slashes/...and..dots" }
    ]))
})
