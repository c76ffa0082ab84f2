import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { tau } from "../support/command.js"
import { randomFrom } from "../support/random.js"
import {
  finishedIn,
  query,
  record,
  type Result,
  resultIn,
  searched,
  startSearch,
  storeIn
} from "../support/searchRuns.js"
import { searchConfig, searchUpstream } from "../support/searchUpstream.js"
import { testSeed } from "../support/seed.js"
import { scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

/** `TAU_TEST_KILLS=30` for a longer trial. */
const kills = Number(process.env["TAU_TEST_KILLS"] ?? 4)

interface Told {
  readonly ended: string
  readonly candidates: ReadonlyArray<
    {
      readonly n: number
      readonly state: string
      readonly interval: object | null
      readonly resources_version: number | null
    }
  >
  readonly gate: { readonly decision: string; readonly guard_rails: ReadonlyArray<{ readonly name: string }> }
  readonly budget: { readonly rollouts: { readonly spent: number } }
}

/** The summary, `tau report`, `tau candidates` and `tau lineage` tell what the store knows. */
const assertTold = (folder: string, stdout: string, result: Result) =>
  Effect.gen(function*() {
    const { failures, scores, search } = JSON.parse(stdout) as Record<"failures" | "scores" | "search", object>
    assert.deepStrictEqual(scores, [])
    const store = `--store=${storeIn(folder)}`
    const again = yield* tau(folder, ["report", store, "--json"])
    assert.strictEqual(again.code, 0, again.stderr)
    const told = JSON.parse(again.stdout) as Told
    assert.deepStrictEqual<object>(told, { ...search, failures })
    assert.strictEqual(told.budget.rollouts.spent, result.spent.rollouts)
    const { decision, guard_rails: guardRails } = told.gate
    assert.deepStrictEqual([decision, ...guardRails.map(({ name }) => name)], ["promote", "tokens", "failures"])
    assert.deepInclude(told.candidates.find(({ state }) => state === "winner"), {
      n: result.best,
      resources_version: result.promotedVersion
    })
    const status = JSON.parse(readFileSync(join(dirname(storeIn(folder)), "status.json"), "utf8")) as object
    assert.propertyVal(status, "mean_score", null)
    const exported = yield* tau(folder, ["export", "events", store])
    const events = exported.stdout.trim().split("\n").map((line) =>
      JSON.parse(line) as Readonly<Record<string, unknown>>
    )
    assert.deepStrictEqual(events.map(({ sequence_id: at }) => at), events.map((_, at) => at))
    assert.includeMembers(events.map(({ type }) => type), ["iteration", "proposed", "accepted", "gate_opened"])
    assert.deepInclude(events.at(-1)!, { type: "gate_decided", candidate: result.best, decision: "promote" })
    // Also of those that never led, whose intervals the optimizer does not tell.
    assert.isNotEmpty(told.candidates.filter(({ state }) => state === "accepted"))
    for (const { interval, n, state } of told.candidates) {
      if (state === "accepted") assert.isNotNull(interval, String(n))
    }
    const text = yield* tau(folder, ["report", store])
    assert.match(text.stdout, /^ {2}\+Obey rule number \d\.$/m)
    const listed = yield* tau(folder, ["candidates", store])
    assert.match(listed.stdout, new RegExp(`^ *${result.best} .*winner`, "m"))
    const nowhere = yield* tau(folder, ["lineage", store, "--svg=nowhere/search.svg"])
    assert.deepStrictEqual(
      [nowhere.code, nowhere.stderr],
      [1, "tau: nowhere/search.svg could not be written: there is no folder nowhere\n"]
    )
    const tree = yield* tau(folder, ["lineage", store, "--svg=search.svg"])
    assert.match(tree.stdout, /^0 /m)
    assert.match(readFileSync(join(folder, "search.svg"), "utf8"), /^<svg /)
    const nothing = yield* tau(folder, ["promote", store, "run-0001-x", "--force"])
    assert.strictEqual(nothing.code, 1)
  })

describe("A search, end to end", { timeout: 240_000 + 15_000 * kills }, () => {
  it.scopedLive("finds a better prompt, proves it, and makes it the latest", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin, served, truth } = yield* searchUpstream()
      const { code, stderr, stdout } = yield* searched(
        folder,
        searchConfig(origin, { validate: 100, optimizer: { max_rollouts: 900 } })
      )
      assert.strictEqual(code, 0, stderr)
      const result = resultIn(folder)
      assert.strictEqual(result.gate?.decision, "promote", JSON.stringify(result))
      const latest = query<{ version: number; resources: string }>(
        folder,
        "SELECT version, resources FROM resources WHERE is_latest = 1"
      )[0]!
      assert.strictEqual(latest.version, result.promotedVersion)
      const prompt = (JSON.parse(latest.resources) as { system_prompt: string }).system_prompt
      assert.isAbove(truth(prompt), truth("You are an agent.\nBe helpful."))
      // What the store says was spent is what the server saw.
      const agentCalls = served.filter(({ model }) => model === "agent").length
      const reflections = served.filter(({ model }) => model === "reflector").length
      assert.strictEqual(result.spent.rollouts, agentCalls)
      assert.strictEqual(result.spent.reflections, reflections)
      assert.strictEqual(result.spent.tokens, 15 * served.length)
      assert.isAtMost(result.spent.rollouts, 900)
      assert.strictEqual(query(folder, "SELECT 1 FROM rollouts").length, agentCalls)
      yield* assertTold(folder, stdout, result)
      assert.strictEqual(
        query(folder, "SELECT 1 FROM spans WHERE rollout_id LIKE '%-reflect-%' AND run_id IS NOT NULL").length,
        reflections
      )
      assert.deepStrictEqual(
        query(
          folder,
          `SELECT rollout_id LIKE '%-reflect-%' AS reflects, attributes ->> '$."tau.call.role"' AS role
                       FROM spans GROUP BY reflects, role`
        ),
        [{ reflects: 0, role: "main" }, { reflects: 1, role: "reflection" }]
      )
    }))

  it.scopedLive("must beat what is the latest by now, on the same examples, which it wears out", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin } = yield* searchUpstream()
      const config = (seed: number, max_rollouts: number) =>
        searchConfig(origin, { validate: 100, optimizer: { seed, max_rollouts } })
      yield* searched(folder, config(1, 700))
      const first = resultIn(folder)
      assert.strictEqual(first.gate?.decision, "promote", JSON.stringify(first.gate))
      // The same seed text again, with less to spend: what it finds beats the seed, not the latest. Its gate can pay for fewer
      // pairs than the first, and still looks at the same examples.
      yield* searched(folder, config(2, 239))
      const openings = query<{ k: number; incumbent: number; gate_set: string }>(
        folder,
        "SELECT k, incumbent, gate_set FROM gate_openings ORDER BY k"
      )
      assert.deepStrictEqual(openings.map(({ incumbent, k }) => [k, incumbent]), [[1, 1], [2, first.promotedVersion]])
      assert.notStrictEqual(openings[0]!.gate_set, openings[1]!.gate_set)
      const { stdout } = yield* tau(folder, ["report", `--store=${storeIn(folder)}`])
      assert.match(
        stdout,
        new RegExp(`^ {2}against {7}version ${first.promotedVersion}, the latest when it opened, not the seed$`, "m")
      )
      // To evaluate a text is not to choose it.
      const looked = searchConfig(origin, {
        validate: 1,
        resources: { system_prompt: "Be rude." },
        optimizer: { algorithm: "evaluate", reflection_model: undefined }
      })
      assert.strictEqual((yield* searched(folder, looked)).code, 0)
      assert.deepStrictEqual(query(folder, "SELECT version FROM resources WHERE is_latest = 1"), [
        { version: first.promotedVersion }
      ])
    }))

  it.scopedLive("has as the latest what a config gave last, while nobody has decided which it is", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin } = yield* searchUpstream()
      const text = (system_prompt: string) => {
        const { optimizer: _, ...evaluated } = searchConfig(origin, { validate: 1, resources: { system_prompt } })
        return evaluated
      }
      for (const prompt of ["A", "B", "A"]) assert.strictEqual((yield* searched(folder, text(prompt))).code, 0)
      assert.deepStrictEqual(query(folder, "SELECT version, is_latest FROM resources ORDER BY version"), [
        { version: 1, is_latest: 1 },
        { version: 2, is_latest: 0 }
      ])
    }))

  it.scopedLive("tells of reflections that failed, without secrets, and goes on over them", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      let reflections = 0
      const fault = ({ model }: { model: string }) => model === "reflector" && reflections++ % 2 === 0 ? 400 : null
      const { origin } = yield* searchUpstream({ fault })
      const { code, stderr } = yield* searched(folder, searchConfig(origin, { optimizer: { max_rollouts: 120 } }))
      assert.strictEqual(code, 0, stderr)
      const { stdout } = yield* tau(folder, ["report", `--store=${storeIn(folder)}`])
      assert.match(stdout, / failed, the last:\n {4}the reflection model answered 400: not now with \[REDACTED\]$/m)
      assert.lengthOf(query(folder, "SELECT 1 FROM search_events WHERE data LIKE '%sk-%'"), 0)
    }))

  it.scopedLive("decides the same with 1, 4 and 32 workers, and through kills at any moment", () =>
    Effect.gen(function*() {
      const { origin, pace, served } = yield* searchUpstream()
      const config = (worker_count: number) =>
        searchConfig(origin, { validate: 50, worker_count, optimizer: { max_rollouts: 180 } })
      const undisturbed = yield* scratchFolder
      const first = yield* searched(undisturbed, config(4))
      assert.strictEqual(first.code, 0, first.stderr)
      const expected = record(undisturbed)
      assert.isAbove(expected.candidates.length, 3)

      for (const workers of [1, 32]) {
        const folder = yield* scratchFolder
        const { code, stderr } = yield* searched(folder, config(workers))
        assert.strictEqual(code, 0, stderr)
        assert.deepStrictEqual(record(folder), expected, `${workers} workers`)
      }

      const folder = yield* scratchFolder
      const random = randomFrom(testSeed)
      const total = expected.rollouts.length
      pace.latencyMs = 4
      served.length = 0
      for (let n = 1; n <= kills; n += 1) {
        const wanted = Math.floor(total * (n - random()) / (kills + 1))
        yield* Effect.scoped(Effect.gen(function*() {
          const command = yield* startSearch(folder, config(4))
          yield* eventually(
            () => `${wanted} rollouts: ${command.stderr()}`,
            Effect.sync(() => finishedIn(folder) >= wanted || command.process.exitCode !== null ? true : undefined)
          )
          command.process.kill("SIGKILL")
          yield* command.exit
        }))
      }
      const last = yield* searched(folder, config(4))
      assert.strictEqual(last.code, 0, `${last.stderr} (seed ${testSeed})`)
      assert.deepStrictEqual(record(folder), expected, `seed ${testSeed}`)
      // Nothing finished was done again: what is served twice was in flight at a kill, 4 workers and as many reflections.
      assert.strictEqual(query(folder, "SELECT 1 FROM attempts WHERE status = 'succeeded'").length, total)
      const again = served.length - (total + expected.reflections.length)
      assert.isAtMost(again, kills * 5, `seed ${testSeed}`)
    }))

  it.scopedLive("tells where it stands when it was killed, and begins with that when it is resumed", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin, pace } = yield* searchUpstream()
      const config = searchConfig(origin)
      pace.latencyMs = 5
      yield* Effect.scoped(Effect.gen(function*() {
        const command = yield* startSearch(folder, config)
        yield* eventually(
          "a better candidate",
          Effect.sync(() => finishedIn(folder) >= 50 && ledIn(folder).length > 1 ? true : undefined)
        )
        command.process.kill("SIGKILL")
        yield* command.exit
      }))
      const told = yield* tau(folder, ["report", `--store=${storeIn(folder)}`, "--json"])
      const { best, verdict } = JSON.parse(told.stdout) as { readonly best: number; readonly verdict: string }
      assert.strictEqual(best, ledIn(folder).at(-1))
      assert.match(
        verdict,
        new RegExp(`^The search stopped before its end; candidate ${best} scores 0\\.\\d+, the seed 0\\.\\d+, over`)
      )
      assert.include(verdict, `Its process died; running ${join(folder, "config.json")} again continues it.`)
      const resumed = yield* searched(folder, config)
      assert.strictEqual(resumed.code, 0, resumed.stderr)
      const first = resumed.stderr.split("\n").find((line) => /\d+\/300 rollouts/.test(line))
      assert.match(first!, /^best 0\.\d+ .* · [1-9]\d* tried, [1-9]\d* accepted · \d\d+\/300 rollouts/)
    }))

  it.scopedLive("says when it is cancelled that it has ended, as its report does afterwards", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin, pace } = yield* searchUpstream()
      pace.latencyMs = 20
      const command = yield* startSearch(folder, searchConfig(origin))
      yield* eventually("work", Effect.sync(() => finishedIn(folder) >= 20 ? true : undefined))
      yield* tau(folder, ["--prompt-optimization-control-cancel", "--prompt-optimization-control-state-dir=."])
      assert.strictEqual(yield* command.exit, 1, command.stderr())
      const { failures, search } = JSON.parse(command.stdout()) as Record<"failures" | "search", object>
      assert.deepInclude(search, { ended: "cancelled", stopped: null })
      const told = yield* tau(folder, ["report", `--store=${storeIn(folder)}`, "--json"])
      assert.deepStrictEqual(JSON.parse(told.stdout), { ...search, failures })
    }))

  it.scopedLive("refuses to go on when the search has changed", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin, pace } = yield* searchUpstream()
      pace.latencyMs = 5
      yield* Effect.scoped(Effect.gen(function*() {
        const command = yield* startSearch(folder, searchConfig(origin))
        yield* eventually("work", Effect.sync(() => finishedIn(folder) >= 50 ? true : undefined))
        command.process.kill("SIGKILL")
        yield* command.exit
      }))
      const store = new Sqlite(storeIn(folder))
      store.prepare("UPDATE search_steps SET chain = 'another' WHERE n = 1").run()
      store.close()
      const { code, stderr } = yield* searched(folder, searchConfig(origin))
      assert.strictEqual(code, 1)
      assert.match(stderr, /step 1 of the search differs from the one on record: the optimizer changed/)
      // The command alone would meet the same step again, for ever.
      assert.match(stderr, /cancel the run, and its command starts a new one/)
    }))

  it.scopedLive("stays within its budget when calls fail", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      // One call in nine is refused for good.
      const { origin, served } = yield* searchUpstream({
        fault: ({ model }, n) => model === "agent" && n % 9 === 4 ? 400 : null
      })
      const { code, stderr } = yield* searched(
        folder,
        searchConfig(origin, { optimizer: { max_rollouts: 150, max_reflections: 9 } })
      )
      assert.strictEqual(code, 0, stderr)
      const { spent } = resultIn(folder)
      assert.isAtMost(spent.rollouts, 150)
      assert.isAtMost(spent.reflections, 9)
      assert.strictEqual(served.filter(({ model }) => model === "agent").length, spent.rollouts)
      assert.strictEqual(served.filter(({ model }) => model === "reflector").length, spent.reflections)
      const failed = query<{ n: number }>(folder, "SELECT count(*) AS n FROM rollouts WHERE status = 'failed'")[0]!.n
      assert.isAbove(failed, 5)
    }))

  it.scopedLive("says in a dry run what it may cost, and does nothing", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin, served } = yield* searchUpstream()
      const { code, stdout } = yield* searched(folder, searchConfig(origin, { validate: 100 }), ["--dry-run"])
      assert.strictEqual(code, 0)
      const plan = JSON.parse(stdout) as Record<string, unknown>
      assert.deepInclude(plan, { rollouts_max: 300, reflections_max: 60, train_examples: 24 })
      // Nobody knows what these models cost.
      assert.deepInclude(plan["estimate"] as object, { usd: null, rollout_tokens: { input: 13, output: 300 } })
      const { pairs, rollouts } = plan["gate"] as { pairs: number; rollouts: number }
      assert.strictEqual(rollouts, 2 * pairs)
      assert.strictEqual(plan["search_rollouts_max"], 300 - rollouts)
      assert.strictEqual(pairs + (plan["selection_examples"] as number), 100)
      assert.deepStrictEqual(plan["components"], ["system_prompt"])
      assert.deepStrictEqual(readdirSync(folder), ["config.json"])
      assert.lengthOf(served, 0)
    }))

  it.scopedLive("says in a dry run which texts it would leave as they are", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const config = join(folder, "config.json")
      const planOf = (optimizer: object) => {
        const resources = { system_prompt: "Answer.", planner: "Plan.", limits: { calls: 3 } }
        writeFileSync(
          config,
          JSON.stringify(searchConfig("http://127.0.0.1:9", { resources, optimizer, validate: 100 }))
        )
        return tau(folder, ["--model=openai/m", `--prompt-optimization-config=${config}`, "--dry-run"])
      }
      assert.include(
        (yield* planOf({})).stdout,
        "  texts         system_prompt; as they are: planner, unless optimizer.components\n                names them\n"
      )
      const named = yield* planOf({ components: ["planner"] })
      assert.include(named.stdout, "  texts         planner; as they are: system_prompt\n")
      const both = yield* planOf({ components: ["planner", "system_prompt"] })
      assert.include(both.stdout, "  texts         planner, system_prompt\n")
      assert.match(both.stdout, /chance to find a gain of 0\.05: \d+ %, 0\.10: \d+ %/)
      for (const line of both.stdout.split("\n")) assert.isAtMost(line.length, 80)
    }))
})

/** The candidates that led one after the other, the seed first. */
const ledIn = (folder: string): ReadonlyArray<number> => {
  try {
    return query<{ candidate: number }>(
      folder,
      "SELECT data ->> 'candidate' AS candidate FROM search_events WHERE data ->> 'type' = 'incumbent' ORDER BY n"
    ).map(({ candidate }) => candidate)
  } catch {
    return []
  }
}
