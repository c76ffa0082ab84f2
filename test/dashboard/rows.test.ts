import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { printed, startTau, tau } from "../support/command.js"
import { asking, type Body, dashboardAt, listening } from "../support/dashboard.js"
import { scratchFolder } from "../support/store.js"
import { eventually, upstream } from "../support/upstream.js"

const config = {
  optimize: Array.from({ length: 5 }, (_, n) => ({ prompt: `What is ${n} + 2?`, expected: `${n + 2}` })),
  resources: { system_prompt: "Reply with only the final number." },
  worker_count: 1
}

/** A real run of the command, with real calls through its proxy. */
const runOnce = (folder: string) =>
  Effect.gen(function*() {
    writeFileSync(join(folder, "config.json"), JSON.stringify(config))
    const { code, stderr } = yield* tau(folder, [
      "--model=sim/arithmetic",
      "--prompt-optimization-config=config.json",
      "--prompt-optimization-store-sqlite=store.sqlite"
    ])
    assert.strictEqual(code, 0, stderr)
  })

/** A port that was free a moment ago. */
const freePort = Effect.map(Effect.scoped(upstream(() => {})), (origin) => new URL(origin).port)

const commandJson = (folder: string, ...args: ReadonlyArray<string>) =>
  Effect.map(tau(folder, [...args, "--store=store.sqlite", "--json"]), ({ stdout }) => JSON.parse(stdout) as Body)

/** A proxy that calls no model, and where it listens. */
const capturing = (folder: string) =>
  Effect.gen(function*() {
    const proxy = yield* startTau(folder, [
      "--model=sim/arithmetic",
      "--prompt-optimization-proxy-server",
      "--prompt-optimization-proxy-bind=127.0.0.1:0"
    ])
    return { proxy, origin: yield* printed(proxy, /listening on (http:\S+)\/v1/) }
  })

describe("the rows of a store over HTTP", { timeout: 240_000 }, () => {
  it.scopedLive("gives the rows of the commands, page by page, and 404 for what is not there", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* runOnce(folder)
      const { ask } = yield* dashboardAt(join(folder, "store.sqlite"))
      const api = (path: string) => Effect.map(ask(`/api/${path}`), ({ json }) => json)

      assert.deepStrictEqual((yield* api("runs")).runs, (yield* commandJson(folder, "runs")).runs)
      const all = (yield* commandJson(folder, "rollouts")).rollouts
      const paged: Array<Body> = []
      let after = ""
      for (let n = 0; n < 10; n += 1) {
        const { next, rollouts } = yield* api(`rollouts?limit=2${after}`)
        paged.push(...rollouts)
        if (next === null) break
        after = `&after=${next}`
      }
      assert.deepStrictEqual(paged, all)
      assert.strictEqual((yield* api("rollouts?min_score=0&status=failed")).rollouts.length, 0)

      const { attempts, rollout } = yield* api(`rollouts/${all[0].id}`)
      assert.deepStrictEqual(rollout, all[0])
      const { spans } = yield* api(`attempts/${encodeURIComponent(attempts[0].id)}/spans`)
      const told = (yield* commandJson(folder, "rollout", all[0].id)).attempts[0]
      assert.deepStrictEqual({ ...attempts[0], spans, next: null }, told)
      assert.deepStrictEqual((yield* api(`spans/${spans[0].span_id}`)).span, spans[0])
      assert.deepStrictEqual((yield* api("resources")).resources, (yield* commandJson(folder, "resources")).resources)
      const { resources: latest } = yield* api("resources/latest")
      assert.deepInclude(latest, { version: 1, is_latest: true, resources: config.resources })
      assert.deepStrictEqual((yield* api("resources/1")).resources, latest)
      assert.deepStrictEqual((yield* api("workers")).workers, (yield* commandJson(folder, "workers")).workers)
      assert.strictEqual((yield* api("workers?live=true")).workers.length, 0)

      for (
        const path of [
          "rollouts/x",
          "attempts/x/spans",
          "spans/x",
          "rollouts?run=x",
          "workers?run=x",
          "runs/x",
          "resources/2"
        ]
      ) {
        assert.strictEqual((yield* ask(`/api/${path}`)).status, 404, path)
      }
      for (
        const path of [
          "runs?after=x",
          "rollouts?after=x",
          "workers?after=x",
          "resources?after=x",
          "resources/x",
          "resources/latest?a=1"
        ]
      ) {
        assert.strictEqual((yield* ask(`/api/${path}`)).status, 400, path)
      }
    }))

  it.scopedLive("describes every page in its OpenAPI document", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { ask } = yield* dashboardAt(join(folder, "store.sqlite"))
      const { json } = yield* ask("/api/openapi.json")
      assert.strictEqual(json.openapi, "3.1.0")
      assert.strictEqual(Object.keys(json.paths).length, 15)
      assert.isUndefined(json.components.schemas.HttpApiDecodeError)
      const { content } = json.paths["/dashboard/health"].get.responses["400"]
      assert.include(JSON.stringify(content), "dashboard_bad_request")
      // A client that is made of the document sends the token where it has one.
      assert.deepStrictEqual(json.paths["/dashboard/api/runs"].get.security, [{}, { token: [] }])
      assert.strictEqual(json.components.securitySchemes.token.scheme, "bearer")
    }))

  it.scopedLive("is served by a capture proxy, whose upstream keeps every other path", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin, proxy } = yield* capturing(folder)
      const health = yield* Effect.promise(() => fetch(`${origin}/dashboard/health`))
      assert.strictEqual(health.status, 200)
      const { training } = yield* Effect.promise(() => health.json() as Promise<Body>)
      assert.strictEqual(training.store_path, ".tau/training/store.sqlite")
      const runs = yield* Effect.promise(() => fetch(`${origin}/dashboard/api/runs`))
      assert.strictEqual(runs.status, 200)
      const chat = yield* Effect.promise(() => fetch(`${origin}/api/chat`))
      assert.isNull(chat.headers.get("content-security-policy"))

      // Its grace for calls under way is 10 s: a stream that never ends is no reason to use it.
      const listener = yield* listening(origin)
      yield* eventually("a snapshot", Effect.sync(() => listener.events()[0]))
      const told = performance.now()
      proxy.process.kill("SIGTERM")
      assert.strictEqual(yield* proxy.exit, 0)
      assert.isBelow(performance.now() - told, 8_000)
      yield* eventually("the stream ends", Effect.sync(() => listener.isOver() ? true : undefined))
      assert.isTrue(listener.isWhole())
    }))

  it.scopedLive("gives the calls of an attempt whatever id it has", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin } = yield* capturing(folder)
      for (const id of ["a".repeat(200), "\"".repeat(200), "org/model/", "C:\\a", "50%2f?#"]) {
        const name = encodeURIComponent(id)
        yield* Effect.promise(() =>
          fetch(`${origin}/rollout/r/attempt/${name}/v1/models`).then((answer) => answer.text())
        )
        const { json, status } = yield* asking(origin).ask(`/dashboard/api/attempts/${name}/spans`)
        assert.strictEqual(status, 200, id)
        assert.deepStrictEqual(json.spans.map(({ attempt_id }: Body) => attempt_id), [id])
      }
    }))

  it.scopedLive("is served by the proxy of a live run, which a pause holds", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const executor = { kind: "command", command: ["sleep", "60"] }
      writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, executor }))
      const live = yield* startTau(folder, [
        "--model=sim/arithmetic",
        "--prompt-optimization-config=config.json",
        `--prompt-optimization-proxy-bind=127.0.0.1:${yield* freePort}`
      ])
      const bind = live.process.spawnargs.at(-1)!.split("=")[1]!
      const { act, ask } = asking(`http://${bind}`)
      yield* eventually(
        "the run works",
        Effect.promise(() => fetch(`http://${bind}/dashboard/widgets`).then((answer) => answer.json(), () => undefined))
          .pipe(
            Effect.map((json: Body) =>
              json?.widgets.find(({ id }: Body) => id === "workers_live").value === 1 ? true : undefined
            )
          )
      )
      const { json: health } = yield* ask("/dashboard/health")
      assert.deepInclude(health, { health_state: "healthy", rollout_gate: "pass" })
      assert.strictEqual((yield* ask("/dashboard/api/rollouts?status=running")).status, 200)
      const { json } = yield* act("pause", "a look")
      assert.deepInclude(json, { status: "done", control_mode: "paused", rollout_gate: "hold" })
      yield* eventually(
        "the run says that it is paused",
        Effect.map(ask("/dashboard/health"), ({ json }) => json.training.run_state === "paused" ? true : undefined)
      )
    }))

  it.scopedLive("is served by tau dashboard, which refuses to be reached from elsewhere without a good token", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const running = yield* startTau(folder, ["dashboard", "--bind=127.0.0.1:0", "--json"])
      const origin = yield* printed(running, /"origin":"(http:[^"]+)"/)
      const { status } = yield* Effect.promise(() => fetch(`${origin}/dashboard/health`))
      assert.strictEqual(status, 200)
      const busy = yield* tau(folder, ["dashboard", `--bind=${new URL(origin).host}`])
      assert.strictEqual(busy.code, 1)
      assert.match(busy.stderr, /^tau: cannot listen on 127\.0\.0\.1:\d+: the port is in use by another process\n$/)
      const bare = yield* tau(folder, ["dashboard", "--bind=0.0.0.0:0"])
      assert.strictEqual(bare.code, 2)
      assert.match(bare.stderr, /set TAU_DASHBOARD_TOKEN/)
      const named = yield* startTau(folder, [
        "dashboard",
        "--bind=127.0.0.1:0",
        "--allowed-hosts=tau.example.org",
        "--json"
      ])
      const { ask } = asking(yield* printed(named, /"origin":"(http:[^"]+)"/))
      for (const [host, expected] of [["tau.example.org:8787", 200], ["tau.example.com", 421]] as const) {
        assert.strictEqual((yield* ask("/dashboard/health", { headers: { host } })).status, expected, host)
      }
      const weak = yield* tau(folder, ["dashboard", "--bind=0.0.0.0:0"], { TAU_DASHBOARD_TOKEN: "short" })
      assert.strictEqual(weak.code, 2)
    }))
})
