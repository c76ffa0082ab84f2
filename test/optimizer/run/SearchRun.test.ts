import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Reflector } from "../../../src/optimizer/run/Reflector.js"
import { SearchRun } from "../../../src/optimizer/run/SearchRun.js"
import { Spending } from "../../../src/optimizer/run/Spending.js"
import { reflect } from "../../../src/optimizer/Search.js"
import { SearchStore } from "../../../src/store/SearchStore.js"
import { StoreError } from "../../../src/store/StoreError.js"
import { begin, withStore } from "../../support/store.js"

const limits = { rolloutsMax: 10, reflectionsMax: 10, stallMax: 10, cached: true }

describe("SearchRun", () => {
  it.scopedLive("waits for as long as a step or a reflection cannot be written because the disk is full", () =>
    withStore(Effect.gen(function*() {
      const store = yield* SearchStore
      const { runId } = yield* begin(1)
      const refusals = { step: 2, reflection: 2 }
      const onceThereIsRoom = <A>(of: keyof typeof refusals, written: Effect.Effect<A, StoreError>) =>
        Effect.suspend(() =>
          refusals[of]-- > 0 ? new StoreError({ operation: of, reason: "full", detail: "SQLITE_FULL" }) : written
        )
      const run = new SearchRun({
        runId,
        resources: { system_prompt: "Answer." },
        seed: { system_prompt: "Answer." },
        examples: new Map(),
        optimizer: "rgepa@1",
        attemptsMax: 1,
        spending: new Spending({ tokensMax: Infinity, usdMax: Infinity, secondsMax: Infinity }, undefined),
        onProgress: () => {},
        onEvent: () => {},
        onEnqueued: () => {}
      })
      const found = yield* run.run(reflect("iter/1", "What is wrong?"), limits).pipe(
        Effect.provideService(SearchStore, { ...store, take: (step) => onceThereIsRoom("step", store.take(step)) }),
        Effect.provideService(Reflector, {
          reflect: () => onceThereIsRoom("reflection", Effect.succeed({ text: "Nothing." }))
        })
      )
      assert.deepStrictEqual(found, { text: "Nothing." })
      assert.deepStrictEqual(run.spent, { steps: 1, rollouts: 0, reflections: 1 })
    })))
})
