import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { query, startSearch } from "../support/searchRuns.js"
import { searchConfig, searchUpstream } from "../support/searchUpstream.js"
import { scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

describe("The line of a search", { timeout: 60_000 }, () => {
  it.scopedLive("counts rollouts that have ended, and not those that were begun", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { origin, pace } = yield* searchUpstream()
      pace.latencyMs = 60_000
      const lineOf = (stderr: string) => /^.* · (\d+)\/300 rollouts/m.exec(stderr)?.[1]
      yield* Effect.scoped(Effect.gen(function*() {
        const command = yield* startSearch(folder, searchConfig(origin))
        yield* eventually(
          "a batch",
          Effect.sync(() =>
            lineOf(command.stderr()) !== undefined && query(folder, "SELECT 1 FROM rollouts").length > 0
              ? true
              : undefined
          )
        )
        command.process.kill("SIGKILL")
        yield* command.exit
      }))
      const resumed = yield* startSearch(folder, searchConfig(origin))
      assert.strictEqual(
        yield* eventually("its line", Effect.sync(() => lineOf(resumed.stderr()))),
        "0",
        resumed.stderr()
      )
    }))
})
