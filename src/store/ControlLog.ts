import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { actionKeyOf, type ControlLifecycle } from "../domain/Control.js"
import type { StoreError } from "./StoreError.js"
import { Writer } from "./Writer.js"
import type { AppliedControl, ApplyControl, RecordControl } from "./writer/control.js"

/** The control verbs, each in one transaction with its row in the log. `AuditTrail` reads the log. */
export class ControlLog extends Context.Tag("tau/store/ControlLog")<ControlLog, {
  /**
   * Carries a verb out on the unfinished run that was started last, in one transaction with its line in the log. Works
   * whether or not there is a run, and whether or not a process works on it: a live one follows at its next heartbeat.
   */
  readonly apply: (
    options: Omit<ApplyControl, "actionKey">
  ) => Effect.Effect<AppliedControl, StoreError>

  /** Logs a verb that changed nothing: denied, failed, or a question. Answers where that leaves the store: where it was. */
  readonly record: (
    options: Omit<RecordControl, "actionKey">
  ) => Effect.Effect<ControlLifecycle, StoreError>
}>() {
  static readonly layer = Layer.effect(
    ControlLog,
    Effect.map(Writer, (writer) =>
      ControlLog.of({
        apply: (options) => writer.run("applyControl", { ...options, actionKey: actionKeyOf(options.verb) }),
        record: (options) => writer.run("recordControl", { ...options, actionKey: actionKeyOf(options.verb) })
      }))
  )
}
