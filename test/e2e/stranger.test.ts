import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { tau } from "../support/command.js"
import { query, resultIn, searched, storeIn } from "../support/searchRuns.js"
import { searchConfig, searchUpstream } from "../support/searchUpstream.js"
import { scratchFolder } from "../support/store.js"

describe("A second agent in a store", { timeout: 180_000 }, () => {
  it.scopedLive("is told whose version it would be compared with, before anything is spent", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin } = yield* searchUpstream()
      const first = searchConfig(origin, { validate: 60, optimizer: { max_rollouts: 200 } })
      const told = (name: string, config: object, args = ["--dry-run"]) => {
        writeFileSync(join(folder, name), JSON.stringify(config))
        return Effect.map(
          tau(folder, [
            "--model=openai/agent",
            `--prompt-optimization-config=${name}`,
            `--prompt-optimization-store-sqlite=${storeIn(folder)}`,
            ...args
          ], { OPENAI_API_KEY: "k" }),
          ({ code, stderr }) => {
            assert.strictEqual(code, 0, stderr)
            return stderr.split("\n").filter((line) => line.startsWith("tau: "))
          }
        )
      }
      const under = (system_prompt: string) => ({ ...first, resources: { system_prompt } })
      const { resources: _, ...without } = first
      const by = (what: string, version: number, how: string) => [
        `tau: ${what} version ${version}, ${how} by run ${query<{ id: string }>(folder, "SELECT id FROM runs")[0]!.id} `
        + `of ${folder}/config.json: if that is another agent, this one needs a store of its own: `
        + "--prompt-optimization-store-sqlite FILE"
      ]

      assert.deepStrictEqual(yield* told("other.json", under("Judge.")), [])
      const { code, stderr } = yield* searched(folder, first, ["--force"])
      assert.strictEqual(code, 0, stderr)
      assert.notInclude(stderr, "another agent")
      const { bestVersion } = resultIn(folder)
      const asks = by("the gate of this search will ask against", bestVersion, "promoted")
      assert.deepStrictEqual(yield* told("other.json", under("Judge.")), asks)
      assert.deepStrictEqual(
        yield* told("other.json", without),
        by("without \"resources\", this run takes", bestVersion, "promoted")
      )

      // The same agent: its file was edited, its config copied, or what was found for it taken over.
      const [found] = query<{ resources: { system_prompt: string } }>(
        folder,
        `SELECT resources FROM resources WHERE version = ${bestVersion}`
      ).map(({ resources }) => JSON.parse(String(resources)) as { system_prompt: string })
      assert.deepStrictEqual(yield* told("config.json", under("Judge.")), [])
      assert.deepStrictEqual(yield* told("config.json", without), [])
      assert.deepStrictEqual(yield* told("copy.json", first), [])
      assert.deepStrictEqual(yield* told("other.json", under(found!.system_prompt)), [])
      // No gate, or one that is held against the seed.
      assert.deepStrictEqual(
        yield* told("other.json", { ...under("Judge."), validate: first.validate.slice(0, 40) }),
        []
      )
      assert.deepStrictEqual(
        yield* told("other.json", { ...first, resources: { system_prompt: "Judge.", tone: "dry" } }),
        []
      )
      assert.deepStrictEqual(yield* told("other.json", { optimize: first.optimize, resources: { a: "b" } }), [])

      const run = yield* told("other.json", under("Judge."), ["--force"])
      assert.strictEqual(run[0], asks[0])
      // Its seed was given while the first agent's was the latest, and is not made from that.
      const [back] = yield* told("config.json", first)
      assert.match(back!, /^tau: the gate .+ by run run-0002-\w+ of .+\/other\.json: /)
    }))
})
