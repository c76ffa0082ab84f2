import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import { runIn, runtimeAt, storePathIn } from "../support/runtime.js"
import { scratchFolder } from "../support/store.js"

describe("The end of a run", () => {
  it.scopedLive("is told before it is recorded, so that a kill in between makes nobody pay twice", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const seen: Array<string> = []
      const once = runIn(folder, 2, {}, ({ runState }) =>
        Effect.sync(() => {
          const store = new Sqlite(storePathIn(folder), { readonly: true })
          const { state } = store.prepare("SELECT state FROM runs").get() as { state: string }
          store.close()
          seen.push(`${runState}, told while ${state}`)
        }))
      yield* Effect.provide(once, runtimeAt(folder, { execute: () => Effect.succeed({ output: "4" }) }))
      assert.deepStrictEqual(seen, ["completed, told while running"])
    }))
})
