import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync } from "node:fs"
import { query, searched, storeIn } from "../support/searchRuns.js"
import { searchConfig, searchUpstream } from "../support/searchUpstream.js"
import { scratchFolder } from "../support/store.js"

describe("The settings of a search, end to end", { timeout: 120_000 }, () => {
  it.scopedLive("is refused before anything is written where there is no text to search over", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin, served } = yield* searchUpstream()
      const config = searchConfig(origin, { resources: undefined, optimizer: { components: ["system_prompt"] } })
      for (const flags of [[], ["--dry-run"]]) {
        const { code, stderr } = yield* searched(folder, config, flags)
        assert.strictEqual(code, 2)
        assert.strictEqual(
          stderr,
          "tau: config.json: $.resources: expected a text to optimize, a system_prompt say, found none in the latest " +
            `resources in ${storeIn(folder)}\n`
        )
        assert.deepStrictEqual(readdirSync(folder), ["config.json"])
      }
      assert.lengthOf(served, 0)
    }))

  it.scopedLive("begins with the latest resources in the store where the config gives none", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin } = yield* searchUpstream()
      const texts = { system_prompt: "Obey rule number 1.", tone: "dry" }
      const { optimizer: _, ...evaluated } = searchConfig(origin, { validate: 1, resources: texts })
      assert.strictEqual((yield* searched(folder, evaluated)).code, 0)
      const without = (components: ReadonlyArray<string>) =>
        searchConfig(origin, { validate: 20, resources: undefined, optimizer: { max_rollouts: 40, components } })
      const misnamed = yield* searched(folder, without(["tonne"]))
      assert.strictEqual(misnamed.code, 2)
      assert.match(
        misnamed.stderr,
        /\$\.optimizer\.components\[0\]: expected the name of a text in the latest resources in .*, found "tonne"; did you mean "tone"\?/
      )
      assert.strictEqual((yield* searched(folder, without(["system_prompt"]), ["--dry-run"])).code, 0)
      const { code, stderr } = yield* searched(folder, without(["system_prompt"]))
      assert.strictEqual(code, 0, stderr)
      const [seed] = query<{ texts: string }>(folder, "SELECT texts FROM search_candidates WHERE n = 0")
      assert.deepStrictEqual(JSON.parse(seed!.texts), { system_prompt: texts.system_prompt })
    }))

  it.scopedLive("reach the algorithm under its own names", () =>
    Effect.gen(function*() {
      const prompts = (optimizer: object) =>
        Effect.gen(function*() {
          const folder = yield* scratchFolder
          const { origin, served } = yield* searchUpstream()
          const config = searchConfig(origin, { optimizer: { max_rollouts: 100, ...optimizer } })
          const { code, stderr } = yield* searched(folder, config)
          assert.strictEqual(code, 0, stderr)
          return served.flatMap(({ key, model }) => model === "reflector" ? [key] : [])
        })
      const plain = yield* prompts({})
      const bare = yield* prompts({ hypotheses: false, rejectedMemory: false, minibatch: 2 })
      const runsIn = (prompt: string) => prompt.split(/^# Run \d+$/m).length - 1
      assert.isTrue(plain.every((prompt) => prompt.includes("hypotheses")))
      assert.isTrue(plain.some((prompt) => runsIn(prompt) > 2))
      assert.isNotEmpty(bare)
      for (const prompt of bare) {
        assert.notInclude(prompt, "hypotheses")
        assert.isAtMost(runsIn(prompt), 2)
      }
    }))
})
