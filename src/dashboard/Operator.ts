import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Action } from "./Payloads.js"
import type { Problem } from "./Problem.js"

/** What an action did. */
export interface Acted {
  /** `unchanged`: nothing had to change. */
  readonly status: "done" | "unchanged"
  /** In one sentence, without its full stop. */
  readonly detail: string
}

/**
 * Carries out what an operator asks for: the same way, under the same policy and with the same log as the control verbs. The
 * runtime has those, and whoever puts the layers together hands them in here.
 */
export class Operator extends Context.Tag("tau/dashboard/Operator")<Operator, {
  /** Every outcome is in the audit log, denials and refusals too; what cannot be logged is not done. */
  readonly act: (
    request: { readonly action: Action; readonly principal: string; readonly reason: string }
  ) => Effect.Effect<Acted, Problem<"denied"> | Problem<"refused"> | Problem<"unavailable">>
}>() {}
