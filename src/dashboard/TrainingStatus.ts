/** The status file beside the store, read as others read it: it may be missing, old, or not what it should be. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { constants } from "node:fs"
import { open } from "node:fs/promises"
import { dirname, join } from "node:path"
import type { StandingRun } from "../store/RunStanding.js"
import { RunState } from "../store/RunStore.js"
import type { Training } from "./Payloads.js"

const Count = Schema.Int.pipe(Schema.nonNegative())

const StatusFile = Schema.parseJson(Schema.Struct({
  schema_version: Schema.Literal(1),
  updated_unix_ms: Schema.Int,
  run_state: RunState,
  model_ref: Schema.String,
  total_rollouts: Count,
  succeeded: Count,
  failed: Count,
  cancelled: Count
}))
type StatusFile = typeof StatusFile.Type

const bytesMax = 1024 * 1024

/** The `training` of every payload. Where there is no status file, the store's own run is told of, and that it is. */
export const training = (
  storePath: string,
  run: StandingRun | null,
  storeDiagnostics: ReadonlyArray<string>
): Effect.Effect<Training> =>
  Effect.map(read(join(dirname(storePath), "status.json")), ({ path, problem, status }) => {
    const shown = status ?? fromStore(run)
    return {
      status_path: path,
      status_present: status !== null,
      updated_unix_ms: status?.updated_unix_ms ?? null,
      run_state: shown?.run_state ?? null,
      model_ref: shown?.model_ref ?? null,
      store_path: storePath,
      total_rollouts: shown?.total_rollouts ?? 0,
      succeeded: shown?.succeeded ?? 0,
      failed: shown?.failed ?? 0,
      cancelled: shown?.cancelled ?? 0,
      diagnostics: [
        ...(problem === null ? [] : [problem]),
        ...(run?.hasCrashed === true ? [`the process of ${run.id} died; its command continues it`] : []),
        ...(run?.silence == null ? [] : [`${run.id} seems stuck: ${run.silence}`]),
        ...storeDiagnostics
      ]
    }
  })

const fromStore = (run: StandingRun | null) =>
  run === null ? null : {
    run_state: run.statusState,
    model_ref: run.modelRef,
    total_rollouts: run.total,
    succeeded: run.succeeded,
    failed: run.failed,
    cancelled: run.cancelled
  }

interface Found {
  readonly path: string
  readonly status: StatusFile | null
  readonly problem: string | null
}

const read = (path: string): Effect.Effect<Found> =>
  Effect.map(Effect.promise(() => textOf(path)), (text) => {
    if ("problem" in text) return { path, status: null, problem: text.problem }
    return Either.match(Schema.decodeEither(StatusFile)(text.text), {
      onLeft: () => ({ path, status: null, problem: "status.json is not a status of schema version 1" }),
      onRight: (status) => ({ path, status, problem: null })
    })
  })

const textOf = async (path: string): Promise<{ readonly text: string } | { readonly problem: string }> => {
  try {
    // A pipe is opened at once too, and told from a file then.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const stat = await file.stat()
      if (!stat.isFile() || stat.size > bytesMax) return { problem: "status.json is no file of a status" }
      return { text: await file.readFile("utf8") }
    } finally {
      await file.close()
    }
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException
    return {
      problem: code === "ENOENT"
        ? "there is no status.json: no run has used this store's folder"
        : `status.json cannot be read: ${code}`
    }
  }
}
