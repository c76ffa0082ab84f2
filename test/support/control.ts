import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { RunId } from "../../src/domain/Ids.js"
import { AuditTrail } from "../../src/store/AuditTrail.js"
import { ControlLog } from "../../src/store/ControlLog.js"
import { Writer } from "../../src/store/Writer.js"
import { begin, scratchFolder, storeAt } from "./store.js"

/** The store's tags and those of the control plane over the `store.sqlite` of a folder. */
export const controlStoreIn = (folder: string) =>
  Layer.merge(AuditTrail.layer, ControlLog.layer).pipe(Layer.provideMerge(storeAt(join(folder, "store.sqlite"))))

/** Runs a test with the folder of a fresh store and its control plane. */
export const withControl = <A, E, R>(test: (folder: string) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(scratchFolder, (folder) => Effect.provide(test(folder), controlStoreIn(folder)))

/** A run of this process, which is alive. */
export const beginRun = (count: number, configHash = "c0ffee") =>
  Effect.map(begin(count, { configHash }), ({ runId }) => runId)

/** A run whose process died without a word: its id belongs to a process that has ended. */
export const beginCrashedRun = (count: number) =>
  Effect.gen(function*() {
    const writer = yield* Writer
    const { pid } = spawnSync(process.execPath, ["--version"])
    const processId = `dead/${pid}`
    const runId = yield* beginRun(count)
    yield* writer.run("startProcess", { id: processId, kind: "run", pid })
    yield* writer.run("beginRun", {
      configHash: "c0ffee",
      config: "{}",
      configPath: "config.json",
      modelRef: "sim/arithmetic",
      processId,
      resources: null,
      rollouts: [],
      attemptsMax: 2,
      command: null
    })
    return RunId.make(runId)
  })
