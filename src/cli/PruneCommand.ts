import * as SqlClient from "@effect/sql/SqlClient"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { counted } from "../domain/Figures.js"
import { safeJson, visible } from "../domain/TerminalText.js"
import { orStoreError } from "../store/reading.js"
import * as ReadOnlyStore from "../store/ReadOnlyStore.js"
import * as Sqlite from "../store/Sqlite.js"
import { Writer } from "../store/Writer.js"
import { isPrunable } from "../store/writer/prune.js"
import type { CommandError } from "./CliError.js"
import { ExitCode } from "./ExitCode.js"

export interface PruneInput {
  readonly storePath: string
  readonly days: number
  readonly dryRun: boolean
  readonly json: boolean
}

const dayMs = 86_400_000

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`

export const run = ({ days, dryRun, json, storePath }: PruneInput): Effect.Effect<number, CommandError> =>
  Effect.gen(function*() {
    // Who asks for what cannot be there must not be the one who makes the store.
    yield* ReadOnlyStore.refuseAbsent(storePath)
    const beforeMs = (yield* Clock.currentTimeMillis) - days * dayMs
    const before = new Date(beforeMs).toISOString()
    const head = { schema_version: 1, store_path: storePath, before_ms: beforeMs, dry_run: dryRun }
    if (dryRun) {
      const { bytes, calls } = yield* Effect.provide(countBefore(1_000 * beforeMs), ReadOnlyStore.layer(storePath))
      yield* Console.log(
        json
          ? safeJson({ ...head, calls, bytes })
          : `${counted(calls, "captured call")} of before ${before}, of ${
            megabytes(bytes)
          } on the wire, would be deleted from ${visible(storePath)}`
      )
    } else {
      const { bodies, calls, freeBytes } = yield* deleteBefore(1_000 * beforeMs).pipe(
        Effect.provide(Sqlite.layer({ path: storePath, kind: "control" }))
      )
      yield* Console.log(
        json
          ? safeJson({ ...head, calls, bodies, free_bytes: freeBytes })
          : `deleted ${counted(calls, "captured call")} of before ${before} and ${counted(bodies, "body", "bodies")}; `
            + `${megabytes(freeBytes)} of ${visible(storePath)} are free for new calls`
      )
    }
    return ExitCode.success
  })

const countBefore = (beforeUs: number) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const [found] = yield* orStoreError(
      "counting captured calls",
      sql.unsafe<{ readonly calls: number; readonly bytes: number }>(
        `SELECT count(*) AS calls, coalesce(sum(request_bytes + response_bytes), 0) AS bytes FROM spans WHERE ${isPrunable}`,
        [beforeUs]
      )
    )
    return found!
  })

/** Deletes them, and then the bodies that no call has any more. */
export const deleteBefore = (beforeUs: number) =>
  Effect.gen(function*() {
    const writer = yield* Writer
    let calls = 0
    for (let after: number | null = 0; after !== null;) {
      const pruned: { readonly calls: number; readonly after: number | null } = yield* writer.run("pruneCalls", {
        after,
        beforeUs
      })
      calls += pruned.calls
      after = pruned.after
    }
    let bodies = 0
    for (let isLast = false; !isLast;) {
      const pruned = yield* writer.run("pruneBodies", undefined)
      bodies += pruned.bodies
      isLast = pruned.isLast
    }
    return { calls, bodies, freeBytes: yield* writer.run("prunePieces", undefined) }
  })
