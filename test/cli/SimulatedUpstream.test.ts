import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { simulatedUpstream } from "../../src/cli/SimulatedUpstream.js"
import { scratchFolder } from "../support/store.js"

describe("the simulated model of --model", () => {
  it.scopedLive("is a mistake in the command line when its file is not there or cannot be used", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const wrong = join(folder, "wrong.json")
      writeFileSync(wrong, "{}")
      for (const path of [join(folder, "absent.json"), wrong]) {
        const mistake = yield* Effect.flip(simulatedUpstream(path))
        assert.strictEqual(mistake._tag, "UsageError")
        assert.isTrue(mistake.message.startsWith(`--model: ${path}: `), mistake.message)
      }
    }))
})
