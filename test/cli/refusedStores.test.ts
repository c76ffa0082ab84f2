import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { tau } from "./tau.js"

let folder = ""
const read = (...args: ReadonlyArray<string>) => tau(args, {}, folder)
const lines = (text: string) => text.trimEnd().split("\n")

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tau-test-"))
  const config = {
    optimize: [{ prompt: "What is 2 + 2?", expected: "4" }],
    resources: { system_prompt: "Answer with only the final number." }
  }
  writeFileSync(join(folder, "config.json"), JSON.stringify(config))
  const { status, stderr } = read("--model=sim/arithmetic", "--prompt-optimization-config=config.json")
  assert.strictEqual(status, 0, stderr)
}, 120_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

// Each test starts several processes.
describe("asking a store that is not as it should be", { timeout: 60_000 }, () => {
  it("says how to make a search where there is no run yet", () => {
    assert.strictEqual(read("keys", "create", "--store", "bare.sqlite").status, 0)
    for (const command of ["report", "candidates", "lineage"]) {
      assert.deepStrictEqual(read(command, "--store", "bare.sqlite"), {
        status: 1,
        stdout: "",
        stderr: "tau: no runs in bare.sqlite yet; to search: tau --model PROVIDER/MODEL "
          + "--prompt-optimization-config FILE, with an optimizer in FILE\n"
      })
    }
  })

  it("says what is wrong with a store that cannot be read, whoever asks", () => {
    const path = (name: string) => join(folder, name, "store.sqlite")
    const refused = (name: string, ...asked: ReadonlyArray<ReadonlyArray<string>>) => {
      const said = asked.map((command) => {
        const { status, stderr } = read(...command)
        assert.deepStrictEqual([status, lines(stderr).length], [1, 1], `${command.join(" ")}: ${stderr}`)
        return stderr
      })
      assert.deepStrictEqual(said, said.map(() => said[0]!))
      return said[0]!
    }
    const readers = (name: string) => [["runs", "--store", path(name)], ["audit", "verify", "--store", path(name)]]
    const lookers = (name: string) => [
      ["inspect", "tree", "--store", path(name)],
      ["dashboard", "--bind=127.0.0.1:0", "--store", path(name)]
    ]
    const all = (name: string) => [
      ...readers(name),
      ["--prompt-optimization-control-status", "--prompt-optimization-control-state-dir", join(folder, name)]
    ]
    for (const name of ["text", "foreign", "old", "folder/store.sqlite"]) {
      mkdirSync(join(folder, name), { recursive: true })
    }
    assert.include(refused("none", ...readers("none")), `there is no store at ${path("none")}`)
    assert.include(
      refused("folder", ...all("folder"), ...lookers("folder")),
      `${path("folder")} is a folder; give the store's file`
    )
    writeFileSync(path("text"), "not a database, but long enough to look at".repeat(100))
    const noStore = `not a tau store: ${path("text")} is no SQLite file`
    assert.include(refused("text", ...all("text")), noStore)
    // Who would write to it leaves it as it is.
    assert.include(read("keys", "create", "--name", "k", "--store", path("text")).stderr, noStore)
    assert.match(readFileSync(path("text"), "utf8"), /^not a database/)
    writeFileSync(`${path("text")}.initialised`, "")
    assert.include(refused("text", ...all("text")), "damaged")
    new Sqlite(path("foreign")).exec("CREATE TABLE t (x)").close()
    assert.include(refused("foreign", ...all("foreign")), "not a tau store")
    copyFileSync(join(folder, ".tau/training/store.sqlite"), path("old"))
    const old = new Sqlite(path("old"))
    old.exec("DELETE FROM migrations WHERE n = (SELECT max(n) FROM migrations)")
    old.close()
    assert.include(refused("old", ...all("old")), "has an older schema")
  })

  it("tells how a run stands, and verifies the log, where nothing can be written beside the store", () => {
    const sealed = join(folder, "sealed")
    mkdirSync(sealed)
    copyFileSync(join(folder, ".tau/training/store.sqlite"), join(sealed, "store.sqlite"))
    // SQLite cannot open its log under this name, as on a file system that is mounted read-only.
    mkdirSync(join(sealed, "store.sqlite-wal"))
    for (
      const [args, said] of [
        [
          ["--prompt-optimization-control-status", "--prompt-optimization-control-state-dir=sealed"],
          /^status: completed\n/
        ],
        [["audit", "verify", "--store=sealed/store.sqlite"], /^The audit log is intact: 0 rows\.\n/],
        [["audit", "list", "--store=sealed/store.sqlite"], /^No verb was asked for yet\./]
      ] as const
    ) {
      const { status, stderr, stdout } = read(...args)
      assert.deepStrictEqual([status, stderr], [0, ""], args.join(" "))
      assert.match(stdout, said)
    }
  })
})
