import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { tau } from "./tau.js"

describe("reading what a failed agent left", { timeout: 120_000 }, () => {
  it("shows the end of what a failed agent said on standard error, without an empty line after it", () => {
    const away = mkdtempSync(join(tmpdir(), "tau-test-"))
    try {
      const executor = { kind: "command", command: ["sh", "-c", "echo no such room >&2; exit 2"] }
      const failing = { optimize: [{ prompt: "A room?", expected: "1" }], executor, max_attempts: 1 }
      writeFileSync(join(away, "a.json"), JSON.stringify(failing))
      const { stdout } = tau(["--model=sim/arithmetic", "--prompt-optimization-config=a.json"], {}, away)
      const [id = ""] = /run-0001-\w+-train-0001/.exec(stdout) ?? []
      assert.include(
        tau(["rollout", id], {}, away).stdout,
        "\n  end of its standard error\n    no such room\n\n  It made no model calls.\n"
      )
    } finally {
      rmSync(away, { recursive: true, force: true })
    }
  })
})
