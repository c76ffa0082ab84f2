import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { startProcess } from "../support/command.js"
import { scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

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

  it.scopedLive("tells of a store that cannot be written once, on a line of its own, whatever proxies the run has", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const example = { prompt: "What is 2 + 2?", expected: "4" }
      const config = {
        optimize: [example],
        validate: [example],
        resources: { system_prompt: "Add." },
        executor: { kind: "command", command: ["sh", "-c", "while [ ! -e go ]; do sleep 0.1; done; echo 4"] },
        // Simulated models are a server each: the reflection model has a proxy besides the run's.
        optimizer: { algorithm: "rgepa", reflection_model: "sim/reflector-weak", max_rollouts: 4 }
      }
      writeFileSync(join(folder, "config.json"), JSON.stringify(config))
      const args = [process.execPath, main, "--model=sim/arithmetic", "--prompt-optimization-config=config.json"]
      const command = yield* startProcess(folder, "python3", ["-c", onTerminal, ...args], { TERM: "xterm" })
      const says = (what: RegExp) =>
        eventually(`${what}: ${command.stdout()}`, Effect.sync(() => what.test(command.stdout()) ? true : undefined))
      const store = yield* Effect.acquireRelease(
        Effect.map(says(/\/4 rollouts/), () => new Sqlite(join(folder, ".tau/training/store.sqlite"))),
        (db) => Effect.sync(() => db.close())
      )
      store.exec("BEGIN IMMEDIATE")
      yield* says(/warning: calls cannot be recorded/)
      store.exec("ROLLBACK")
      yield* says(/calls are being recorded again/)
      writeFileSync(join(folder, "go"), "")
      assert.strictEqual(yield* command.exit, 0, command.stdout())
      const lines = command.stdout().replaceAll("\u001B[K", "\n").split(/[\r\n]+/)
      const told = lines.filter((line) => /cannot be recorded|recorded again/.test(line))
      for (const [index, line] of told.entries()) {
        // A slow disk may make it happen again, in turns.
        assert.match(line, index % 2 === 0 ? /^tau: warning: calls cannot be/ : /^tau: calls are/, told.join("\n"))
      }
    }))
})
