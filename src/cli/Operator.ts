/** The dashboard's actions, carried out as the control verbs are. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { existsSync } from "node:fs"
import { StoreAbsent } from "../dashboard/DashboardStore.js"
import { Operator } from "../dashboard/Operator.js"
import { problemOf } from "../dashboard/Problem.js"
import { ask } from "./ControlCommand.js"

export interface OperatorPlace {
  readonly storePath: string
  /** Folder of the control files. */
  readonly stateDir: string
  readonly rbacPolicyPath: string
}

export const operatorOf = ({ rbacPolicyPath, stateDir, storePath }: OperatorPlace) =>
  Layer.succeed(Operator, {
    act: ({ action, principal, reason }) =>
      Effect.gen(function*() {
        // A button is about the store that the page shows. One whose folder was moved away gets no new one in its place.
        if (action !== "refresh" && !existsSync(storePath)) return yield* new StoreAbsent({ path: storePath })
        const verb = action === "refresh" ? "status" : action
        const note = noteOf(action, reason)
        const { detail, idempotent } = yield* ask({ verb, principal, stateDir, rbacPolicyPath, note }, storePath)
        return { status: idempotent && action !== "refresh" ? "unchanged" as const : "done" as const, detail }
      }).pipe(
        Effect.mapError((error) => {
          switch (error._tag) {
            case "ControlDenied":
              return problemOf("denied", error.message)
            case "ControlRefused":
            case "RecoveryGuardrail":
              return problemOf("refused", error.message)
            case "FileError":
            case "StoreAbsent":
            case "StoreError":
              return problemOf("unavailable", error.message)
          }
        })
      )
  })

/** What the log says beside what was done. */
const noteOf = (action: string, reason: string) => `dashboard ${action}${reason === "" ? "" : `: ${reason}`}`
