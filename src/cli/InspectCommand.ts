/** `tau inspect tree`: what the live processes of a store say of themselves. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { elapsed } from "../domain/Figures.js"
import { columnsMax, safeJson, wrapped } from "../domain/TerminalText.js"
import type { ActorReport } from "../runtime/Actor.js"
import { TreeReport } from "../runtime/ActorTree.js"
import { ask } from "../runtime/ControlSocketClient.js"
import { socketsOf } from "../runtime/ControlSocketFiles.js"
import * as ReadOnlyStore from "../store/ReadOnlyStore.js"
import { type CommandError, CommandFailed } from "./CliError.js"
import { ExitCode } from "./ExitCode.js"

export interface InspectInput {
  readonly storePath: string
  readonly json: boolean
}

/** Exit code 1 when no live process answers. */
export const run = ({ json, storePath }: InspectInput): Effect.Effect<number, CommandError> =>
  Effect.gen(function*() {
    const asked = yield* Effect.forEach(
      socketsOf(storePath),
      (socket) => Effect.either(ask(socket, "tree", TreeReport)),
      { concurrency: 8 }
    )
    const trees = asked.filter(Either.isRight).map(({ right }) => right).toSorted((a, b) =>
      a.startedAtMs - b.startedAtMs
    )
    const unclear = asked.filter(Either.isLeft).map(({ left }) => left).filter(({ reason }) => reason !== "gone")
    for (const { message } of unclear) yield* Console.error(`tau: ${message}`)
    if (trees.length === 0) {
      if (unclear.length > 0) {
        return yield* new CommandFailed({ detail: `no process that works on ${storePath} answers` })
      }
      // One that runs still answers for a store that was moved away.
      yield* ReadOnlyStore.refuseAbsent(storePath)
      return yield* new CommandFailed({ detail: `no live process works on ${storePath}` })
    }
    yield* Console.log(
      json
        ? safeJson({ schema_version: 1, store_path: storePath, processes: trees.map(toJson) }, 2)
        : trees.map(toText).join("\n\n")
    )
    return ExitCode.success
  })

const toJson = (tree: TreeReport) => ({
  kind: tree.kind,
  pid: tree.pid,
  run_id: tree.runId,
  store_path: tree.storePath,
  started_unix_ms: tree.startedAtMs,
  now_unix_ms: tree.nowMs,
  actors: tree.actors.map(({ detail, lastDeath, mailbox, name, restarts, startedAtMs, state, work }) => ({
    name,
    state,
    started_unix_ms: startedAtMs,
    restarts,
    last_death: lastDeath,
    mailbox,
    work: work === null ? null : { rollout_id: work.rolloutId, attempt: work.attempt, since_unix_ms: work.sinceMs },
    detail
  }))
})

const toText = (tree: TreeReport): string => {
  const { actors, kind, nowMs, pid, runId, startedAtMs, storePath } = tree
  const nameWidth = Math.max(...actors.map(({ name }) => name.length), 4)
  const rows = actors.flatMap((actor, n) => {
    const isLast = n === actors.length - 1
    const line = `${isLast ? "└─" : "├─"} ${actor.name.padEnd(nameWidth)}  ${stateText(actor, nowMs)}`.trimEnd()
    const told = tidings(actor, nowMs)
    const whole = [line, ...told].join("  ")
    if (whole.length <= columnsMax) return [whole]
    // What does not fit beside it stands below its name.
    const branch = isLast ? "       " : "│      "
    return [line, ...told.flatMap((text) => wrapped(text, columnsMax - branch.length)).map((text) => branch + text)]
  })
  const title = `${kind}${runId === null ? "" : ` ${runId}`}, process ${pid}, up ${elapsed(nowMs - startedAtMs)}`
  return [title, storePath, ...rows].join("\n")
}

const stateText = ({ mailbox, restarts, startedAtMs, state }: ActorReport, nowMs: number) =>
  [
    state.padEnd(10),
    (startedAtMs === null ? "" : elapsed(nowMs - startedAtMs)).padStart(6),
    `restarts ${restarts}`.padEnd(11),
    mailbox === null ? "" : `mailbox ${mailbox.size}/${mailbox.capacity}`,
    mailbox === null || mailbox.dropped === 0 ? "" : `(${mailbox.dropped} dropped)`
  ].filter((text) => text !== "").join("  ")

const tidings = ({ detail, lastDeath, work }: ActorReport, nowMs: number) =>
  [
    work === null ? "" : `${work.rolloutId} attempt ${work.attempt} for ${elapsed(nowMs - work.sinceMs)}`,
    detail ?? "",
    lastDeath === null ? "" : `last death: ${lastDeath}`
  ].filter((text) => text !== "")
