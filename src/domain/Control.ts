/** The words of the control plane: what an operator may ask of a run, and where that leaves it. */
import * as Schema from "effect/Schema"
import { controlVerbs } from "./Lifecycle.js"

/** One of `controlVerbs`: what an operator asks of a run. */
export const ControlVerb = Schema.Literal(...controlVerbs)
export type ControlVerb = typeof ControlVerb.Type

/** The verbs that may change something; `status` only reads. */
export type ControlChange = Exclude<ControlVerb, "status">

/** Where the last verb left the store. Starting a run sets it back to `running`. */
export const ControlLifecycle = Schema.Literal("running", "paused", "cancelled", "rollback_requested")
export type ControlLifecycle = typeof ControlLifecycle.Type

/** How a verb ended: carried out, denied by the policy, unfit for the run's state, or stopped by something else. */
export const ControlOutcome = Schema.Literal("done", "denied", "refused", "failed")
export type ControlOutcome = typeof ControlOutcome.Type

/** What a policy allows or denies: `control:rl:pause`. */
export const actionKeyOf = (verb: ControlVerb): string => `control:rl:${verb}`
