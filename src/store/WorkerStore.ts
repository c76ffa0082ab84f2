import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { type RunId, WorkerId } from "../domain/Ids.js"
import { StoreProcess } from "./Sqlite.js"
import type { StoreError } from "./StoreError.js"
import { Writer } from "./Writer.js"

/** The workers of this process. One that comes back after a crash is a stranger with a new id. */
export class WorkerStore extends Context.Tag("tau/store/WorkerStore")<WorkerStore, {
  /** Registers a worker under an id never used before, until the scope closes. */
  readonly register: (runId: RunId) => Effect.Effect<WorkerId, StoreError, Scope.Scope>
}>() {
  static readonly layer = Layer.effect(
    WorkerStore,
    Effect.gen(function*() {
      const writer = yield* Writer
      const { id: processId } = yield* StoreProcess
      let registered = 0
      return WorkerStore.of({
        register: (runId) =>
          Effect.acquireRelease(
            Effect.suspend(() => {
              registered += 1
              const workerId = WorkerId.make(`${processId}/${registered}`)
              return Effect.as(writer.run("startWorker", { workerId, processId, runId }), workerId)
            }),
            (workerId) => Effect.ignore(writer.run("endWorker", { workerId }))
          )
      })
    })
  )
}
