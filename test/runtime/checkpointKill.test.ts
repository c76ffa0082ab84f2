import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import * as PolicyCheckpoint from "../../src/runtime/PolicyCheckpoint.js"
import { startProcess } from "../support/command.js"
import { scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

const root = join(import.meta.dirname, "../..")
const kills = 12

/** A process that saves one checkpoint after the other, and says each number once it is saved. */
const program = (folder: string) => `
import * as Effect from "effect/Effect"
import * as PolicyCheckpoint from ${JSON.stringify(pathToFileURL(join(root, "dist/runtime/PolicyCheckpoint.js")).href)}
const first = Number(process.argv[2])
const save = (step) => PolicyCheckpoint.save(${JSON.stringify(folder)}, {
  checkpoint_version: 1, run_id: "run", policy_state: { resources_version: step, filling: "x".repeat(20000) },
  optimizer_state: {}, global_step: step, optimizer_step: 0, saved_at_unix_seconds: 1
})
for (let step = first;; step++) {
  await Effect.runPromise(save(step))
  process.stdout.write(step + "\\n")
}
`

describe("policy checkpoints of a process that is killed", () => {
  it.scopedLive(
    `are never lost and never half written, at ${kills} moments between and within the steps of saving`,
    () =>
      Effect.gen(function*() {
        const folder = yield* scratchFolder
        writeFileSync(join(folder, "save.mjs"), program(folder))
        symlinkSync(join(root, "node_modules"), join(folder, "node_modules"))
        let saved = 0
        for (let kill = 0; kill < kills; kill++) {
          yield* Effect.scoped(Effect.gen(function*() {
            const running = yield* startProcess(folder, process.execPath, ["save.mjs", String(saved + 1)])
            const last = () => Number(running.stdout().trim().split("\n").at(-1) || 0)
            // Not after whole steps: as many microtasks and system calls later as the machine likes.
            yield* eventually("three more saves", Effect.sync(() => last() >= saved + 3 ? true : undefined))
            running.process.kill("SIGKILL")
            yield* running.exit
            saved = last()
          }))
          const { checkpoint, source } = yield* PolicyCheckpoint.load(folder)
          assert.strictEqual(source, "primary")
          // What was said to be saved is there; the one after it may be.
          assert.include([saved, saved + 1], checkpoint.global_step)
          const fallback = yield* PolicyCheckpoint.read(join(folder, "policy-checkpoint.rollback.json"))
          assert.include([checkpoint.global_step - 1, checkpoint.global_step], fallback.global_step)
        }
      }),
    120_000
  )
})
