import { assert, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { tau } from "../support/command.js"
import { scratchFolder } from "../support/store.js"

it.scopedLive("shows no score of a search among the runs, and where to find what it came to", () =>
  Effect.gen(function*() {
    const folder = yield* scratchFolder
    for (const text of ["one", "two"]) {
      writeFileSync(
        join(folder, "config.json"),
        JSON.stringify({
          optimize: [{ prompt: "What is 2 + 2?", expected: "4" }],
          resources: { system_prompt: `Answer with the number only: ${text}.` }
        })
      )
      yield* tau(folder, ["--model=sim/arithmetic", "--prompt-optimization-config=config.json"])
    }
    const store = new Sqlite(join(folder, ".tau/training/store.sqlite"))
    store.exec("UPDATE runs SET config = json_set(config, '$.optimizer.algorithm', 'gepa') WHERE ordinal = 1")
    store.close()
    const { stdout } = yield* tau(folder, ["runs"])
    assert.match(stdout, /^run-0002-\w{6}  completed +1\/1  1\.000  sim/m)
    assert.match(stdout, /^run-0001-\w{6}  completed +1\/1 +-  sim/m)
    assert.match(stdout, /^What a search came to: tau report run-0001-\w{6}$/m)
    const json = yield* tau(folder, ["runs", "--json"])
    const { runs } = JSON.parse(json.stdout) as { readonly runs: ReadonlyArray<{ readonly mean_score: number | null }> }
    assert.deepStrictEqual(runs.map(({ mean_score }) => mean_score), [1, null])
  }))
