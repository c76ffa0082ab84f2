/** The dashboard's actions, carried out as the control verbs are. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
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
      ask(
        {
          verb: action === "refresh" ? "status" : action,
          principal,
          stateDir,
          rbacPolicyPath,
          note: noteOf(action, reason)
        },
        storePath
      ).pipe(
        Effect.map(({ detail, idempotent }) => ({
          status: idempotent && action !== "refresh" ? "unchanged" as const : "done" as const,
          detail
        })),
        Effect.mapError((error) => {
          switch (error._tag) {
            case "ControlDenied":
              return problemOf("denied", error.message)
            case "ControlRefused":
            case "RecoveryGuardrail":
              return problemOf("refused", error.message)
            case "FileError":
            case "StoreError":
              return problemOf("unavailable", error.message)
          }
        })
      )
  })

/** What the log says beside what was done. */
const noteOf = (action: string, reason: string) => `dashboard ${action}${reason === "" ? "" : `: ${reason}`}`
