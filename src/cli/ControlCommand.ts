/** The control verbs on the command line: which store they mean, and how the answer is told. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { existsSync } from "node:fs"
import { continuing } from "../domain/CommandText.js"
import { actionKeyOf } from "../domain/Control.js"
import { counted } from "../domain/Figures.js"
import { isUnfinished } from "../domain/Lifecycle.js"
import type { RbacDecision } from "../domain/Rbac.js"
import { columnsMax, safeJson, visible } from "../domain/TerminalText.js"
import * as Control from "../runtime/Control.js"
import type { FileError } from "../runtime/DurableFile.js"
import type { RecoveryGuardrail } from "../runtime/Recovery.js"
import * as RuntimeFiles from "../runtime/RuntimeFiles.js"
import * as StatusFile from "../runtime/StatusFile.js"
import { AuditTrail } from "../store/AuditTrail.js"
import { ControlLog } from "../store/ControlLog.js"
import * as ReadOnlyStore from "../store/ReadOnlyStore.js"
import { RunEvents } from "../store/RunEvents.js"
import { RunFindings } from "../store/RunFindings.js"
import { RunStanding, type StandingRun } from "../store/RunStanding.js"
import * as Sqlite from "../store/Sqlite.js"
import { StoreError } from "../store/StoreError.js"
import { suiteOf } from "./BenchmarkInputs.js"
import type { CommandFailed } from "./CliError.js"
import { loadConfig } from "./ConfigFile.js"
import { configHash as hashOf } from "./ConfigHash.js"
import { controlledStore } from "./ControlledStore.js"
import { ExitCode } from "./ExitCode.js"
import type { ControlMode } from "./Mode.js"

type ControlError = Control.ControlDenied | Control.ControlRefused | RecoveryGuardrail | FileError | StoreError

/** Answers on stdout; fails, with exit code 1, when the verb was denied or could not be carried out. */
export const run = (mode: ControlMode): Effect.Effect<number, CommandFailed | ControlError> =>
  Effect.gen(function*() {
    const storePath = yield* controlledStore(mode.stateDir)
    const answer = yield* ask(mode, storePath)
    const place = { path: storePath, present: existsSync(storePath) }
    process.stdout.write(mode.json ? `${safeJson(toJson(answer, place))}\n` : toText(answer, place))
    return ExitCode.success
  })

/** A verb that is asked for; one with a `note` is logged with it, also when it is a question. */
export interface Asked extends Omit<ControlMode, "_tag" | "json"> {
  readonly note?: string
}

/** What the policy says of a verb on the store in this file. A denial is logged, and fails. */
export const permitted = (
  { note, principal, rbacPolicyPath, stateDir, verb }: Omit<Asked, "checkpoint">,
  storePath: string
): Effect.Effect<RbacDecision, Control.ControlDenied | FileError | StoreError> =>
  Effect.gen(function*() {
    // Who may not use the store must not be the one who makes it.
    const deny = (decision: RbacDecision) => {
      const request = { stateDir, principal, decision, note }
      return existsSync(storePath)
        ? Effect.provide(Control.deny(request, verb), writable(storePath))
        : Control.denyWithoutStore(request, verb)
    }
    const decision = yield* Effect.tapErrorTag(
      Control.authorize(rbacPolicyPath, principal, verb),
      "FileError",
      () => Effect.ignore(deny(Control.undecided))
    )
    return decision.allowed ? decision : yield* deny(decision)
  })

/** An answer that says also what continues a run that no process works on. */
interface Answer extends Control.ControlAnswer {
  /** Its config is another than the run was made with, so that its command would start a new run. */
  readonly configChanged: boolean
}

/** Carries out a verb on the store in this file, by way of the policy and the logs. */
export const ask = (mode: Asked, storePath: string): Effect.Effect<Answer, ControlError> =>
  Effect.flatMap(asked(mode, storePath), (answer) => {
    const { detail, run, verb } = answer
    if (run === null || !isAtRest(run) || (verb !== "status" && verb !== "resume")) {
      return Effect.succeed({ ...answer, configChanged: false })
    }
    return Effect.map(hasAnotherConfig(run), (configChanged) => ({
      ...answer,
      configChanged,
      detail: `${detail}; ${
        configChanged
          ? `${run.configPath}, or a file of examples that it names, has changed since, and must be as it was for running it `
            + "to continue the run"
          : continuing(run.configPath, run.restartCommand)
      }`
    }))
  })

/**
 * Of a run that a program began only the program knows, and of a suite's only its command, which has the rest of what was asked.
 * A file that is gone, or neither config nor suite, is another than it was, too.
 */
const hasAnotherConfig = ({ configHash, configPath, modelRef, restartCommand }: StandingRun) =>
  restartCommand === null
    ? Effect.succeed(false)
    : loadConfig(configPath).pipe(
      Effect.map(({ config, folder }) => hashOf(config, modelRef, folder) !== configHash),
      Effect.orElse(() => Effect.as(suiteOf(configPath), false)),
      Effect.orElseSucceed(() => true)
    )

const asked = (mode: Asked, storePath: string): Effect.Effect<Control.ControlAnswer, ControlError> =>
  Effect.gen(function*() {
    const { checkpoint = "", note, principal, stateDir, verb } = mode
    const request = { stateDir, principal, decision: yield* permitted(mode, storePath), note }
    // Who only asks must not be the one who makes the store.
    if (verb === "status") {
      yield* ReadOnlyStore.refuseUnseen(storePath)
      if (note !== undefined && existsSync(storePath)) {
        return yield* Effect.provide(Control.loggedStatus(request), writable(storePath))
      }
      return existsSync(storePath)
        ? yield* Effect.provide(Control.status(request), readable(storePath))
        : yield* Control.statusWithoutStore(request)
    }
    return yield* Control.carryOut({ ...request, ...(verb === "rollback" ? { verb, checkpoint } : { verb }) })
      .pipe(
        Effect.tap(({ run }) => run === null ? Effect.void : StatusFile.followAtRest(storePath, run)),
        Effect.tap(() => RuntimeFiles.followQuietly(storePath)),
        Effect.provide(writable(storePath))
      )
  }).pipe(
    Effect.catchIf(
      (error): error is StoreError => error._tag === "StoreError" && error.reason === "locked",
      (error) => namingHolder(error, storePath)
    )
  )

/** A store that stays locked is often one whose process was stopped in the middle of a commit. */
const namingHolder = (error: StoreError, storePath: string) =>
  Effect.flatMap(RunStanding, ({ now }) => now).pipe(
    Effect.provide(readable(storePath)),
    Effect.map(({ run }) => run?.silence ?? null),
    Effect.orElseSucceed(() => null),
    Effect.flatMap((silence) =>
      silence === null ? error : new StoreError({ ...error, detail: `${error.detail}; ${silence}` })
    )
  )

const readable = (path: string) => RunStanding.layer.pipe(Layer.provide(ReadOnlyStore.layer(path)))

const writable = (path: string) =>
  Layer.mergeAll(AuditTrail.layer, ControlLog.layer, RunEvents.layer, RunFindings.layer, RunStanding.layer).pipe(
    Layer.provide(Sqlite.layer({ path, kind: "control" }))
  )

interface StorePlace {
  readonly path: string
  readonly present: boolean
}

const toJson = (answer: Answer, store: StorePlace) => {
  const { recovery, run: standing } = answer
  return {
    schema_version: 1,
    action: answer.verb,
    action_key: actionKeyOf(answer.verb),
    principal: answer.principal,
    decision: answer.decision,
    lifecycle_state: answer.lifecycleState,
    idempotent: answer.idempotent,
    detail: answer.detail,
    store_path: store.path,
    store_present: store.present,
    run: standing === null ? null : {
      id: standing.id,
      state: standing.state,
      desired: standing.desired,
      live: standing.isLive,
      pid: standing.pid,
      silence: standing.silence,
      crashed: standing.hasCrashed,
      config_path: standing.configPath,
      config_changed: answer.configChanged,
      restart_command: standing.restartCommand,
      total: standing.total,
      succeeded: standing.succeeded,
      failed: standing.failed,
      cancelled: standing.cancelled
    },
    rollback_checkpoint: answer.rollbackCheckpoint,
    resources_version: answer.resourcesVersion,
    recovery_checkpoint_source: recovery?.checkpoint_source ?? null,
    recovery
  }
}

/** One fact per line, within 80 columns; longer values are wrapped under their name. */
const toText = (answer: Answer, store: StorePlace): string => {
  const { lifecycleState, recovery, run: standing } = answer
  const outcome = answer.verb === "status" || hasNoRun(answer)
    ? ""
    : answer.changed
    ? " (done)"
    : answer.idempotent
    ? " (nothing changed)"
    // The first rollback to what is the latest already, say: only where the last verb left the store is another.
    : " (nothing else changed)"
  return [
    `${answer.verb}: ${headline(answer, store)}${outcome}`,
    ...fact("detail", answer.detail),
    ...(standing === null ? [] : [
      // One line, however long: it is to be copied.
      ...(standing.restartCommand === null || !isAtRest(standing) || answer.configChanged
        ? []
        : [`${"  continue".padEnd(indent)}${visible(standing.restartCommand)}`]),
      ...fact("run", `${standing.id}, ${standing.stands}, told to ${standing.desired}`),
      ...fact(
        "rollouts",
        `${standing.total}: ${standing.succeeded} succeeded, ${standing.failed} failed, ${standing.cancelled} cancelled`
      )
    ]),
    ...(recovery === null ? [] : fact(
      "recovery",
      recovery.checkpoint_source === null
        ? "no crash was found"
        : `after a crash, from the ${recovery.checkpoint_source} checkpoint at step ${recovery.checkpoint_global_step}`
    )),
    ...(recovery?.run == null ? [] : fact(
      "found",
      `${recovery.run.finished} of ${
        counted(recovery.run.rollouts, "rollout")
      } finished, ${recovery.run.resumed} to take up again`
        + `, ${recovery.run.requeued} of them to be put back, ${counted(recovery.run.calls_replayed, "call")} replayed`
    )),
    ...(recovery?.diagnostics ?? []).flatMap((line) => fact("note", line)),
    // Where no verb was used it is `running`, which no verb left.
    ...(answer.verb === "status" && lifecycleState !== null && lifecycleState !== "running"
      ? fact(
        "verbs",
        `the last one left ${lifecycleState}${
          standing !== null && isUnfinished(standing) ? "" : "; the next start sets it back"
        }`
      )
      : []),
    ...fact("store", store.present ? store.path : `${store.path} (not there)`)
  ].map((line) => `${line}\n`).join("")
}

/** Unfinished, and no process works on it: no verb can move it, only its own command, which takes up nothing cancelled. */
const isAtRest = (run: StandingRun) => !run.isLive && isUnfinished(run) && run.desired !== "cancel"

/** A verb found no run that it could be about; only where the last verb left the store is another now. */
const hasNoRun = ({ changed, run, verb }: Control.ControlAnswer) =>
  verb !== "status" && verb !== "rollback"
  // What a cancelled run leaves as the latest may be another one, that was completed before.
  && !changed && !(run !== null && isUnfinished(run)) && !(verb === "cancel" && run?.state === "cancelled")

/** In a word or two: of a question how the run stands, of a verb what the store holds now. */
const headline = (answer: Answer, { present }: StorePlace): string => {
  const { lifecycleState, run, verb } = answer
  if (hasNoRun(answer)) return `no run to ${verb}`
  if (verb === "resume" && run !== null && isAtRest(run)) {
    return answer.configChanged ? "its config has changed" : "ready to continue"
  }
  if (verb !== "status") return lifecycleState ?? "unknown"
  if (run === null) return present ? "no run" : "no store"
  if (run.hasCrashed) return "crashed"
  if (isAtRest(run)) return run.desired === "pause" ? "paused, and stopped" : "stopped"
  if (!run.isLive) return run.stands
  if (run.silence !== null) return "stuck"
  return { run: "running", pause: "paused", cancel: "cancelling" }[run.desired]
}

const indent = 12

const fact = (name: string, value: string): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of visible(value).split(" ")) {
    if (line !== "" && indent + line.length + 1 + word.length > columnsMax) {
      lines.push(line)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, line].map((text, index) => `${(index === 0 ? `  ${name}` : "").padEnd(indent)}${text}`)
}
