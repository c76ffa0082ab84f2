import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import { once } from "node:events"
import { createServer, request } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { AnswerBody } from "../../src/proxy/AnswerBody.js"

interface Script {
  /** Sizes of the pieces that are written in each turn of the event loop. */
  readonly turns: ReadonlyArray<ReadonlyArray<number>>
  /** Sizes of the pieces that are held until the end. */
  readonly held: ReadonlyArray<number>
  readonly hasTrailer: boolean
}

const size = FastCheck.oneof(
  { weight: 4, arbitrary: FastCheck.integer({ min: 0, max: 600 }) },
  { weight: 1, arbitrary: FastCheck.constantFrom(15, 16, 255, 256, 4_095, 4_096, 4_097, 70_000) }
)

const script: FastCheck.Arbitrary<Script> = FastCheck.record({
  turns: FastCheck.array(FastCheck.array(size, { maxLength: 12 }), { maxLength: 6 }),
  held: FastCheck.array(size, { maxLength: 3 }),
  hasTrailer: FastCheck.boolean()
})

const turn = () => new Promise<void>((resolve) => void setImmediate(resolve))

const pieceOf = (bytes: number, n: number) => Buffer.alloc(bytes, 97 + n % 26)

const piecesOf = ({ held, turns }: Script) => [...turns.flat(), ...held].map(pieceOf)

/** Answers each request as the next script says, each body chunked unless the request asks for HTTP/1.0. */
const serving = (scripts: ReadonlyArray<Script>, isWritten = () => {}) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      let served = 0
      const server = createServer((incoming, outgoing) => {
        const { hasTrailer, held, turns } = scripts[served]!
        served += 1
        incoming.resume()
        void (async () => {
          outgoing.writeHead(200, { ...hasTrailer && { trailer: "x-checksum" } })
          outgoing.flushHeaders()
          const body = new AnswerBody(outgoing, () => {}, () => {})
          let n = 0
          for (const sizes of turns) {
            for (const bytes of sizes) body.write(pieceOf(bytes, n++))
            await turn()
          }
          for (const bytes of held) body.hold(pieceOf(bytes, n++))
          body.end(hasTrailer ? [["x-checksum", "7"]] : null)
          isWritten()
        })()
      }).listen(0, "127.0.0.1")
      await once(server, "listening")
      return server
    }),
    (server) => Effect.sync(() => void (server.close(), server.closeAllConnections()))
  ).pipe(Effect.map((server) => (server.address() as AddressInfo).port))

/** The chunks of one answer, its trailers, and where it ends; throws where the bytes are no such answer. */
const readChunked = (bytes: Buffer, from: number) => {
  const lineAt = (at: number) => {
    const end = bytes.indexOf("\r\n", at)
    if (end === -1) throw new Error("a line without an end")
    return { text: bytes.toString("latin1", at, end), next: end + 2 }
  }
  let at = bytes.indexOf("\r\n\r\n", from) + 4
  assert.match(bytes.toString("latin1", from, at), /transfer-encoding: chunked/i)
  const chunks: Array<Buffer> = []
  const trailers: Array<string> = []
  for (;;) {
    const line = lineAt(at)
    assert.match(line.text, /^[0-9a-f]+$/)
    const length = Number.parseInt(line.text, 16)
    if (length === 0) {
      at = line.next
      break
    }
    chunks.push(bytes.subarray(line.next, line.next + length))
    assert.strictEqual(bytes.toString("latin1", line.next + length, line.next + length + 2), "\r\n")
    at = line.next + length + 2
  }
  for (;;) {
    const line = lineAt(at)
    at = line.next
    if (line.text === "") return { chunks, trailers, end: at }
    trailers.push(line.text)
  }
}

const ask = "GET / HTTP/1.1\r\nhost: localhost\r\n"

/** All that a client hears that sends this, until its connection is closed. */
const heard = (port: number, sent: string) =>
  Effect.promise(async () => {
    const socket = connect(port, "127.0.0.1")
    const parts: Array<Buffer> = []
    socket.on("data", (part) => parts.push(part)).write(sent)
    await once(socket, "close")
    return Buffer.concat(parts)
  })

describe("The body of an answer", () => {
  it.scopedLive("has the chunks that were written, however they leave, and the next answer after it", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(FastCheck.array(script, { minLength: 1, maxLength: 3 }), (scripts) =>
          Effect.gen(function*() {
            const sent = `${ask}\r\n`.repeat(scripts.length - 1) + `${ask}connection: close\r\n\r\n`
            const bytes = yield* heard(yield* serving(scripts), sent)
            let from = 0
            for (const each of scripts) {
              const answer = readChunked(bytes, from)
              const pieces = piecesOf(each).filter(({ length }) =>
                length > 0
              )
              assert.deepStrictEqual(answer.chunks.map(({ length }) => length), pieces.map(({ length }) => length))
              assert.isTrue(Buffer.concat(answer.chunks).equals(Buffer.concat(pieces)))
              assert.deepStrictEqual(answer.trailers, each.hasTrailer ? ["x-checksum: 7"] : [])
              from = answer.end
            }
            assert.strictEqual(from, bytes.length)
          }).pipe(Effect.scoped, Effect.runPromise))
      )
    ))

  it.scopedLive("is not written over while its client reads nothing", () =>
    Effect.gen(function*() {
      // More than the system holds for a client, in turns of 10 kB.
      const turns = Array.from({ length: 1_500 }, () => [2_500, 2_501, 2_502, 2_503])
      let isWritten = () => {}
      const written = new Promise<void>((resolve) => isWritten = resolve)
      const script = { turns, held: [1], hasTrailer: false }
      const port = yield* serving([script], () => isWritten())
      const bytes = yield* Effect.promise(async () => {
        const socket = connect(port, "127.0.0.1").pause()
        socket.write(`${ask}connection: close\r\n\r\n`)
        await written
        return Buffer.concat(await socket.toArray())
      })
      const { chunks } = readChunked(bytes, 0)
      assert.isTrue(Buffer.concat(chunks).equals(Buffer.concat(piecesOf(script))))
    }))

  it.scopedLive("goes bare to a client that knows no chunks", () =>
    Effect.gen(function*() {
      const script = { turns: [[10, 20], [5_000, 3]], held: [7], hasTrailer: false }
      const bytes = yield* heard(yield* serving([script]), "GET / HTTP/1.0\r\nhost: localhost\r\n\r\n")
      const body = bytes.subarray(bytes.indexOf("\r\n\r\n") + 4)
      assert.isTrue(body.equals(Buffer.concat(piecesOf(script))))
    }))

  it.scopedLive("is dropped when its client has left in the same turn", () =>
    Effect.gen(function*() {
      const ended = yield* Effect.async<boolean>((resume) => {
        const server = createServer((_, outgoing) => {
          outgoing.on("error", (error) => resume(Effect.die(error)))
          outgoing.writeHead(200).flushHeaders()
          const body = new AnswerBody(outgoing, () => {}, () => {})
          body.write(pieceOf(10, 0))
          outgoing.destroy()
          setImmediate(() => resume(Effect.succeed(outgoing.destroyed)))
          server.close()
        }).listen(0, "127.0.0.1", () => {
          request({ port: (server.address() as AddressInfo).port }).on("error", () => {}).end()
        })
      })
      assert.isTrue(ended)
    }))
})
