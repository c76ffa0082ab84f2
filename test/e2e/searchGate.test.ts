import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { tau } from "../support/command.js"
import { query, type Result, resultIn, searched, storeIn } from "../support/searchRuns.js"
import { searchConfig, searchUpstream } from "../support/searchUpstream.js"
import { scratchFolder } from "../support/store.js"
import { upstream } from "../support/upstream.js"

const lastResultIn = (folder: string) =>
  JSON.parse(
    query<{ result: string }>(folder, "SELECT result FROM search_results ORDER BY at_ms DESC LIMIT 1")[0]!.result
  ) as Result

describe("The gate of a search, end to end", { timeout: 240_000 }, () => {
  it.scopedLive("leaves out of the gate what an earlier search has seen", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin } = yield* searchUpstream()
      // 40 examples are too few to divide: this search selects on all of them.
      yield* searched(folder, searchConfig(origin, { optimizer: { max_rollouts: 200 } }))
      assert.match(resultIn(folder).noGate!, /^not testable: 40 examples/)
      const told = (yield* tau(folder, ["report", `--store=${storeIn(folder)}`, "--json"])).stdout
      // To be pasted: this is not the default store.
      assert.match(told, new RegExp(`a proposal until tau promote run-\\S+ --force --store ${storeIn(folder)}"`))
      const { code, stderr } = yield* searched(folder, searchConfig(origin, { validate: 120 }))
      assert.strictEqual(code, 0, stderr)
      const result = lastResultIn(folder)
      assert.strictEqual(result.gateExamples + result.gateLeftOut.seen, 48)
      assert.isAbove(result.gateLeftOut.seen, 5)
      const drawn = (samples: string) =>
        query<{ input: string }>(folder, `SELECT DISTINCT input FROM rollouts WHERE sample ${samples} ORDER BY input`)
          .map(({ input }) => input)
      const searchedOn = new Set(drawn("< 1000"))
      assert.isAbove(drawn(">= 1000").length, 9)
      assert.deepStrictEqual(drawn(">= 1000").filter((input) => searchedOn.has(input)), [])
      const { stdout } = yield* tau(folder, ["report", `--store=${storeIn(folder)}`])
      assert.match(stdout, new RegExp(`left out +${result.gateLeftOut.seen} that an earlier search had seen`))
    }))

  it.scopedLive("uses no examples up when a search finds what is in place already", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin } = yield* searchUpstream()
      const config = (seed: number) =>
        searchConfig(origin, { validate: 100, optimizer: { algorithm: "gepa", seed, max_rollouts: 600 } })
      yield* searched(folder, config(1))
      const first = lastResultIn(folder)
      assert.strictEqual(first.gate?.decision, "promote")
      const [found] = query<{ texts: string }>(folder, `SELECT texts FROM search_candidates WHERE n = ${first.best}`)
      const { system_prompt } = JSON.parse(found!.texts) as { system_prompt: string }
      // The reflection model of the second search knows the text that the first one found.
      const reflection_url = yield* upstream((request, response) => {
        request.resume()
        const message = { role: "assistant", content: "```\n" + system_prompt + "\n```" }
        response.writeHead(200, { "content-type": "application/json" })
        response.end(JSON.stringify({ object: "chat.completion", choices: [{ index: 0, message }] }))
      })
      const known = config(2)
      const { code, stderr } = yield* searched(folder, {
        ...known,
        optimizer: { ...known.optimizer, reflection_url, stallLimit: 2 }
      })
      assert.strictEqual(code, 0, stderr)
      assert.strictEqual(lastResultIn(folder).gate?.decision, "identical")
      const openings = query<{ runs: number; sets: number }>(
        folder,
        "SELECT count(DISTINCT run_id) AS runs, count(DISTINCT gate_set) AS sets FROM gate_openings"
      )
      assert.deepStrictEqual(openings, [{ runs: 2, sets: 2 }])
      const { stdout } = yield* tau(folder, ["report", `--store=${storeIn(folder)}`])
      assert.match(stdout, /^ {2}decision +identical$/m)
      assert.notMatch(stdout, /opening/)
    }))

  it.scopedLive("is held over new examples alone once the old ones are worn out", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin } = yield* searchUpstream()
      // So strict a gate may be opened once.
      const config = (validate: number) => searchConfig(origin, { validate, gate: { alpha: 0.0035 } })
      yield* searched(folder, config(100))
      assert.deepInclude(lastResultIn(folder), { gateExamples: 40, gateLeftOut: { seen: 0, wornOut: 0 } })
      // The rest of the config is another run's, so that this one begins anew.
      const { code, stderr } = yield* searched(folder, config(150))
      assert.strictEqual(code, 0, stderr)
      const { gateExamples, gateLeftOut: { seen, wornOut } } = lastResultIn(folder)
      assert.strictEqual(gateExamples + seen + wornOut, 50)
      assert.isAbove(wornOut, 10)
      assert.isAbove(gateExamples, 10)
      assert.deepStrictEqual(query(folder, "SELECT k FROM gate_openings"), [{ k: 1 }, { k: 1 }])
      const drawnTwice = query(
        folder,
        "SELECT input FROM rollouts WHERE sample >= 1000 GROUP BY input HAVING count(DISTINCT run_id) > 1"
      )
      assert.deepStrictEqual(drawnTwice, [])
      const { stdout } = yield* tau(folder, ["report", `--store=${storeIn(folder)}`])
      assert.match(stdout, new RegExp(`left out +${wornOut} that earlier gates have worn out`))
    }))
})
