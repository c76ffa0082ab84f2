import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlSchema from "@effect/sql/SqlSchema"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { actionKeyOf, type ControlChange, ControlLifecycle, ControlVerb } from "../domain/Control.js"
import { orStoreError } from "./reading.js"
import type { StoreError } from "./StoreError.js"
import { Writer } from "./Writer.js"
import type { AppliedControl } from "./writer/control.js"

/** One line of the log. Lines are never changed and never removed. */
export class ControlEntry extends Schema.Class<ControlEntry>("ControlEntry")({
  n: Schema.Int,
  atMs: Schema.Int,
  principal: Schema.String,
  action: ControlVerb,
  actionKey: Schema.String,
  /** After the verb; unchanged when it was refused. */
  lifecycleState: ControlLifecycle,
  idempotent: Schema.Literal(0, 1),
  /** The policy's reason code. */
  decision: Schema.String,
  detail: Schema.String
}) {}

/** The control verbs, and the record of who asked for what. */
export class ControlLog extends Context.Tag("tau/store/ControlLog")<ControlLog, {
  /**
   * Carries a verb out on the unfinished run that was started last, in one transaction with its line in the log. Works
   * whether or not there is a run, and whether or not a process works on it: a live one follows at its next heartbeat.
   */
  readonly apply: (
    options: {
      readonly verb: ControlChange
      readonly principal: string
      readonly decision: string
      readonly resourcesVersion: number | null
    }
  ) => Effect.Effect<AppliedControl, StoreError>

  /** Logs a verb that was denied or failed. Answers where that leaves the store: where it was. */
  readonly record: (
    options: {
      readonly verb: ControlVerb
      readonly principal: string
      readonly decision: string
      readonly detail: string
    }
  ) => Effect.Effect<ControlLifecycle, StoreError>

  /** The last lines, newest first. */
  readonly last: (limit: number) => Effect.Effect<ReadonlyArray<ControlEntry>, StoreError>
}>() {
  static readonly layer = Layer.effect(
    ControlLog,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const writer = yield* Writer

      const last = SqlSchema.findAll({
        Request: Schema.Int,
        Result: ControlEntry,
        execute: (limit) => sql`SELECT * FROM control_log ORDER BY n DESC LIMIT ${limit}`
      })

      return ControlLog.of({
        apply: (options) => writer.run("applyControl", { ...options, actionKey: actionKeyOf(options.verb) }),
        record: (options) => writer.run("recordControl", { ...options, actionKey: actionKeyOf(options.verb) }),
        last: (limit) => orStoreError("reading the control log", last(limit))
      })
    })
  )
}
