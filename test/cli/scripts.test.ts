import { describe, expect, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { checkConfig } from "../../src/cli/ConfigFile.js"
import { aliases } from "../../src/cli/flags.js"
import { root } from "./tau.js"

const scratch = mkdtempSync(join(tmpdir(), "tau-scripts-"))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const run = (script: string, ...args: ReadonlyArray<string>) =>
  spawnSync(join(root, "scripts/dev", script), args, { cwd: root, encoding: "utf8" })

describe("the pages made from the program", () => {
  it("are what the program says; scripts/dev/docs.mjs writes them again", () => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, "scripts/dev/docs.mjs"), "--check"], {
      encoding: "utf8"
    })
    expect([status, stderr]).toEqual([0, ""])
  })

  it("show a config that is right", () => {
    const page = readFileSync(join(root, "docs/configuration.md"), "utf8")
    expect(checkConfig(/```json\n([^`]*)```/.exec(page)![1]!)._tag).toBe("valid")
  })
})

describe("m22-compatibility-alias-validation.sh", () => {
  const script = "m22-compatibility-alias-validation.sh"
  const outputs = (
    folder: string
  ) => ["--output-json", join(scratch, folder, "a/b.json"), "--output-md", join(scratch, folder, "c/d.md")]
  const report = (folder: string) =>
    JSON.parse(readFileSync(join(scratch, folder, "a/b.json"), "utf8")) as {
      readonly commands: ReadonlyArray<{ readonly name: string; readonly status: string }>
      readonly summary: { readonly failed: number }
    }

  it("passes for this repository and writes the evidence", () => {
    const { status, stdout } = run(
      script,
      "--repo-root",
      root,
      ...outputs("good"),
      "--generated-at",
      "2026-01-31T12:00:00Z",
      "--quiet"
    )
    expect([status, stdout]).toEqual([0, ""])
    const total = aliases.size * 3 + 3
    expect(report("good")).toMatchObject({
      schema_version: 1,
      generated_at: "2026-01-31T12:00:00Z",
      repo_root: root,
      commands: expect.arrayContaining([{
        name: "alias_train-json_joined",
        cmd: "tau --train-json=true",
        status: "pass",
        stdout_excerpt: expect.stringContaining("deprecated CLI alias '--train-json' detected")
      }]),
      summary: { total, passed: total, failed: 0 }
    })
    const rows = readFileSync(join(scratch, "good/c/d.md"), "utf8").split("\n").filter((line) =>
      line.includes("| pass |")
    )
    expect(rows).toHaveLength(total)
  })

  it("fails when an old name stops working or is not documented", () => {
    const broken = join(scratch, "repository")
    for (const part of ["dist", "docs", "package.json"]) {
      cpSync(join(root, part), join(broken, part), { recursive: true })
    }
    const bundled = join(broken, "dist/bundle")
    for (const name of readdirSync(bundled)) {
      if (name.endsWith(".code")) rmSync(join(bundled, name))
      if (!name.endsWith(".cjs")) continue
      const text = readFileSync(join(bundled, name), "utf8")
      writeFileSync(join(bundled, name), text.replaceAll("\"train-json\"", "\"train-jsonl\""))
    }
    const page = join(broken, "docs/cli.md")
    writeFileSync(page, readFileSync(page, "utf8").replace("`--train-config`", ""))
    const { status, stdout } = run(script, "--repo-root", broken, ...outputs("bad"))
    expect(status).toBe(1)
    expect(stdout).toContain("fail - alias_train-json_separate")
    expect(report("bad").commands.filter((command) => command.status === "fail").map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        "alias_train-json_separate",
        "alias_train-json_joined",
        "warning_snapshot",
        "docs_mention_train-config"
      ])
    )
  })

  it.each([
    [[], "--repo-root is required"],
    [["--repo-root", scratch, ...outputs("none")], "run `npm run build`"],
    [["--repo-root", root, ...outputs("none"), "--generated-at", "today"], "--generated-at: expected a time"],
    [["--bogus"], "--bogus"]
  ])("%j is a usage error", (args, text) => {
    const { status, stderr } = run(script, ...args)
    expect(status).toBe(2)
    expect(stderr).toContain(text)
    expect(stderr).toContain("usage: m22-compatibility-alias-validation.sh")
  })
})
