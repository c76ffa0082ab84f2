/** `policy-checkpoint.json` and its predecessor: what a crashed run falls back on, and what a rollback goes back to. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { readJson, text } from "./ControlFiles.js"
import { FileError, readText, replace } from "./DurableFile.js"

const JsonObject = Schema.Record({ key: Schema.String, value: Schema.Unknown })

export const PolicyCheckpoint = Schema.Struct({
  checkpoint_version: Schema.Literal(1),
  run_id: Schema.NonEmptyString,
  /** `resources_version` names the version in the store that a rollback to this checkpoint makes the latest. */
  policy_state: JsonObject,
  optimizer_state: JsonObject,
  global_step: Schema.NonNegativeInt,
  optimizer_step: Schema.NonNegativeInt,
  saved_at_unix_seconds: Schema.NonNegativeInt
})
export type PolicyCheckpoint = typeof PolicyCheckpoint.Type

const primaryFile = (stateDir: string) => join(stateDir, "policy-checkpoint.json")
const fallbackFile = (stateDir: string) => join(stateDir, "policy-checkpoint.rollback.json")
/** What a rollback to this version takes. */
export const versionFile = (stateDir: string, version: number): string =>
  join(stateDir, `policy-checkpoint.version-${version}.json`)

/** A checkpoint that must be there. */
export const read = (file: string): Effect.Effect<PolicyCheckpoint, FileError> =>
  Effect.filterOrFail(
    readJson(file, PolicyCheckpoint),
    (checkpoint) => checkpoint !== null,
    () => new FileError({ file, detail: "there is no such checkpoint" })
  )

/** The checkpoint that a rollback names. Who gives the number of a version is told its file. */
export const named = (file: string, stateDir: string): Effect.Effect<PolicyCheckpoint, FileError> =>
  Effect.mapError(read(file), (error) => {
    const version = /^v?0*([1-9]\d*)$/i.exec(file)?.[1]
    if (version === undefined) return error
    const its = versionFile(stateDir, Number(version))
    return new FileError({
      file,
      detail: `${error.detail}; ${
        existsSync(its) ? `that of a version is ${its}` : `version ${version} has none either`
      }`
    })
  })

/** The version that a checkpoint stands for. Whether the store has it, only the store can say. */
export const resourcesVersionOf = (file: string, checkpoint: PolicyCheckpoint): Effect.Effect<number, FileError> => {
  const version = checkpoint.policy_state["resources_version"]
  return Schema.is(PositiveInt)(version) ? Effect.succeed(version) : new FileError({
    file,
    detail: `policy_state.resources_version must be a whole number greater than 0, found ${
      JSON.stringify(version) ?? "nothing"
    }`
  })
}

const PositiveInt = Schema.Int.pipe(Schema.positive())

export interface Found {
  readonly source: "primary" | "fallback"
  readonly checkpoint: PolicyCheckpoint
  /** Why the primary was passed over. */
  readonly diagnostics: ReadonlyArray<string>
}

/** The primary checkpoint, else its predecessor; fails with both reasons when neither can be read. */
export const load = (stateDir: string): Effect.Effect<Found, FileError> =>
  Effect.matchEffect(read(primaryFile(stateDir)), {
    onSuccess: (checkpoint) => Effect.succeed<Found>({ source: "primary", checkpoint, diagnostics: [] }),
    onFailure: (primary) =>
      Effect.mapBoth(read(fallbackFile(stateDir)), {
        onSuccess: (checkpoint): Found => ({
          source: "fallback",
          checkpoint,
          diagnostics: [`primary checkpoint: ${primary.message}`]
        }),
        onFailure: (fallback) =>
          new FileError({
            file: stateDir,
            detail: `no checkpoint can be read (${primary.message}; ${fallback.message})`
          })
      })
  })

/**
 * Saves a new primary; the one before it becomes the fallback. At every moment at least one of the two is whole: the old
 * primary is copied before it is replaced, and one that cannot be read never takes the place of a good fallback.
 *
 * The same is kept under the name of its version. A run that has ended has saved its last version twice, so that the fallback
 * is of that version too: whoever wants an earlier one back finds it there.
 */
export const save = (stateDir: string, checkpoint: PolicyCheckpoint): Effect.Effect<void, FileError> =>
  Effect.gen(function*() {
    yield* saveOfVersion(stateDir, checkpoint)
    const primary = primaryFile(stateDir)
    const earlier = yield* Effect.option(read(primary))
    const content = earlier._tag === "None" ? null : yield* readText(primary)
    if (content !== null) yield* replace(fallbackFile(stateDir), content)
    yield* replace(primary, text(checkpoint))
  })

/** Only the one under the name of its version: the other two are those of a run that is not over. */
export const saveOfVersion = (stateDir: string, checkpoint: PolicyCheckpoint): Effect.Effect<void, FileError> => {
  const version = checkpoint.policy_state["resources_version"]
  return Schema.is(PositiveInt)(version) ? replace(versionFile(stateDir, version), text(checkpoint)) : Effect.void
}
