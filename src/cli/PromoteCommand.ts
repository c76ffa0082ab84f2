/** A version made the latest by a person, against the gate or without one. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { RunId } from "../domain/Ids.js"
import type { SearchResult } from "../optimizer/run/Program.js"
import { SearchStore } from "../store/SearchStore.js"
import * as Sqlite from "../store/Sqlite.js"
import { CommandFailed } from "./CliError.js"
import { localPrincipal } from "./Principal.js"

export interface PromoteMode {
  readonly storePath: string
  readonly runId: string
  readonly reason: string | null
}

export const run = ({ reason, runId, storePath }: PromoteMode) =>
  Effect.gen(function*() {
    const store = yield* SearchStore
    const id = RunId.make(runId)
    const stored = yield* store.result(id)
    if (stored === null) {
      return yield* new CommandFailed({ detail: `there is no search of a run ${runId} that has ended in ${storePath}` })
    }
    const { bestVersion, promotedVersion, seedVersion } = JSON.parse(stored) as SearchResult
    if (bestVersion === null || bestVersion === seedVersion) {
      return yield* new CommandFailed({ detail: `run ${runId} found nothing better than its seed` })
    }
    if (promotedVersion === bestVersion) {
      return yield* new CommandFailed({ detail: `run ${runId} made version ${bestVersion} the latest itself` })
    }
    yield* store.promote(id, bestVersion, localPrincipal(), reason)
    yield* Console.log(`Version ${bestVersion} is the latest now, by force.`)
    return 0
  }).pipe(
    Effect.provide(SearchStore.layer.pipe(Layer.provide(Sqlite.layer({ path: storePath, kind: "control" }))))
  )
