import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { GateStore } from "../../src/store/GateStore.js"
import { ReflectionStore } from "../../src/store/ReflectionStore.js"
import { ResourceStore } from "../../src/store/ResourceStore.js"
import { RolloutQueue } from "../../src/store/RolloutQueue.js"
import { RolloutStore } from "../../src/store/RolloutStore.js"
import { RunEvents } from "../../src/store/RunEvents.js"
import { RunFindings } from "../../src/store/RunFindings.js"
import { RunStanding } from "../../src/store/RunStanding.js"
import { RunStore } from "../../src/store/RunStore.js"
import { SearchStore } from "../../src/store/SearchStore.js"
import { SpanStore } from "../../src/store/SpanStore.js"
import * as Sqlite from "../../src/store/Sqlite.js"
import { WorkerStore } from "../../src/store/WorkerStore.js"

/** A folder of its own for one test, removed with the scope. */
export const scratchFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tau-test-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** Every store tag over one real SQLite file. */
export const storeAt = (path: string) =>
  Layer.mergeAll(
    RunStore.layer,
    SearchStore.layer,
    ReflectionStore.layer,
    GateStore.layer,
    RunEvents.layer,
    RunFindings.layer,
    RunStanding.layer,
    RolloutQueue.layer,
    RolloutStore.layer,
    SpanStore.layer,
    ResourceStore.layer,
    WorkerStore.layer
  ).pipe(
    Layer.provideMerge(Sqlite.layer({ path, kind: "test" }))
  )

/** Runs a test against a fresh store file. */
export const withStore = <A, E, R>(test: Effect.Effect<A, E, R>) =>
  Effect.flatMap(scratchFolder, (folder) => Effect.provide(test, storeAt(join(folder, "store.sqlite"))))

/** Begins a run of this many questions, unless `changed` says otherwise. */
export const begin = (count: number, changed: Partial<Parameters<typeof RunStore.Service.begin>[0]> = {}) =>
  Effect.flatMap(RunStore, (runs) =>
    runs.begin({
      configHash: "c0ffee",
      config: {},
      configPath: "config.json",
      modelRef: "sim/arithmetic",
      resources: { system_prompt: "Be brief." },
      rollouts: Array.from({ length: count }, (_, n) => ({ mode: "train" as const, input: { prompt: `${n}` } })),
      attemptsMax: 2,
      ...changed
    }))

/** What any reader of the file sees. */
export const rowsOf = <Row>(path: string, sql: string): ReadonlyArray<Row> => {
  const store = new Database(path, { readonly: true })
  try {
    return store.prepare(sql).all() as ReadonlyArray<Row>
  } finally {
    store.close()
  }
}
