import { assert, describe, it } from "@effect/vitest"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import type { Readable } from "node:stream"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"
import type { SimulateMode } from "../../src/cli/SimulateCommand.js"

// The command as a main program, which signals interrupt.
const main = `
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { run } from "./dist/cli/SimulateCommand.js"
NodeRuntime.runMain(run(JSON.parse(process.argv[1])), {
  teardown: (exit, onExit) => onExit(exit._tag === "Success" ? exit.value : 0)
})`

const start = (mode: Partial<SimulateMode>) =>
  spawn(
    process.execPath,
    [
      "--input-type=module",
      "-e",
      main,
      JSON.stringify({ bind: { host: "127.0.0.1", port: 0 }, seed: 1, latencyMs: 0, ...mode })
    ],
    { cwd: fileURLToPath(new URL("../../", import.meta.url)), stdio: ["ignore", "pipe", "pipe"] }
  )

const exitCodeOf = async (child: ChildProcess): Promise<unknown> => (await once(child, "exit"))[0] as unknown
const firstLineOf = async (stream: Readable): Promise<string> =>
  String((await once(createInterface({ input: stream }), "line"))[0])

describe("tau simulate", () => {
  it.each(["SIGINT", "SIGTERM"] as const)("says where it listens, serves, and ends well on %s", async (signal) => {
    const child = start({ answersPath: "examples/data/gsm8k.simulated.json" })
    const line = await firstLineOf(child.stdout)
    const [, url] =
      /^simulated model listening on (http:\/\/127\.0\.0\.1:\d+\/v1) \(sim\/arithmetic, sim\/gsm8k; not a real model\)$/
        .exec(line) ?? assert.fail(line)
    assert.strictEqual((await fetch(`${url}/models`)).status, 200)
    child.kill(signal)
    assert.strictEqual(await exitCodeOf(child), 0)
  })

  it("exits with 2 and one line when the behaviour file cannot be used", async () => {
    const child = start({ answersPath: "none.json" })
    const [code, stderr] = await Promise.all([exitCodeOf(child), text(child.stderr)])
    assert.deepStrictEqual([code, stderr], [
      2,
      "tau: none.json: file: expected a file that can be read (no such file or folder), found \"none.json\"\n"
    ])
  })
})
