import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"
import { type IncomingHttpHeaders, request as httpRequest } from "node:http"
import { Readable } from "node:stream"
import { gzipSync } from "node:zlib"
import { request } from "undici"
import type { RewriteRule } from "../../src/domain/Rewrite.js"
import type { Span } from "../../src/domain/Span.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { defaultLimits, type ProxyOptions } from "../../src/proxy/ProxyOptions.js"
import { StoreProcess } from "../../src/store/Sqlite.js"
import { attemptWith, type InRun, type LiveAttempt, withRunProxy } from "../support/attempts.js"
import { finishedSpans, payloadText, requestText } from "../support/proxy.js"
import { upstream, withBody } from "../support/upstream.js"

interface Asked {
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** A model that keeps the bytes it was asked. */
const model = Effect.gen(function*() {
  const asked: Array<Asked> = []
  const url = yield* upstream(withBody((body, { headers }, response) => {
    asked.push({ headers, body })
    const content = `answer ${asked.length}`
    response.writeHead(200, { "content-type": "application/json" })
      .end(JSON.stringify({ choices: [{ finish_reason: "stop", message: { role: "assistant", content } }] }))
  }))
  return { asked, url }
})

const ask = (
  base: string,
  body: string | Buffer | Readable,
  headers: Record<string, string> = {},
  path = "/chat/completions"
) =>
  Effect.promise(async () => {
    const response = await request(`${base}${path}`, { method: "POST", headers, body })
    return { status: response.statusCode, text: await response.body.text() }
  })

const rules: ReadonlyArray<RewriteRule> = [
  { component: "system_prompt", where: { kind: "system", equal: "You add." } },
  { component: "find_description", where: { kind: "tool_description", tool: "find" } }
]

const bodyWith = (system: string, description: string) =>
  `{ "model":"m","messages":[{"role":"system","content":${JSON.stringify(system)}},` +
  `{"role":"user","content":"You add. \\u00e9 Finds."}], "tools":[{"type":"function","function":` +
  `{"name":"find","description":${JSON.stringify(description)}}}],"temperature":1.0 }`

const agentBody = bodyWith("You add.", "Finds.")

const spanOf = ({ claim }: LiveAttempt) => Effect.map(finishedSpans(1, claim.attemptId), (spans) => spans[0]!)

const marks = ({ attributes }: Span) =>
  Object.fromEntries(Object.entries(attributes).filter(([name]) => name.startsWith("tau.rewrite.")))

const withRules = <A, E, R>(url: string, test: Effect.Effect<A, E, R>, options: Partial<ProxyOptions> = {}) =>
  withRunProxy(url, test, { rewrite: rules, replay: "after-crash", ...options })

/** A test of what is sent for a run's attempts. */
const rewrites = <E>(
  name: string,
  test: (asked: ReadonlyArray<Asked>) => Effect.Effect<void, E, InRun>,
  options?: Partial<ProxyOptions>
) => it.scopedLive(name, () => Effect.flatMap(model, ({ asked, url }) => withRules(url, test(asked), options)))

describe("rewrite", () => {
  rewrites(
    "sends each attempt's own texts, byte for byte the agent's request otherwise, and keeps both",
    (asked) =>
      Effect.gen(function*() {
        const one = yield* attemptWith({ system_prompt: "Add “carefully”.\n", find_description: "Finds rooms." })
        const two = yield* attemptWith({ system_prompt: "Sum up.", find_description: "Finds." })
        yield* ask(one.url, agentBody, { "content-type": "application/json", "content-md5": "of other bytes" })
        yield* ask(two.url, agentBody)
        const wanted = [bodyWith("Add “carefully”.\n", "Finds rooms."), bodyWith("Sum up.", "Finds.")]
        assert.deepStrictEqual(asked.map(({ body }) => body.toString("utf8")), wanted)
        assert.strictEqual(asked[0]!.headers["content-length"], String(Buffer.byteLength(wanted[0]!)))
        assert.notProperty(asked[0]!.headers, "content-md5")
        const span = yield* spanOf(one)
        assert.deepInclude(marks(span), {
          "tau.rewrite.component": ["system_prompt", "find_description"],
          "tau.rewrite.matched": [0, 1]
        })
        assert.strictEqual(yield* requestText(span), wanted[0])
        assert.strictEqual(yield* payloadText(span.attributes["tau.rewrite.original_sha256"] as string), agentBody)
        assert.strictEqual(span.requestBytes, Buffer.byteLength(wanted[0]!))
      })
  )

  rewrites(
    "changes nothing where the texts are the wanted ones already, and says that they were found",
    (asked) =>
      Effect.gen(function*() {
        const attempt = yield* attemptWith({ system_prompt: "You add.", find_description: "Finds." })
        const escaped = agentBody.replace("You add.", "\\u0059ou add.")
        yield* ask(attempt.url, escaped, { "content-md5": "of these bytes" })
        assert.strictEqual(asked[0]!.body.toString("utf8"), escaped)
        assert.strictEqual(asked[0]!.headers["content-md5"], "of these bytes")
        assert.deepStrictEqual(marks(yield* spanOf(attempt)), {
          "tau.rewrite.component": ["system_prompt", "find_description"],
          "tau.rewrite.matched": [0, 1]
        })
      })
  )

  rewrites("rewrites a body that comes in pieces of unknown size", (asked) =>
    Effect.gen(function*() {
      const attempt = yield* attemptWith({ system_prompt: "Sum up.", find_description: "Finds all." })
      const bytes = Buffer.from(agentBody)
      yield* ask(attempt.url, Readable.from(Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))))
      assert.strictEqual(asked[0]!.body.toString("utf8"), bodyWith("Sum up.", "Finds all."))
    }))

  rewrites(
    "holds a long body until it is whole, however little memory there is for recording",
    (asked) =>
      Effect.gen(function*() {
        const attempt = yield* attemptWith({ system_prompt: "Sum up.", find_description: "Finds all." })
        const long = Buffer.from(`${agentBody.slice(0, -1)},"x":"${"e".repeat(1_500_000)}"}`)
        yield* ask(attempt.url, Readable.from([long]))
        assert.include(asked[0]!.body.toString(), "Sum up.")
      }),
    { limits: { ...defaultLimits, recordingBytesMax: 1_000_000 } }
  )

  rewrites(
    "leaves alone and counts what it cannot read: compressed, too long, not JSON",
    (asked) =>
      Effect.gen(function*() {
        const attempt = yield* attemptWith({ system_prompt: "Sum up.", find_description: "Finds all." })
        const compressed = gzipSync(agentBody)
        const long = Buffer.from(`${agentBody.slice(0, -1)},"x":"${randomBytes(800_000).toString("hex")}"}`)
        yield* ask(attempt.url, compressed, { "content-encoding": "gzip" })
        yield* ask(attempt.url, long)
        yield* ask(attempt.url, Readable.from([long]))
        yield* ask(attempt.url, "You add.")
        const sent = [compressed, long, long, Buffer.from("You add.")]
        for (const [index, body] of sent.entries()) assert.isTrue(asked[index]!.body.equals(body), `${index}`)
        for (const span of yield* finishedSpans(4, attempt.claim.attemptId)) {
          assert.deepStrictEqual(marks(span), { "tau.rewrite.matched": [], "tau.rewrite.missed": [0, 1] })
        }
        const { origin } = yield* Proxy
        const metrics = yield* Effect.promise(async () => (await request(`${origin}/metrics`)).body.text())
        assert.include(metrics, "tau_rewrites_total{rule=\"0\",component=\"system_prompt\",outcome=\"missed\"} 4\n")
        assert.include(
          metrics,
          "tau_rewrites_total{rule=\"1\",component=\"find_description\",outcome=\"matched\"} 0\n"
        )
      }),
    { limits: { ...defaultLimits, recordedBytesMax: 1_500_000 } }
  )

  rewrites(
    "touches no call of nobody's, of an attempt of no run, and none that holds no such texts",
    (asked) =>
      Effect.gen(function*() {
        const { origin } = yield* Proxy
        const attempt = yield* attemptWith({ system_prompt: "Sum up.", find_description: "Finds all." })
        yield* ask(`${origin}/v1`, agentBody)
        yield* ask(`${origin}/rollout/r9/attempt/r9:attempt-1/v1`, agentBody)
        yield* ask(attempt.url, agentBody, {}, "/embeddings")
        assert.deepStrictEqual(asked.map(({ body }) => body.toString("utf8")), [agentBody, agentBody, agentBody])
        assert.deepStrictEqual(marks(yield* spanOf(attempt)), {})
      })
  )

  rewrites(
    "compares with earlier attempts what was sent, so that a resumed attempt is answered from them",
    (asked) =>
      Effect.gen(function*() {
        const resources = { system_prompt: "Sum up.", find_description: "Finds all." }
        const first = yield* attemptWith(resources)
        const before = yield* ask(first.url, agentBody)
        const second = yield* attemptWith(resources)
        const after = yield* ask(second.url, agentBody)
        assert.deepStrictEqual(after, before)
        assert.lengthOf(asked, 1)
        const span = yield* spanOf(second)
        assert.strictEqual(span.attributes["tau.replayed"], true)
        assert.strictEqual(span.requestSha256, (yield* spanOf(first)).requestSha256)
        assert.strictEqual(yield* payloadText(span.attributes["tau.rewrite.original_sha256"] as string), agentBody)
      })
  )

  rewrites(
    "answers 503 rather than send on an agent's own words in a candidate's name",
    (asked) =>
      Effect.gen(function*() {
        const attempt = yield* attemptWith({ system_prompt: "Sum up.", find_description: "Finds all." })
        const store = new Sqlite((yield* StoreProcess).path)
        store.exec("ALTER TABLE resources RENAME TO elsewhere")
        store.close()
        const refused = yield* ask(attempt.url, agentBody)
        assert.strictEqual(refused.status, 503)
        assert.include(refused.text, "training_proxy_store_unavailable")
        assert.lengthOf(asked, 0)
      })
  )

  it.scopedLive("speaks once of a rule that finds nothing: after twenty calls, or when it stops", () =>
    Effect.gen(function*() {
      const { url } = yield* model
      const said: Array<string> = []
      const calls = (count: number) =>
        withRules(
          url,
          Effect.gen(function*() {
            const attempt = yield* attemptWith({ system_prompt: "Sum up.", find_description: "Finds all." })
            for (let n = 0; n < count; n++) yield* ask(attempt.url, agentBody.replace("find", "seek"))
          }),
          { warn: (line) => void said.push(line) }
        )
      yield* Effect.scoped(calls(2))
      assert.deepStrictEqual(said, [
        "rewrite[1] (find_description) has found its text in none of 2 calls; tau resources discover lists the texts that there are"
      ])
      said.length = 0
      yield* Effect.scoped(calls(22))
      assert.lengthOf(said, 1)
      assert.include(said[0]!, "none of 20 calls")
    }))

  rewrites(
    "answers a WebSocket of an attempt's 426, so that the client calls over HTTP",
    (asked) =>
      Effect.gen(function*() {
        const attempt = yield* attemptWith({ system_prompt: "Sum up.", find_description: "Finds all." })
        const status = yield* Effect.async<number | undefined>((resume) => {
          const key = randomBytes(16).toString("base64")
          const headers = {
            connection: "Upgrade",
            upgrade: "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": key
          }
          httpRequest(`${attempt.url}/responses`, { headers }, (response) => {
            response.resume()
            resume(Effect.succeed(response.statusCode))
          }).end()
        })
        assert.strictEqual(status, 426)
        assert.lengthOf(asked, 0)
      })
  )
})
