import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { startProcess } from "../support/command.js"
import { scratchFolder } from "../support/store.js"

const main = join(import.meta.dirname, "../../dist/cli/main.js")

/** Gives what it starts a terminal for its standard streams. */
const onTerminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"

describe("a run on a terminal", () => {
  it.scopedLive("prints its summary below the last line of its progress", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const config = { optimize: [{ prompt: "What is 2 + 2?", expected: "4" }], resources: { system_prompt: "Add." } }
      writeFileSync(join(folder, "config.json"), JSON.stringify(config))
      const args = [process.execPath, main, "--model=sim/arithmetic", "--prompt-optimization-config=config.json"]
      const command = yield* startProcess(folder, "python3", ["-c", onTerminal, ...args], { TERM: "xterm" })
      assert.strictEqual(yield* command.exit, 0, command.stdout())
      assert.match(
        command.stdout(),
        /1\/1 rollouts [^\r\n]*\r\nRun run-0001-\w+ completed: 1 of 1 rollout succeeded\.\r\n/
      )
    }))
})
