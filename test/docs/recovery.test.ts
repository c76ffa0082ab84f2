import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import { execSync } from "node:child_process"
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArguments } from "../../src/cli/ParseArguments.js"
import { migrations } from "../../src/store/writer/migrations.js"

const docs = join(import.meta.dirname, "../../docs")
const page = readFileSync(join(docs, "recovery.md"), "utf8")

/** The lines of the page's shell blocks. */
const commands = [...page.matchAll(/^ *```sh\n([^`]*)```/gm)].flatMap(([, block]) =>
  block!.split("\n").map((line) => line.trim()).filter((line) => line !== "")
)

describe("docs/recovery.md", () => {
  it("gives only commands that tau knows, with flags that it takes", () => {
    const ours = commands.filter((line) => line.startsWith("tau "))
    assert.isAtLeast(ours.length, 9)
    for (const line of ours) {
      const parsed = parseArguments(line.split(" ").slice(1), {})
      assert.strictEqual(parsed._tag, "mode", `${line}: ${parsed._tag === "mistake" ? parsed.message : ""}`)
    }
  })

  it("asks the store only what it can answer", () => {
    const store = new Sqlite(":memory:")
    store.function("sha256", (text) => String(text))
    for (const { sql } of migrations) store.exec(sql)
    const questions = commands.flatMap((line) => /"(SELECT [^"]*)"/.exec(line)?.[1] ?? [])
    assert.isAtLeast(questions.length, 4)
    for (const question of questions) assert.doesNotThrow(() => store.prepare(question).all(), question)
    assert.include(page, `PRAGMA application_id = ${0x74617531}`)
    store.close()
  })

  it("takes the write-ahead log along when a damaged store is moved away", () => {
    const moves = commands.filter((line) => line.startsWith("mv ") && line.includes("damaged.sqlite"))
    const folder = mkdtempSync(join(tmpdir(), "tau-test-"))
    const training = join(folder, ".tau/training")
    mkdirSync(training, { recursive: true })
    const live = new Sqlite(join(folder, "live.sqlite"))
    live.pragma("journal_mode = WAL")
    live.exec("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    // As a kill -9 leaves it: all that was committed is in the log.
    for (const end of ["", "-wal"]) {
      copyFileSync(join(folder, `live.sqlite${end}`), join(training, `store.sqlite${end}`))
    }
    live.close()
    execSync(moves.join(" && "), { cwd: folder })
    const damaged = new Sqlite(join(training, "damaged.sqlite"))
    assert.deepStrictEqual(damaged.prepare("SELECT x FROM t").pluck().all(), [1])
    damaged.close()
    assert.deepStrictEqual(readdirSync(training), ["damaged.sqlite"])
    rmSync(folder, { recursive: true, force: true })
  })

  it("counts the rollouts anew as the store does", () => {
    const recount = commands.map((line) => /"(DELETE FROM run_counts; [^"]*)"/.exec(line)?.[1]).find((sql) => sql)!
    const store = new Sqlite(":memory:")
    store.function("sha256", (text) => String(text))
    for (const { sql } of migrations) store.exec(sql)
    const rollout = store.prepare(`INSERT INTO rollouts (id, run_id, mode, ordinal, status, input, input_sha256,
      resources_version, run_at_ms, attempts_max, created_at_ms, owner, lease_until_ms, score)
      VALUES (?, 'run', ?, ?, ?, '{}', 's', 1, 1, 3, 1, ?, ?, ?)`)
    store.pragma("foreign_keys = OFF")
    const statuses = ["queuing", "preparing", "running", "requeuing", "succeeded", "failed", "cancelled", "succeeded"]
    for (const [n, status] of [...statuses, ...statuses].entries()) {
      const held = status === "preparing" || status === "running"
      const score = status === "succeeded" ? n / 8 : null
      rollout.run(`r${n}`, n % 3 === 0 ? "val" : "train", n, status, held ? "w" : null, held ? 1 : null, score)
    }
    const counts = () => store.prepare("SELECT * FROM run_counts ORDER BY mode").all()
    const before = counts()
    assert.strictEqual(before.length, 2)
    store.exec("UPDATE run_counts SET succeeded = 99, score_sum = 7, partial = 5")
    store.exec(recount)
    assert.deepStrictEqual(counts(), before)
    store.close()
  })

  it("puts texts back whole that a dump cuts at a NUL", () => {
    const restore = commands.flatMap((line) => /"(ATTACH [^"]*)"/.exec(line)?.[1] ?? [])
    const folder = mkdtempSync(join(tmpdir(), "tau-test-"))
    const texts = ["4\u00005", "\u0000", "plain", null]
    const made = (name: string, texts: ReadonlyArray<string | null>) => {
      const store = new Sqlite(join(folder, name))
      store.pragma("synchronous = OFF")
      store.function("sha256", (text) => String(text))
      for (const { sql } of migrations) store.exec(sql)
      store.pragma("foreign_keys = OFF")
      const rollout = store.prepare(`INSERT INTO rollouts (id, run_id, mode, ordinal, status, input, input_sha256,
        resources_version, run_at_ms, attempts_max, created_at_ms, output, error)
        VALUES (?, 'run', 'train', ?, 'succeeded', '{}', 's', 1, 1, 3, 1, ?, ?)`)
      const attempt = store.prepare(
        `INSERT INTO attempts (id, rollout_id, n, epoch, worker_id, status, resources_version,
        started_at_ms, error, stderr_tail) VALUES (?, ?, 1, 1, 'w', 'succeeded', 1, 1, ?, ?)`
      )
      const reward = store.prepare(`INSERT INTO rewards (attempt_id, name, rollout_id, value, feedback, created_at_ms)
        VALUES (?, ?, 'r', 1, ?, 1)`)
      for (const [n, text] of texts.entries()) {
        const other = texts[(n + 1) % texts.length]
        rollout.run(`r${n}`, n, text, other)
        attempt.run(`a${n}`, `r${n}`, text, other)
        reward.run("a", `${n}`, text)
      }
      return store
    }
    const all = (store: Sqlite.Database) =>
      [
        "SELECT output, error FROM rollouts ORDER BY id",
        "SELECT error, stderr_tail FROM attempts ORDER BY id",
        "SELECT feedback FROM rewards ORDER BY name"
      ].map((sql) => store.prepare(sql).all())
    const damaged = made("damaged.sqlite", texts)
    const saved = made("store.sqlite", texts.map((text) => text?.split("\u0000")[0] ?? null))
    assert.notDeepEqual(all(saved), all(damaged))
    for (const sql of restore) {
      saved.exec(sql.replace(".tau/training/damaged.sqlite", join(folder, "damaged.sqlite")))
      saved.exec("DETACH damaged")
    }
    assert.deepStrictEqual(all(saved), all(damaged))
    for (const store of [saved, damaged]) store.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it("links only to what is there", () => {
    const anchors = [...page.matchAll(/^## (.+)$/gm)].map(([, title]) =>
      title!.toLowerCase().replaceAll(/[^\w -]/g, "").replaceAll(" ", "-")
    )
    for (const [, file, anchor] of page.matchAll(/\]\(([^)#]*)#?([^)]*)\)/g)) {
      if (file === "") assert.include(anchors, anchor)
      else assert.isTrue(existsSync(join(docs, file!)), file)
    }
  })
})
