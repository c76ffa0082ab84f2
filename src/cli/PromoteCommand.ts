/** A version made the latest by a person, against the gate or without one. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { existsSync } from "node:fs"
import { visible } from "../domain/TerminalText.js"
import type { SearchResult } from "../optimizer/run/Program.js"
import { refuseLost } from "../store/ReadOnlyStore.js"
import { RunReader } from "../store/RunReader.js"
import { SearchStore } from "../store/SearchStore.js"
import * as Sqlite from "../store/Sqlite.js"
import { CommandFailed } from "./CliError.js"
import { localPrincipal } from "./Principal.js"
import { runNamed } from "./reading/reading.js"

export interface PromoteMode {
  readonly storePath: string
  readonly runId: string
  readonly reason: string | null
}

export const run = (mode: PromoteMode) =>
  Effect.gen(function*() {
    const { storePath } = mode
    yield* refuseLost(storePath)
    // What opens a store for writing makes one where there is none.
    if (!existsSync(storePath)) return yield* new CommandFailed({ detail: `there is no store at ${storePath}` })
    return yield* Effect.provide(
      promote(mode),
      Layer.merge(RunReader.layer, SearchStore.layer).pipe(
        Layer.provide(Sqlite.layer({ path: storePath, kind: "control" }))
      )
    )
  })

const promote = ({ reason, runId, storePath }: PromoteMode) =>
  Effect.gen(function*() {
    const store = yield* SearchStore
    const { id } = yield* runNamed(runId, storePath)
    const stored = yield* store.result(id)
    if (stored === null) {
      return yield* new CommandFailed({
        detail: `run ${visible(runId)} has no search that has ended; tau report ${visible(runId)} says how it stands`
      })
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
  })
