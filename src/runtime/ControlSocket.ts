/**
 * The socket on which a live process answers questions about itself, for other commands of the same user on this machine.
 *
 * It is `<store>.<pid>.sock`, since a proxy and a run may share a store. One JSON object per line each way, answered in
 * order. What can be asked is what the parts of the process have registered.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { chmodSync, mkdtempSync, rmSync, symlinkSync } from "node:fs"
import { createServer, type Server, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Announcer } from "./Announcer.js"
import { farFolderPrefix, removeStale, socketPathOf } from "./ControlSocketFiles.js"

/** The kernel's limit of a socket's path, less the final zero. */
const pathBytesMax = 107
const requestBytesMax = 16 * 1024
export const replyBytesMax = 8 * 1024 * 1024
const connectionsMax = 32
/** A client that says nothing for this long is let go; an answer that takes longer is given up. */
const patienceMs = 5_000

export const Question = Schema.Struct({
  version: Schema.Literal(1),
  ask: Schema.String.pipe(Schema.maxLength(64))
})

export const Answer = Schema.Union(
  Schema.Struct({ ok: Schema.Literal(true), answer: Schema.Unknown }),
  Schema.Struct({ ok: Schema.Literal(false), error: Schema.String })
)
export type Answer = typeof Answer.Type

export class ControlSocket extends Context.Tag("tau/runtime/ControlSocket")<ControlSocket, {
  /** Answers a question for as long as the scope is open. A defect in the answer is told to the client, and no more. */
  readonly answers: (question: string, answer: Effect.Effect<unknown>) => Effect.Effect<void, never, Scope.Scope>
}>() {
  /** Never fails: a process that cannot be asked does its work all the same, and says so. */
  static readonly layer = (storePath: string): Layer.Layer<ControlSocket, never, Announcer> =>
    Layer.scoped(
      ControlSocket,
      Effect.gen(function*() {
        const announcer = yield* Announcer
        const run = Runtime.runPromise(yield* Effect.runtime<never>())
        const answers = new Map<string, Effect.Effect<unknown>>()
        const reply = (line: string): Promise<string> => run(Effect.map(answerTo(line, answers), encoded))
        yield* open(storePath, reply).pipe(
          Effect.catchAll((detail) => announcer.say(`nobody can ask this process anything: ${detail}`))
        )
        return ControlSocket.of({
          answers: (question, answer) =>
            Effect.acquireRelease(
              Effect.sync(() => void answers.set(question, answer)),
              () => Effect.sync(() => void answers.delete(question))
            )
        })
      })
    )
}

const readQuestion = Schema.decodeUnknownEither(Schema.parseJson(Question))

const answerTo = (line: string, answers: ReadonlyMap<string, Effect.Effect<unknown>>): Effect.Effect<Answer> => {
  const question = readQuestion(line)
  if (Either.isLeft(question)) return Effect.succeed(refusal("this is no question of this version"))
  const answer = answers.get(question.right.ask)
  if (answer === undefined) {
    const known = [...answers.keys()].toSorted().join(", ")
    return Effect.succeed(refusal(`this process cannot be asked that; it answers ${known === "" ? "nothing" : known}`))
  }
  return answer.pipe(
    Effect.map((value): Answer => ({ ok: true, answer: value })),
    Effect.timeoutTo({
      duration: patienceMs,
      onSuccess: (value): Answer => value,
      onTimeout: () => refusal("the answer took too long")
    }),
    Effect.catchAllCause(() => Effect.succeed(refusal("the answer broke down")))
  )
}

const refusal = (error: string): Answer => ({ ok: false, error })

const encoded = (answer: Answer): string => {
  const text = JSON.stringify(answer)
  return Buffer.byteLength(text) < replyBytesMax ? text : JSON.stringify(refusal("the answer is too long"))
}

const open = (storePath: string, reply: (line: string) => Promise<string>) =>
  Effect.gen(function*() {
    const path = socketPathOf(storePath, process.pid)
    const place = yield* Effect.acquireRelease(
      Effect.try({ try: () => prepare(storePath, path), catch: describe }),
      ({ folder }) =>
        // Where nothing can be removed any more, as on a failing disk, the next process of the store does it.
        Effect.ignore(Effect.try(() => {
          if (folder !== null) rmSync(folder, { recursive: true, force: true })
          rmSync(path, { force: true })
        }))
    )
    const open = new Set<Socket>()
    yield* Effect.acquireRelease(
      listen(place.socket, (socket) => {
        open.add(socket)
        socket.once("close", () => open.delete(socket))
        converse(socket, reply)
      }),
      (server) =>
        Effect.async<void>((resume) => {
          server.close(() => resume(Effect.void))
          for (const socket of open) socket.destroy()
        })
    )
    if (place.folder !== null) yield* Effect.try({ try: () => symlinkSync(place.socket, path), catch: describe })
  })

/** Where the socket really is. Too long a path is a link to a folder that only we may enter. */
const prepare = (storePath: string, path: string) => {
  removeStale(storePath)
  // Ours by its number: left by a process that died before us.
  rmSync(path, { force: true })
  if (Buffer.byteLength(path) <= pathBytesMax) return { socket: path, folder: null }
  const folder = mkdtempSync(join(tmpdir(), farFolderPrefix))
  return { socket: join(folder, "sock"), folder }
}

const listen = (path: string, onConnection: (socket: Socket) => void): Effect.Effect<Server, string> =>
  Effect.async((resume) => {
    const server = createServer(onConnection)
    server.maxConnections = connectionsMax
    // One that listens goes on whatever becomes of a connection that it could not take.
    server.on("error", (error) => resume(Effect.fail(describe(error))))
    server.listen(path, () => resume(Effect.succeed(server)))
    try {
      // It is bound by now, and nobody has been let in yet.
      chmodSync(path, 0o600)
    } catch {
      // It could not be bound: the error event says why.
    }
    server.unref()
  })

/** Answers line by line, one at a time; a client that sends more than a question may take is cut off. */
const converse = (socket: Socket, reply: (line: string) => Promise<string>): void => {
  let text = ""
  let isAnswering = false
  const next = () => {
    const end = text.indexOf("\n")
    if (isAnswering || end < 0) return
    const line = text.slice(0, end)
    text = text.slice(end + 1)
    isAnswering = true
    void reply(line).then((answer) => {
      isAnswering = false
      if (!socket.destroyed) socket.write(`${answer}\n`)
      next()
    }, () => socket.destroy())
  }
  socket.setEncoding("utf8")
  socket.setTimeout(2 * patienceMs, () => socket.destroy())
  socket.on("error", () => socket.destroy())
  socket.on("data", (chunk: string) => {
    text += chunk
    if (text.length > requestBytesMax) socket.destroy()
    else next()
  })
}

const describe = (error: unknown) => (error instanceof Error ? error.message : String(error))
