/** A version made the latest by a person, against the gate or without one. */
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { existsSync } from "node:fs"
import { dirname } from "node:path"
import { defaultStore, shellWord, storeHint } from "../domain/CommandText.js"
import { actionKeyOf } from "../domain/Control.js"
import { isUnfinished } from "../domain/Lifecycle.js"
import { visible } from "../domain/TerminalText.js"
import type { SearchResult } from "../optimizer/run/SearchResult.js"
import { ControlDenied } from "../runtime/Control.js"
import { FileError } from "../runtime/DurableFile.js"
import * as PolicyCheckpoint from "../runtime/PolicyCheckpoint.js"
import { refuseAbsent } from "../store/ReadOnlyStore.js"
import { ResourceStore } from "../store/ResourceStore.js"
import { totalsOf } from "../store/RowJson.js"
import { type Run, RunReader } from "../store/RunReader.js"
import { RunStanding } from "../store/RunStanding.js"
import { SearchStore } from "../store/SearchStore.js"
import * as Sqlite from "../store/Sqlite.js"
import { CommandFailed } from "./CliError.js"
import { permitted } from "./ControlCommand.js"
import { localPrincipal } from "./Principal.js"
import { runNamed } from "./reading/reading.js"

export interface PromoteMode {
  readonly storePath: string
  readonly runId: string
  readonly reason: string | null
  readonly rbacPolicyPath: string
}

export const run = (mode: PromoteMode) =>
  Effect.gen(function*() {
    const { storePath } = mode
    yield* mayPromote(mode)
    yield* refuseAbsent(storePath)
    return yield* Effect.provide(
      promote(mode),
      Layer.mergeAll(ResourceStore.layer, RunReader.layer, RunStanding.layer, SearchStore.layer).pipe(
        Layer.provide(Sqlite.layer({ path: storePath, kind: "control" }))
      )
    )
  })

/** The policy has no action of its own for a promotion. It moves the same mark as a rollback: whom that is denied may not. */
const mayPromote = ({ rbacPolicyPath, runId, storePath }: PromoteMode) =>
  permitted(
    {
      verb: "rollback",
      principal: localPrincipal(),
      stateDir: dirname(storePath),
      rbacPolicyPath,
      note: `tau promote ${runId}`
    },
    storePath
  ).pipe(
    Effect.catchTag("ControlDenied", ({ decision, principal }) =>
      new ControlDenied({ verb: "promote", principal, decision: `${decision} of ${actionKeyOf("rollback")}` }))
  )

const promote = ({ reason, runId, storePath }: PromoteMode) =>
  Effect.gen(function*() {
    const store = yield* SearchStore
    const run = yield* runNamed(runId, storePath)
    const stored = yield* store.result(run.id)
    if (stored === null) {
      return yield* new CommandFailed({
        detail: `run ${visible(runId)} has no search that has ended; tau report ${visible(runId)}${
          storeHint(storePath)
        } says how it stands`
      })
    }
    const result = JSON.parse(stored) as SearchResult
    const { bestVersion, promotedVersion, seedVersion } = result
    if (bestVersion === null || bestVersion === seedVersion) {
      return yield* new CommandFailed({ detail: `run ${runId} found nothing better than its seed` })
    }
    const promoted = yield* Effect.flatMap(ResourceStore, ({ promoted }) => promoted)
    const version = Option.match(promoted, { onNone: () => null, onSome: (resources) => resources.version })
    const itself = promotedVersion === bestVersion ? `run ${runId} made version ${bestVersion} the latest itself` : null
    const already = new CommandFailed({ detail: itself ?? `version ${bestVersion} is the latest already` })
    if (version === bestVersion) {
      // Whoever promoted it may have been killed before the checkpoint was there, without which nothing goes back to it.
      const isSaved = existsSync(PolicyCheckpoint.versionFile(dirname(storePath), bestVersion))
      if (!isSaved) yield* saveCheckpoint(run, bestVersion, result, dirname(storePath), PolicyCheckpoint.saveOfVersion)
      return yield* already
    }
    if (itself !== null) {
      return yield* new CommandFailed({
        detail: `${itself}; the latest is version ${version} now: ${
          rollbackTo(bestVersion, dirname(storePath))
        } goes back to it`
      })
    }
    // Somebody else may have done so since.
    if (!(yield* store.promote(run.id, bestVersion, localPrincipal(), reason))) return yield* already
    const { run: latestRun } = yield* Effect.flatMap(RunStanding, ({ now }) => now)
    // What a run that is not over would go on from stays its own.
    const isOver = latestRun === null || !isUnfinished(latestRun)
    const save = isOver ? PolicyCheckpoint.save : PolicyCheckpoint.saveOfVersion
    yield* saveCheckpoint(run, bestVersion, result, dirname(storePath), save).pipe(
      Effect.catchTag("FileError", ({ detail, file }) =>
        new FileError({ file, detail: `${detail} (the promotion itself is in the store)` }))
    )
    yield* Console.log(`Version ${bestVersion} is the latest now, by force.`)
    return 0
  })

/** The gate was for the version, or somebody forced it: what is wanted is no promotion once more. */
const rollbackTo = (version: number, stateDir: string): string => {
  const flag = "--prompt-optimization-control"
  return [
    `tau ${flag}-rollback ${shellWord(PolicyCheckpoint.versionFile(stateDir, version))}`,
    ...(stateDir === dirname(defaultStore) ? [] : [`${flag}-state-dir ${shellWord(stateDir)}`])
  ].join(" ")
}

/** What the run itself would have saved, had it promoted the version: what a rollback to it takes. */
const saveCheckpoint = (
  { id, resourcesVersion }: Run,
  version: number,
  { algorithm, spent }: SearchResult,
  stateDir: string,
  save: typeof PolicyCheckpoint.save
) =>
  Effect.gen(function*() {
    const results = yield* Effect.flatMap(RunReader, ({ results }) => results(id))
    const promoted = yield* Effect.flatMap(ResourceStore, ({ promotedAfter }) => promotedAfter(resourcesVersion, id))
    const { cancelled, failed, succeeded } = totalsOf(results)
    const nowMs = yield* Clock.currentTimeMillis
    yield* save(stateDir, {
      checkpoint_version: 1,
      run_id: id,
      policy_state: { resources_version: version },
      optimizer_state: { algorithm, phase: "ended", ...spent },
      global_step: succeeded + failed + cancelled,
      optimizer_step: promoted.length,
      saved_at_unix_seconds: Math.floor(nowMs / 1000)
    })
  })
