import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chownSync, existsSync, readFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import OpenAI from "openai"
import { request } from "undici"
import { AttemptId } from "../../src/domain/Ids.js"
import { SpanStore } from "../../src/store/SpanStore.js"
import { printed, startProcess, startTau, tau } from "../support/command.js"
import { finishedSpans, payloadText } from "../support/proxy.js"
import { scratchFolder, storeAt } from "../support/store.js"
import { eventually, upstream } from "../support/upstream.js"

const proxyFlags = ["--prompt-optimization-proxy-server", "--prompt-optimization-proxy-bind", "127.0.0.1:0"]
const listening = /listening on (\S+)\/v1/

const agent = join(import.meta.dirname, "../../examples/agents/stdlib_agent.py")
const storeOf = (cwd: string) => join(cwd, ".tau/training/store.sqlite")

describe("tau --prompt-optimization-proxy-server", () => {
  it.scopedLive(
    "records a Python agent that knows nothing of it, by prefix and by headers, streaming and not",
    () =>
      Effect.gen(function*() {
        const cwd = yield* scratchFolder
        const proxy = yield* startTau(cwd, [...proxyFlags, "--model", "sim/arithmetic"])
        const origin = yield* printed(proxy, listening)
        const example = JSON.stringify({ prompt: "What is 12 * 12?" })
        const ask = (base: string, env: Record<string, string>, ...flags: ReadonlyArray<string>) =>
          Effect.gen(function*() {
            const run = yield* startProcess(cwd, "python3", [agent, ...flags], {
              OPENAI_BASE_URL: base,
              OPENAI_API_KEY: "sk-python-secret",
              TAU_MODEL: "sim/arithmetic",
              ...env
            }, example)
            assert.strictEqual(yield* run.exit, 0, run.stderr())
            return run.stdout().trim()
          })
        const byPrefix = `${origin}/rollout/r1/attempt/r1%3Aattempt-1/v1`
        const byHeader = { TAU_ROLLOUT_ID: "r1", TAU_ATTEMPT_ID: "r1:attempt-1" }
        const answers = [
          yield* ask(byPrefix, {}),
          yield* ask(byPrefix, {}, "--stream"),
          yield* ask(`${origin}/v1`, byHeader),
          yield* ask(`${origin}/v1`, byHeader, "--stream")
        ]
        proxy.process.kill("SIGTERM")
        assert.strictEqual(yield* proxy.exit, 0)
        assert.include(proxy.stderr(), "4 calls recorded so far")

        yield* Effect.gen(function*() {
          const spans = yield* finishedSpans(4)
          assert.deepStrictEqual(
            spans.map(({ sequenceId, state }) => [sequenceId, state]),
            [1, 2, 3, 4].map((n) => [n, "done"])
          )
          for (const [index, span] of spans.entries()) {
            const answer = JSON.parse(yield* payloadText(span.answerSha256 ?? span.responseSha256)) as {
              choices: [{ message: { content: string } }]
            }
            assert.strictEqual(answer.choices[0].message.content, answers[index])
          }
        }).pipe(Effect.provide(storeAt(storeOf(cwd))))

        const log = readFileSync(join(cwd, ".tau/training/proxy-attribution.jsonl"), "utf8").trimEnd().split("\n")
        assert.deepStrictEqual(
          log.map((line) => Object.keys(JSON.parse(line) as object)),
          log.map(() => [
            "schema_version",
            "timestamp_unix_ms",
            "method",
            "path",
            "upstream_url",
            "rollout_id",
            "attempt_id",
            "sequence_id",
            "trace_id",
            "request_bytes",
            "response_bytes",
            "duration_ms",
            "status_code"
          ])
        )
        assert.strictEqual(log.length, 4)
        assert.notInclude(readFileSync(storeOf(cwd)).toString("latin1") + log.join(""), "sk-python-secret")
      }),
    60_000
  )

  it.scopedLive(
    "asks for the usage of streams where it is told to, unseen by a client that reads the choice of every chunk",
    () =>
      Effect.gen(function*() {
        const cwd = yield* scratchFolder
        const flags = [...proxyFlags, "--model", "sim/arithmetic", "--prompt-optimization-proxy-stream-usage", "ask"]
        const proxy = yield* startTau(cwd, flags)
        const origin = yield* printed(proxy, listening)
        const client = new OpenAI({ baseURL: `${origin}/rollout/r1/attempt/r1%3Aattempt-1/v1`, apiKey: "any" })
        const text = yield* Effect.promise(async () => {
          const messages = [{ role: "user" as const, content: "What is 12 * 12?" }]
          let said = ""
          for await (
            const chunk of await client.chat.completions.create({ model: "sim/arithmetic", stream: true, messages })
          ) {
            assert.notProperty(chunk, "usage")
            said += chunk.choices[0]!.delta.content ?? ""
          }
          return said
        })
        assert.include(text, "144")
        proxy.process.kill("SIGTERM")
        assert.strictEqual(yield* proxy.exit, 0)
        const [span] = yield* finishedSpans(1).pipe(Effect.provide(storeAt(storeOf(cwd))))
        assert.strictEqual(span!.attributes["tau.usage_asked"], true)
        assert.isAbove(span!.inputTokens ?? 0, 0)
        assert.isAbove(span!.outputTokens ?? 0, 0)
      }),
    60_000
  )

  it.scopedLive("lets a stream under way finish when it is told to stop, and takes no new calls", () =>
    Effect.gen(function*() {
      const cwd = yield* scratchFolder
      let finish = () => {}
      const url = yield* upstream((req, res) => {
        if (req.method === "GET") {
          res.end()
          return
        }
        res.writeHead(200, { "content-type": "text/event-stream" })
        res.write("data: 1\n\n")
        finish = () => void res.end("data: [DONE]\n\n")
      })
      const proxy = yield* startTau(cwd, [...proxyFlags, "--prompt-optimization-proxy-upstream-url", url])
      const origin = yield* printed(proxy, listening)
      const response = yield* Effect.promise(() =>
        request(`${origin}/v1/chat/completions`, { method: "POST", body: "{}" })
      )
      const whole = response.body.text()
      proxy.process.kill("SIGTERM")
      yield* eventually(
        "no new connections",
        Effect.promise(() => request(`${origin}/v1/models`).then(({ body }) => body.dump(), () => true))
      )
      finish()
      assert.strictEqual(yield* Effect.promise(() => whole), "data: 1\n\ndata: [DONE]\n\n")
      assert.strictEqual(yield* proxy.exit, 0)
      // What found that no more is taken may have been under way with it.
      assert.match(
        proxy.stderr(),
        /^tau: [12] calls? under way may finish within 10 s; a second signal stops at once$/m
      )
    }))

  it.scopedLive("has its dashboard on the same port, and ends its stream to stop", () =>
    Effect.gen(function*() {
      const proxy = yield* startTau(yield* scratchFolder, [...proxyFlags, "--model", "sim/arithmetic"])
      const origin = yield* printed(proxy, listening)
      const ask = (path: string, body?: string) =>
        request(`${origin}/dashboard/${path}`, {
          ...body !== undefined && { method: "POST", body, headers: { "content-type": "application/json" } }
        })
      const [health, rollouts, missing, action, stream] = yield* Effect.promise(() =>
        Promise.all([ask("health"), ask("api/rollouts"), ask("nothing"), ask("actions", "{}"), ask("stream")])
      )
      assert.deepStrictEqual(
        [health, rollouts, missing, action, stream].map(({ statusCode }) => statusCode),
        [200, 200, 404, 400, 200]
      )
      const read = [health, rollouts, missing, action].map(({ body }) => body.json())
      assert.include((yield* Effect.promise(() => Promise.all(read)))[0], { schema_version: 1 })
      const ended = stream.body.text().catch(() => "")
      proxy.process.kill("SIGTERM")
      yield* Effect.promise(() => ended)
      assert.strictEqual(yield* proxy.exit, 0)
    }))

  it.scopedLive("says how many calls it broke off that did not finish in time when its terminal was closed", () =>
    Effect.gen(function*() {
      const cwd = yield* scratchFolder
      const url = yield* upstream((_req, res) => void res.writeHead(200).write("part"))
      const flags = ["--prompt-optimization-proxy-upstream-url", url, "--prompt-optimization-proxy-limits"]
      const proxy = yield* startTau(cwd, [...proxyFlags, ...flags, "shutdownGraceMs=200"])
      const origin = yield* printed(proxy, listening)
      const { body } = yield* Effect.promise(() => request(`${origin}/v1/models`))
      proxy.process.kill("SIGHUP")
      assert.strictEqual(yield* Effect.promise(() => body.text().then(() => "whole", () => "broken")), "broken")
      assert.strictEqual(yield* proxy.exit, 0)
      assert.include(proxy.stderr(), "tau: 1 call under way broken off after 0.2 s")
    }))

  it.scopedLive("knows after kill -9 which calls were under way, and keeps every answer that was delivered", () =>
    Effect.gen(function*() {
      const cwd = yield* scratchFolder
      const url = yield* upstream((req, res) => {
        if (req.url === "/v1/quick") res.end("quick")
      })
      const flags = [...proxyFlags, "--prompt-optimization-proxy-upstream-url", url]
      const first = yield* startTau(cwd, flags)
      const base = `${yield* printed(first, listening)}/rollout/r1/attempt/r1%3Aattempt-1/v1`
      for (let n = 0; n < 10; n++) {
        assert.strictEqual(
          yield* Effect.promise(() => request(`${base}/quick`).then(({ body }) => body.text())),
          "quick"
        )
      }
      const hanging = request(`${base}/slow`).catch(() => {})
      const spansNow = Effect.flatMap(SpanStore, (spans) => spans.byAttempt(AttemptId.make("r1:attempt-1"))).pipe(
        Effect.provide(storeAt(storeOf(cwd)))
      )
      yield* eventually(
        "the slow call's intent",
        Effect.map(spansNow, (spans) => spans.length === 11 ? true : undefined)
      )
      first.process.kill("SIGKILL")
      yield* first.exit
      yield* Effect.promise(() => hanging)
      const second = yield* startTau(cwd, flags)
      yield* printed(second, listening)
      const states = (yield* spansNow).map(({ state }) => state)
      assert.deepStrictEqual(states, [...Array.from({ length: 10 }, () => "done" as const), "unknown_after_crash"])
      assert.include(second.stderr(), "1 call under way when an earlier process died")
    }))

  it.scopedLive("says in one line why it cannot start, with exit code 1 and nothing written", () =>
    Effect.gen(function*() {
      const cwd = yield* scratchFolder
      const taken = createServer()
      yield* Effect.acquireRelease(
        Effect.async<void>((resume) => void taken.listen(0, "127.0.0.1", () => resume(Effect.void))),
        () => Effect.sync(() => taken.close())
      )
      const { port } = taken.address() as { port: number }
      const flags = [
        "--prompt-optimization-proxy-server",
        "--prompt-optimization-proxy-upstream-url",
        "http://127.0.0.1:9"
      ]
      const busy = yield* tau(cwd, [...flags, "--prompt-optimization-proxy-bind", `127.0.0.1:${port}`])
      assert.deepStrictEqual([busy.code, busy.stdout], [1, ""])
      assert.match(busy.stderr, /^tau: cannot listen on 127\.0\.0\.1:\d+: the port is in use by another process\n$/)
      const usage = yield* tau(yield* scratchFolder, [...flags, "--prompt-optimization-proxy-timeout-ms", "0"])
      assert.strictEqual(usage.code, 2)
      assert.strictEqual(usage.stderr.trimEnd().split("\n").length, 1)
      assert.isFalse(existsSync(join(cwd, ".tau/training/proxy-attribution.jsonl")))
    }))

  it.scopedLive("says that TAU_STORE is where other commands look, when its state dir was not chosen", () =>
    Effect.gen(function*() {
      const cwd = yield* scratchFolder
      const said = (env: Readonly<Record<string, string>>, ...more: ReadonlyArray<string>) =>
        Effect.scoped(Effect.gen(function*() {
          const proxy = yield* startTau(cwd, [...proxyFlags, "--model", "sim/arithmetic", ...more], env)
          yield* printed(proxy, /(attempt\/<id>\/v1)/)
          proxy.process.kill("SIGTERM")
          assert.strictEqual(yield* proxy.exit, 0)
          return proxy.stderr().split("\n")[0]
        }))
      assert.strictEqual(
        yield* said({ TAU_STORE: "other.sqlite" }),
        "tau: the store of this proxy is .tau/training/store.sqlite; TAU_STORE (other.sqlite) is where commands "
          + "such as tau spans and tau prune look: --prompt-optimization-proxy-state-dir chooses the proxy's folder"
      )
      assert.notInclude(yield* said({ TAU_STORE: storeOf(cwd) }), "TAU_STORE")
      assert.notInclude(
        yield* said({ TAU_STORE: "other.sqlite" }, "--prompt-optimization-proxy-state-dir=.tau"),
        "TAU_STORE"
      )
    }))

  // Only root can give a file away.
  it.scopedLive.skipIf(process.getuid?.() !== 0)(
    "says whose the store is that it finds, where that is another user",
    () =>
      Effect.gen(function*() {
        const cwd = yield* scratchFolder
        const said = Effect.scoped(Effect.gen(function*() {
          const proxy = yield* startTau(cwd, [...proxyFlags, "--model", "sim/arithmetic"])
          yield* printed(proxy, /(attempt\/<id>\/v1)/)
          proxy.process.kill("SIGTERM")
          assert.strictEqual(yield* proxy.exit, 0)
          return proxy.stderr()
        }))
        assert.notInclude(yield* said, "warning")
        chownSync(storeOf(cwd), 65_534, 65_534)
        assert.include(
          yield* said,
          "tau: warning: .tau/training/store.sqlite belongs to another user (uid 65534), who can read all that is recorded there"
        )
      })
  )

  for (const [host, bound] of [["127.0.0.1", "127.0.0.1"], ["localhost", "127.0.0.1"], ["[::1]", "localhost"]]) {
    it.scopedLive(`does not start with itself as its upstream: http://${host}, bound to ${bound}`, () =>
      Effect.gen(function*() {
        const flags = ["--prompt-optimization-proxy-server", "--prompt-optimization-proxy-bind", `${bound}:18789`]
        const itself = yield* tau(yield* scratchFolder, [
          ...flags,
          "--prompt-optimization-proxy-upstream-url",
          `http://${host}:18789/v1`
        ])
        assert.deepStrictEqual([itself.code, itself.stdout], [1, ""])
        assert.match(
          itself.stderr,
          /^tau: the upstream http:\S+:18789\/v1 is this proxy itself; .*OPENAI_BASE_URL.*\n$/
        )
      }))
  }
})
