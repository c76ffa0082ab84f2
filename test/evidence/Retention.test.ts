import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { reportJson } from "../../src/evidence/BenchmarkReport.js"
import type { ReportKind, Retention } from "../../src/evidence/Publication.js"
import { archive, publish, purge } from "../../src/evidence/Retention.js"
import { scratchFolder } from "../support/store.js"

const madeMs = Date.parse("2026-01-15T12:00:00Z")
const dayMs = 86_400_000
const policy: Retention = { policy: "archive-then-purge", retainDays: 90, archiveAfterDays: 30 }
const id = "m24-kept"

const report = (kind: ReportKind = "summary", retention = policy, runId = id) =>
  reportJson(
    kind,
    { runId, generatedAtMs: madeMs, suite: { name: "sums", version: "v1" }, retention },
    { episodes: 4, meanReward: 0.5, meanSafetyPenalty: 0 },
    {}
  )

const put = (root: string, value: ReturnType<typeof report>) =>
  publish(root, { file: "report.json", text: JSON.stringify(value), value })

const active = `.tau/reports/m24/${id}/m24-benchmark-report-summary.json`
const archived = `.tau/reports/archive/m24/2026/01/m24-benchmark-report-${id}-summary.json`

const at = (root: string, days: number, dryRun = false) => ({ root, nowMs: madeMs + days * dayMs, dryRun })
const kinds = (actions: ReadonlyArray<{ readonly kind: string }>) => actions.map(({ kind }) => kind)

describe("retention", () => {
  it.scoped("publishes at the path that the report names, and never replaces another report", () =>
    Effect.gen(function*() {
      const root = yield* scratchFolder
      assert.strictEqual(yield* put(root, report()), active)
      assert.strictEqual(yield* put(root, report()), active)
      const other = { ...report(), note: "another" }
      const refused = yield* Effect.flip(put(root, other))
      assert.include(refused.message, "another report is published")
      assert.deepStrictEqual(JSON.parse(readFileSync(join(root, active), "utf8")), report())
      assert.deepStrictEqual(readdirSync(join(root, dirname(active))), [active.split("/").at(-1)])
      const broken = { ...report(), run_id: "m24-../../escape" }
      assert.match((yield* Effect.flip(put(root, broken))).message, /^report\.json: no valid report: run_id/)
    }))

  it.scoped("takes away what a killed publication of the same report left, and nothing else", () =>
    Effect.gen(function*() {
      const root = yield* scratchFolder
      const folder = join(root, dirname(active))
      const name = active.split("/").at(-1)!
      mkdirSync(folder, { recursive: true })
      const { pid: dead } = spawnSync(process.execPath, ["--version"])
      const kept = [`${name}.${process.pid}.0123abcd.tmp`, `other.json.${dead}.0123abcd.tmp`, `${name}.old.tmp`]
      for (const left of [...kept, `${name}.${dead}.0123abcd.tmp`]) writeFileSync(join(folder, left), "{")
      yield* put(root, report())
      assert.deepStrictEqual(readdirSync(folder).toSorted(), [...kept, name].toSorted())
    }))

  it.scoped("refuses a root that is not there, where nothing would be found", () =>
    Effect.gen(function*() {
      const root = join(yield* scratchFolder, "mistyped")
      const refusals = [
        yield* Effect.flip(put(root, report())),
        yield* Effect.flip(archive(at(root, 30))),
        yield* Effect.flip(purge(at(root, 90)))
      ]
      for (const { message } of refusals) assert.include(message, `: there is no folder ${root}`)
      assert.isFalse(existsSync(root))
    }))

  it.scoped("sweeps what there is while another sweep takes reports away", () =>
    Effect.gen(function*() {
      const root = yield* scratchFolder
      const ids = Array.from({ length: 20 }, (_, n) => `${id}-${n}`)
      yield* Effect.forEach(ids, (runId) => put(root, report("summary", policy, runId)))
      for (const [sweep, days, kind] of [[archive, 30, "archive"], [purge, 90, "purge"]] as const) {
        const swept = yield* Effect.all([sweep(at(root, days)), sweep(at(root, days))], { concurrency: "unbounded" })
        assert.lengthOf(kinds(swept.flat()).filter((found) => found === kind), ids.length)
      }
    }))

  it.scoped("archives after archive_after_days and purges after retain_days, not a millisecond before", () =>
    Effect.gen(function*() {
      const root = yield* scratchFolder
      yield* put(root, report())
      assert.deepStrictEqual(kinds(yield* archive({ ...at(root, 30), nowMs: madeMs + 30 * dayMs - 1 })), ["keep"])
      assert.deepStrictEqual(kinds(yield* archive(at(root, 30, true))), ["archive"])
      assert.isTrue(existsSync(join(root, active)))
      assert.deepStrictEqual(kinds(yield* archive(at(root, 30))), ["archive"])
      assert.isFalse(existsSync(join(root, active)))
      assert.isTrue(existsSync(join(root, archived)))

      assert.deepStrictEqual(kinds(yield* purge({ ...at(root, 90), nowMs: madeMs + 90 * dayMs - 1 })), ["keep"])
      assert.deepStrictEqual(kinds(yield* purge(at(root, 90, true))), ["purge"])
      assert.isTrue(existsSync(join(root, archived)))
      assert.deepStrictEqual(kinds(yield* purge(at(root, 90))), ["purge"])
      assert.isFalse(existsSync(join(root, archived)))
      assert.deepStrictEqual(yield* purge(at(root, 900)), [])
    }))

  it.scoped("keeps retain-only reports for ever, and does not purge what is not archived", () =>
    Effect.gen(function*() {
      const root = yield* scratchFolder
      yield* put(root, report("baseline", { ...policy, policy: "retain-only" }))
      yield* put(root, report())
      assert.deepStrictEqual(yield* purge(at(root, 9_000)), [])
      assert.deepStrictEqual(kinds(yield* archive(at(root, 9_000))).toSorted(), ["archive", "keep"])
    }))

  it.scoped("keeps a retain-only report that somebody put into the archive", () =>
    Effect.gen(function*() {
      const root = yield* scratchFolder
      mkdirSync(join(root, dirname(archived)), { recursive: true })
      writeFileSync(join(root, archived), JSON.stringify(report("summary", { ...policy, policy: "retain-only" })))
      assert.deepStrictEqual(yield* purge(at(root, 9_000)), [
        { kind: "keep", file: archived, detail: "its retention.policy is retain-only" }
      ])
      assert.isTrue(existsSync(join(root, archived)))
    }))

  it.scoped("replaces nothing in the archive, and a dry run says that it would not", () =>
    Effect.gen(function*() {
      const root = yield* scratchFolder
      yield* put(root, report())
      mkdirSync(join(root, dirname(archived)), { recursive: true })
      writeFileSync(join(root, archived), "another")
      for (const dryRun of [true, false]) {
        assert.deepStrictEqual(yield* archive(at(root, 30, dryRun)), [
          { kind: "keep", file: active, detail: `${archived} is there already` }
        ])
      }
      assert.strictEqual(readFileSync(join(root, archived), "utf8"), "another")
      assert.isTrue(existsSync(join(root, active)))
    }))

  it.scoped("says in a dry run that a link stands in the way to the archive, and makes no folder", () =>
    Effect.gen(function*() {
      const root = yield* scratchFolder
      const outside = yield* scratchFolder
      yield* put(root, report())
      assert.deepStrictEqual(kinds(yield* archive(at(root, 30, true))), ["archive"])
      assert.isFalse(existsSync(join(root, ".tau/reports/archive")))
      symlinkSync(outside, join(root, ".tau/reports/archive"))
      for (const dryRun of [true, false]) {
        const [kept] = yield* archive(at(root, 30, dryRun))
        assert.deepInclude(kept, { kind: "keep", file: active })
        assert.include(kept!.detail, "no folder of its own")
      }
      assert.deepStrictEqual(readdirSync(outside), [])
    }))

  it.scoped("leaves alone what is no valid report or not where it says it is", () =>
    Effect.gen(function*() {
      const root = yield* scratchFolder
      const folder = join(root, dirname(archived))
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, "notes.json"), "{}")
      writeFileSync(join(folder, "broken.json"), "{")
      writeFileSync(join(folder, "copy.json"), JSON.stringify(report()))
      writeFileSync(join(folder, "text.txt"), "keep")
      assert.deepStrictEqual(kinds(yield* purge(at(root, 9_000))), ["keep", "keep", "keep"])
      for (const name of ["notes.json", "broken.json", "copy.json", "text.txt"]) {
        assert.isTrue(existsSync(join(folder, name)), name)
      }
      const copy = join(root, dirname(active), "copy.json")
      mkdirSync(dirname(copy), { recursive: true })
      writeFileSync(copy, JSON.stringify(report()))
      assert.deepStrictEqual(kinds(yield* archive(at(root, 9_000))), ["keep"])
      assert.isTrue(existsSync(copy))
    }))

  it.scoped("touches nothing through a link, be it a file, a folder below or .tau/reports itself", () =>
    Effect.gen(function*() {
      const root = yield* scratchFolder
      const outside = yield* scratchFolder
      const precious = join(outside, "precious.json")
      writeFileSync(precious, JSON.stringify(report()))
      mkdirSync(join(root, dirname(archived)), { recursive: true })
      symlinkSync(precious, join(root, archived))
      const months = join(outside, "2027/01")
      mkdirSync(months, { recursive: true })
      writeFileSync(join(months, `m24-benchmark-report-${id}-summary.json`), JSON.stringify(report()))
      symlinkSync(join(outside, "2027"), join(root, ".tau/reports/archive/m24/2027"))
      assert.deepStrictEqual(yield* purge(at(root, 9_000)), [])

      renameSync(join(root, ".tau/reports"), join(outside, "reports"))
      symlinkSync(join(outside, "reports"), join(root, ".tau/reports"))
      for (const sweep of [archive, purge]) {
        const refused = yield* Effect.flip(sweep(at(root, 9_000)))
        assert.include(refused.message, "no folder of its own")
      }
      assert.include((yield* Effect.flip(put(root, report()))).message, "no folder of its own")
      assert.isTrue(existsSync(precious))
      assert.isTrue(existsSync(join(months, `m24-benchmark-report-${id}-summary.json`)))
    }))
})
