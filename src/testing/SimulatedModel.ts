/**
 * A model server that speaks OpenAI's API (chat completions, responses, also over a WebSocket, embeddings, models, files) and
 * Anthropic's messages, and is honest about being none: for demos, tests and trying things out.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { closeSync, openSync, writeSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { fileTrouble } from "../domain/FileTrouble.js"
import { arithmeticModel } from "./ArithmeticModel.js"
import type { Behaviour } from "./Behaviour.js"
import { refusal } from "./ChatRequest.js"
import { questionModel } from "./QuestionModel.js"
import { type Faults, type Plan, Reply } from "./Reply.js"
import { ResponsesSocket } from "./ResponsesSocket.js"
import { type Answer, Routes, type ServedAnswer } from "./Routes.js"
import { taskModels } from "./taskWorld/TaskModel.js"

/** How the server answers, and where. Times in milliseconds. */
export interface SimulatedModelOptions {
  /** Answers are a function of this and of what is asked. `"1"` by default. */
  readonly seed?: string | number
  /** `127.0.0.1` by default. */
  readonly host?: string
  /** 0, the default, takes a free port. */
  readonly port?: number
  /** Question-and-answer models to serve beside `sim/arithmetic` and those of the task world; see `loadBehaviour`. */
  readonly behaviours?: ReadonlyArray<Behaviour>
  /** Wait before the first byte of an answer. */
  readonly latencyMs?: number
  /** Wait before each further chunk of a stream. */
  readonly chunkDelayMs?: number
  /**
   * Told of every answer just before its last bytes are sent, so that an answer a client got whole is always in the log: a
   * function, or the path of a file that gets a line of JSON for each.
   */
  readonly log?: string | ((served: ServedAnswer) => void)
  /** Misbehaviour, request by request over HTTP; undefined behaves. What comes over a WebSocket is answered as usual. */
  readonly faults?: Faults
}

/** A simulated model server that listens. */
export interface RunningModel {
  /** OpenAI-compatible base URL, ending in `/v1`. */
  readonly url: string
  readonly port: number
  /** Breaks off what is under way and frees the port. */
  readonly close: () => Promise<void>
}

/** Longest request body, in bytes. */
const requestBytesMax = 32 * 1024 * 1024

const readBody = async (request: IncomingMessage): Promise<Buffer | null> => {
  const chunks: Array<Buffer> = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size <= requestBytesMax) chunks.push(chunk)
    else if (size > 4 * requestBytesMax) return null
  }
  return size > requestBytesMax ? null : Buffer.concat(chunks)
}

const openLog = (log: SimulatedModelOptions["log"]) => {
  if (typeof log !== "string") return { write: log ?? (() => {}), close: () => {} }
  const file = openSync(log, "a")
  return {
    write: (served: ServedAnswer) => void writeSync(file, `${JSON.stringify(served)}\n`),
    close: () => closeSync(file)
  }
}

/** Starts the server and resolves once it listens. Rejects when the address cannot be bound or the log cannot be opened. */
export const startSimulatedModel = async (options: SimulatedModelOptions = {}): Promise<RunningModel> => {
  const seed = String(options.seed ?? 1)
  const behaviours = options.behaviours ?? []
  const models = [
    arithmeticModel(seed),
    ...behaviours.map((behaviour) => questionModel(behaviour, seed)),
    ...taskModels(seed)
  ]
  const routes = new Routes(models, seed)
  const log = openLog(options.log)
  let requests = 0

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const number = requests++
    const body = await readBody(request)
    const asked = {
      number,
      method: request.method ?? "GET",
      path: request.url ?? "/",
      headers: request.headers,
      body: body ?? Buffer.alloc(0)
    }
    const answer: Answer = body === null
      ? refusal(413, "The request body is too large.")
      : await routes.answer(asked)
    const plan: Plan = {
      latencyMs: options.latencyMs ?? 0,
      chunkDelayMs: options.chunkDelayMs ?? 0,
      fault: options.faults?.(asked) ?? {}
    }
    await new Reply(response, plan, log.write).send(answer)
  }

  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy())
  })
  // Connections that have become WebSockets are not the server's any more.
  const sockets = new Set<Socket>()
  server.on("upgrade", (request, duplex, head) => {
    const socket = duplex as Socket
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
    const ask = (body: Buffer) =>
      routes.answer({ number: requests++, method: "POST", path: "/v1/responses", headers: {}, body })
    const { chunkDelayMs = 0, latencyMs = 0 } = options
    ResponsesSocket.accept(request, socket, head, { ask, latencyMs, chunkDelayMs, log: log.write })
  })
  const host = options.host ?? "127.0.0.1"
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject)
      server.listen(options.port ?? 0, host, () => {
        server.off("error", reject)
        resolve()
      })
    })
  } catch (error) {
    log.close()
    throw error
  }
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${port}/v1`,
    port,
    close: () =>
      new Promise((resolve) => {
        if (!server.listening) return resolve()
        server.close(() => {
          log.close()
          resolve()
        })
        server.closeAllConnections()
        for (const socket of sockets) socket.destroy()
      })
  }
}

/** The server could not start: its address is taken, say. */
export class SimulatedModelFailed extends Schema.TaggedError<SimulatedModelFailed>()("SimulatedModelFailed", {
  cause: Schema.Defect
}) {
  override get message() {
    return `the simulated model could not start: ${reasonOf(this.cause)}`
  }
}

const reasonOf = (cause: unknown) => {
  if (!(cause instanceof Error)) return String(cause)
  const { address, code, message, path, port } = cause as NodeJS.ErrnoException & { address?: string; port?: number }
  if (code === "EADDRINUSE" && address !== undefined) {
    return `cannot listen on ${address}:${port}: the port is in use by another process`
  }
  return path === undefined ? message : `${path}: ${fileTrouble({ code, message })}`
}

/** A simulated model server as a service: it lives as long as the scope of its layer. */
export class SimulatedModel extends Context.Tag("tau/testing/SimulatedModel")<SimulatedModel, RunningModel>() {
  /** Starts a server and closes it with the scope. */
  static readonly scoped = (options: SimulatedModelOptions = {}) =>
    Effect.acquireRelease(
      Effect.tryPromise({
        try: () => startSimulatedModel(options),
        catch: (cause) => new SimulatedModelFailed({ cause })
      }),
      (model) => Effect.promise(model.close)
    )

  static readonly layer = (options: SimulatedModelOptions = {}) =>
    Layer.scoped(SimulatedModel, SimulatedModel.scoped(options))
}
