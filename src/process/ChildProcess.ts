/**
 * Child processes with limits: an argv, no shell, in a process group of its own that does not outlive the call.
 *
 * However the call ends, the group ends with it. On a time limit, too much output or interruption the group gets SIGTERM
 * and, if anything of it is left after the grace, SIGKILL. When the leader exits by itself, what it left running in its
 * group gets SIGKILL at once. Should tau itself be killed, the orphan guard ends the group (see `OrphanGuard.ts`). A
 * process that leaves the group (`setsid`, a daemon) is not followed, but cannot keep the call waiting either.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { type ChildProcess as NodeChild, spawn } from "node:child_process"
import type { Readable } from "node:stream"
import { atMost } from "./atMost.js"
import { ByteTail } from "./ByteTail.js"
import * as OrphanGuard from "./OrphanGuard.js"
import { spawnFailure } from "./SpawnFailure.js"

export interface Command {
  /** Looked up in the `PATH` of `env`; a relative path starts at `cwd`. */
  readonly argv: readonly [string, ...ReadonlyArray<string>]
  readonly cwd: string
  /** All of the child's environment; nothing of ours is added. */
  readonly env: Readonly<Record<string, string>>
  /** Text on standard input, empty by default. A child that does not read it is no error. */
  readonly stdin?: string
  /** Most bytes kept of standard output; more is an error. `discard` connects it to nothing. */
  readonly stdoutBytesMax: number | "discard"
  /** Keeps the end of standard error, 4,096 bytes by default: for who wants to have it also of a child that was interrupted. */
  readonly stderr?: ByteTail
  /** None by default. */
  readonly timeLimit?: Duration.DurationInput
  /** Between SIGTERM and SIGKILL: two seconds by default. */
  readonly grace?: Duration.DurationInput
}

/** A child that ended by itself. One of `exitCode` and `signal` is null. */
export interface Finished {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderrTail: string
}

/**
 * There is no child: the command does not exist, say. `transient` when the machine was short of something, `refused` for what the
 * child was to be given.
 */
export class SpawnFailed extends Schema.TaggedError<SpawnFailed>()("SpawnFailed", {
  detail: Schema.String,
  transient: Schema.Boolean,
  refused: Schema.Boolean
}) {
  override get message() {
    return this.detail
  }
}

/** It ran for longer than its limit. Its group has been stopped. */
export class TimedOut extends Schema.TaggedError<TimedOut>()("TimedOut", {
  limitMs: Schema.Number,
  stderrTail: Schema.String
}) {
  override get message() {
    return `it ran for longer than ${this.limitMs / 1000} s and was stopped`
  }
}

/** It printed more than is kept. Its group has been stopped. */
export class OutputTooLarge extends Schema.TaggedError<OutputTooLarge>()("OutputTooLarge", {
  limitBytes: Schema.Number,
  stderrTail: Schema.String
}) {
  override get message() {
    return `it printed more than ${this.limitBytes} bytes and was stopped`
  }
}

/** Runs the command to its end. Interrupting it stops the child's whole group before it returns. */
export const run = (command: Command): Effect.Effect<Finished, SpawnFailed | TimedOut | OutputTooLarge> =>
  Effect.scoped(Effect.gen(function*() {
    const child = yield* Effect.acquireRelease(start(command), (child) => stop(child, command.grace ?? "2 seconds"))
    const tooLarge = () => new OutputTooLarge({ limitBytes: child.stdoutBytesMax, stderrTail: child.stderr.text() })
    const { code, signal } = yield* Deferred.await(child.exit).pipe(
      Effect.raceFirst(Effect.flatMap(Deferred.await(child.overflow), () => Effect.fail(tooLarge()))),
      (exit) => command.timeLimit === undefined ? exit : limited(exit, command.timeLimit, child)
    )
    // What the leader printed is in the pipes; only a process outside the group can hold them open for longer.
    yield* Effect.timeoutOption(Deferred.await(child.drained), drainLimit)
    if (yield* Deferred.isDone(child.overflow)) return yield* tooLarge()
    return { exitCode: code, signal, stdout: Buffer.concat(child.stdout), stderrTail: child.stderr.text() }
  }))

/** Bytes kept of the end of standard error. */
export const stderrBytesMax = 4096
const drainLimit = Duration.millis(500)
const killLimit = Duration.seconds(5)

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

interface Child {
  readonly process: NodeChild
  readonly group: number
  readonly stdout: Array<Buffer>
  readonly stdoutBytesMax: number
  readonly stderr: ByteTail
  readonly exit: Deferred.Deferred<Ended>
  readonly drained: Deferred.Deferred<void>
  readonly overflow: Deferred.Deferred<void>
  /** Set while the group has its grace: the leader's exit is not the end then. */
  stopping: boolean
}

const limited = <A, E>(exit: Effect.Effect<A, E>, limit: Duration.DurationInput, child: Child) =>
  Effect.timeoutFail(exit, {
    duration: limit,
    onTimeout: () => new TimedOut({ limitMs: Duration.toMillis(limit), stderrTail: child.stderr.text() })
  })

const start = (command: Command): Effect.Effect<Child, SpawnFailed> =>
  Effect.gen(function*() {
    const exit = yield* Deferred.make<Ended>()
    const drained = yield* Deferred.make<void>()
    const overflow = yield* Deferred.make<void>()
    return yield* Effect.async<Child, SpawnFailed>((resume) => {
      const [file, ...args] = command.argv
      const failed = (cause: unknown) => resume(Effect.fail(new SpawnFailed(spawnFailure(command, cause))))
      let node: NodeChild
      try {
        node = spawn(file, args, {
          cwd: command.cwd,
          detached: true,
          env: command.env,
          stdio: ["pipe", command.stdoutBytesMax === "discard" ? "ignore" : "pipe", "pipe"]
        })
      } catch (cause) {
        return failed(cause)
      }
      // Later errors (a refused signal, say) change nothing: the exit is what counts.
      node.on("error", failed)
      if (node.pid === undefined) return
      const child: Child = {
        process: node,
        group: node.pid,
        stdout: [],
        stdoutBytesMax: command.stdoutBytesMax === "discard" ? 0 : command.stdoutBytesMax,
        stderr: command.stderr ?? new ByteTail(stderrBytesMax),
        exit,
        drained,
        overflow,
        stopping: false
      }
      OrphanGuard.watch(child.group)
      listen(child)
      // EPIPE: the child closed its input or ended without reading it.
      node.stdin?.on("error", () => {})
      node.stdin?.end(command.stdin ?? "")
      resume(Effect.succeed(child))
    })
  })

const listen = (child: Child): void => {
  const { process: node } = child
  let bytes = 0
  node.stdout?.on("data", (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= child.stdoutBytesMax) child.stdout.push(chunk)
    else Deferred.unsafeDone(child.overflow, Exit.void)
  })
  node.stderr?.on("data", (chunk: Buffer) => child.stderr.push(chunk))
  node.once("exit", (code, signal) => {
    if (!child.stopping) {
      signalGroup(child.group, "SIGKILL")
      OrphanGuard.release(child.group)
    }
    Deferred.unsafeDone(child.exit, Exit.succeed({ code, signal }))
  })
  const open = new Set<Readable>([node.stdout, node.stderr].filter((stream) => stream !== null))
  for (const stream of open) {
    stream.on("error", () => {})
    stream.once("close", () => {
      open.delete(stream)
      if (open.size === 0) Deferred.unsafeDone(child.drained, Exit.void)
    })
  }
}

const signalGroup = (group: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(-group, signal)
  } catch {
    // Nobody is left.
  }
}

const stop = (child: Child, grace: Duration.DurationInput): Effect.Effect<void> =>
  Effect.gen(function*() {
    child.stopping = true
    if (!(yield* Deferred.isDone(child.exit))) {
      signalGroup(child.group, "SIGTERM")
      // The pipes close with the last process that cleans up. (Asking for the group itself would also count the dead ones
      // that nobody waits for, as in a container without an init.)
      yield* atMost(grace, Effect.zipRight(Deferred.await(child.exit), Deferred.await(child.drained)))
      signalGroup(child.group, "SIGKILL")
      // Not even SIGKILL ends a process that waits for a dead disk, or that is another user's.
      yield* atMost(killLimit, Deferred.await(child.exit))
      OrphanGuard.release(child.group)
    }
    child.process.stdin?.destroy()
    child.process.stdout?.destroy()
    child.process.stderr?.destroy()
    child.process.unref()
  })
