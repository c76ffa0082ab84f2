import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { printed, startTau, tau } from "../support/command.js"
import { scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

interface Actor {
  readonly name: string
  readonly state: string
  readonly restarts: number
  readonly mailbox: { readonly size: number; readonly capacity: number; readonly dropped: number } | null
  readonly work: { readonly rollout_id: string; readonly attempt: number; readonly since_unix_ms: number } | null
}

interface Trees {
  readonly processes: ReadonlyArray<
    {
      readonly kind: string
      readonly pid: number
      readonly run_id: string | null
      readonly actors: ReadonlyArray<Actor>
    }
  >
}

const treesIn = (folder: string) =>
  Effect.map(
    tau(folder, ["inspect", "tree", "--json"]),
    ({ code, stdout }) => code === 0 ? (JSON.parse(stdout) as Trees).processes : []
  )

describe("tau inspect tree", () => {
  it.scopedLive(
    "shows the live processes of a store, what each runner works on, and nothing when they are gone",
    () =>
      Effect.gen(function*() {
        const folder = yield* scratchFolder
        const server = yield* startTau(folder, ["simulate", "--bind=127.0.0.1:0", "--latency-ms=60000"])
        const upstream = yield* printed(server, /listening on (\S+)/)
        writeFileSync(
          join(folder, "config.json"),
          JSON.stringify({
            optimize: Array.from({ length: 3 }, (_, n) => ({ prompt: `What is ${n} + 1?` })),
            upstream_url: upstream,
            worker_count: 2,
            poll_interval_ms: 20
          })
        )
        const proxy = yield* startTau(folder, [
          "--prompt-optimization-proxy-server",
          "--prompt-optimization-proxy-bind=127.0.0.1:0",
          `--prompt-optimization-proxy-upstream-url=${upstream}`
        ])
        yield* printed(proxy, /listening on (\S+)/)
        const run = yield* startTau(folder, [
          "--model=sim/arithmetic",
          "--prompt-optimization-config=config.json",
          "--prompt-optimization-drain-ms=0"
        ])
        const [first, second] = yield* eventually(
          "two runners at work",
          Effect.map(treesIn(folder), (trees) =>
            trees.find(({ kind }) =>
                kind === "run"
              )?.actors.filter(({ work }) => work !== null).length === 2
              ? trees
              : undefined)
        )
        assert.deepInclude(first!, { kind: "proxy", pid: proxy.process.pid!, run_id: null })
        assert.deepStrictEqual(first!.actors.map(({ name, state }) => `${name} ${state}`), [
          "proxy running",
          "span recorder running",
          "store watch running"
        ])
        assert.deepInclude(second!, { kind: "run", pid: run.process.pid! })
        assert.match(second!.run_id!, /^run-0001-/)
        assert.deepStrictEqual(second!.actors.map(({ name }) => name), [
          "proxy",
          "span recorder",
          "store watch",
          "writer",
          "heartbeat",
          "rescuer",
          "checkpoints",
          "status reporter",
          "control watcher",
          "runner 1",
          "runner 2"
        ])
        assert.isTrue(second!.actors.every(({ restarts, state }) => state === "running" && restarts === 0))
        assert.deepInclude(second!.actors.at(-1), { mailbox: { size: 0, capacity: 16, dropped: 0 } })
        assert.strictEqual(second!.actors.at(-1)!.work!.attempt, 1)

        // Told to pause while it works, a runner finds the message when it has finished.
        yield* tau(folder, ["--prompt-optimization-control-pause"])
        const text = yield* eventually(
          "a message that waits",
          Effect.map(
            tau(folder, ["inspect", "tree", "--store=.tau/training/store.sqlite"]),
            ({ stdout }) => stdout.includes("mailbox 1/16") ? stdout : undefined
          )
        )
        assert.match(
          text,
          /^└─ runner 2 +running +[\d.]+ m?s +restarts 0 +mailbox 1\/16\n? +run-0001-\S+ attempt 1 for \d/m
        )
        assert.deepStrictEqual(text.split("\n").filter((line) => line.length > 80), [])

        run.process.kill("SIGTERM")
        yield* run.exit
        proxy.process.kill("SIGTERM")
        yield* proxy.exit
        const none = yield* tau(folder, ["inspect", "tree"])
        assert.deepStrictEqual(none, {
          code: 1,
          stdout: "",
          stderr: "tau: no live process works on .tau/training/store.sqlite\n"
        })
        const noStore = yield* tau(folder, ["inspect", "tree", "--store=none.sqlite"])
        assert.match(noStore.stderr, /^tau: .*there is no store at none\.sqlite in \//)
        assert.deepStrictEqual(readdirSync(join(folder, ".tau/training")).filter((name) => name.endsWith(".sock")), [])
      }),
    60_000
  )

  it.scopedLive("passes over the socket of a process that was killed", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const start = startTau(folder, [
        "--model=sim/arithmetic",
        "--prompt-optimization-proxy-server",
        "--prompt-optimization-proxy-bind=127.0.0.1:0"
      ])
      const killed = yield* start
      yield* printed(killed, /listening on (\S+)/)
      killed.process.kill("SIGKILL")
      yield* killed.exit
      assert.strictEqual((yield* tau(folder, ["inspect", "tree"])).code, 1)
      const next = yield* start
      yield* printed(next, /listening on (\S+)/)
      assert.deepStrictEqual((yield* treesIn(folder)).map(({ pid }) => pid), [next.process.pid])
      assert.deepStrictEqual(
        readdirSync(join(folder, ".tau/training")).filter((name) => name.endsWith(".sock")),
        [`store.sqlite.${next.process.pid}.sock`]
      )
    }), 60_000)
})
