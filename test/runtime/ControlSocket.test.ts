import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { connect, createServer, type Server } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { ControlSocket } from "../../src/runtime/ControlSocket.js"
import { ask } from "../../src/runtime/ControlSocketClient.js"
import { socketPathOf, socketsOf } from "../../src/runtime/ControlSocketFiles.js"
import { announcing } from "../support/runtime.js"
import { scratchFolder } from "../support/store.js"

const listening = (storePath: string, said: Array<string> = []) =>
  Effect.map(
    Layer.build(ControlSocket.layer(storePath).pipe(Layer.provide(announcing(said)))),
    (context) => Context.get(context, ControlSocket)
  )

/** A process number that nobody has. */
const nobody = 2_147_483_646

/** What comes back for raw bytes, up to the close or the first line. */
const exchange = (path: string, bytes: string) =>
  Effect.promise(() =>
    new Promise<string>((resolve) => {
      let text = ""
      const socket = connect(path, () => socket.write(bytes))
      socket.setEncoding("utf8")
      socket.on("data", (chunk: string) => {
        text += chunk
        if (text.includes("\n")) socket.destroy()
      })
      socket.on("error", () => {})
      socket.on("close", () => resolve(text))
    })
  )

describe("ControlSocket", () => {
  it.scopedLive("answers what was registered, for its owner alone, and is gone with its process", () =>
    Effect.gen(function*() {
      const storePath = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.scoped(Effect.gen(function*() {
        const socket = yield* listening(storePath)
        yield* socket.answers("sum", Effect.succeed({ n: 4 }))
        const [file, ...others] = socketsOf(storePath)
        assert.deepStrictEqual(others, [])
        assert.strictEqual(file!.path, socketPathOf(storePath, process.pid))
        assert.strictEqual(statSync(file!.path).mode & 0o777, 0o600)
        assert.deepStrictEqual(yield* ask(file!, "sum", Schema.Struct({ n: Schema.Int })), { n: 4 })
        const wrong = yield* Effect.flip(ask(file!, "sum", Schema.Struct({ n: Schema.String })))
        assert.strictEqual(wrong.reason, "unclear")
        const unknown = yield* Effect.flip(ask(file!, "meaning", Schema.Number))
        assert.strictEqual(
          unknown.message,
          `process ${process.pid} did not answer: this process cannot be asked that; it answers sum`
        )
      }))
      assert.deepStrictEqual(readdirSync(dirname(storePath)), [])
      assert.deepStrictEqual(socketsOf(storePath), [])
    }))

  it.scopedLive("is found by whatever links its store is reached", () =>
    Effect.gen(function*() {
      const storePath = join(yield* scratchFolder, "store.sqlite")
      writeFileSync(storePath, "")
      const link = join(dirname(storePath), "elsewhere.sqlite")
      symlinkSync(storePath, link)
      yield* Effect.scoped(Effect.gen(function*() {
        yield* listening(link)
        assert.deepStrictEqual(socketsOf(storePath).map(({ pid }) => pid), [process.pid])
        assert.deepStrictEqual(socketsOf(link), socketsOf(storePath))
      }))
      assert.deepStrictEqual(socketsOf(link), [])
    }))

  it.scopedLive("survives what is no question, and an answer that breaks down", () =>
    Effect.gen(function*() {
      const storePath = join(yield* scratchFolder, "store.sqlite")
      const socket = yield* listening(storePath)
      yield* socket.answers("doom", Effect.die(new Error("secret of the process")))
      yield* socket.answers("sum", Effect.succeed(4))
      const path = socketPathOf(storePath, process.pid)
      for (
        const bytes of [
          "nonsense\n",
          "{}\n",
          "[1\n",
          `{"version":2,"ask":"sum"}\n`,
          `{"version":1,"ask":"${"x".repeat(99)}"}\n`
        ]
      ) {
        assert.deepStrictEqual(JSON.parse(yield* exchange(path, bytes)), {
          ok: false,
          error: "this is no question of this version"
        })
      }
      assert.strictEqual(yield* exchange(path, "x".repeat(100_000)), "")
      assert.deepStrictEqual(JSON.parse(yield* exchange(path, `{"version":1,"ask":"doom"}\n`)), {
        ok: false,
        error: "the answer broke down"
      })
      assert.deepStrictEqual(JSON.parse(yield* exchange(path, `{"version":1,"ask":"sum"}\n`)), { ok: true, answer: 4 })
    }))

  it.scopedLive("takes the place of sockets that dead processes left, and leaves other files alone", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const storePath = join(folder, "store.sqlite")
      const server = createServer()
      const stale = socketPathOf(storePath, nobody)
      yield* Effect.promise(() => new Promise<void>((resolve) => server.listen(stale, resolve)))
      const own = socketPathOf(storePath, process.pid)
      writeFileSync(own, "left by a process of the same number")
      mkdirSync(join(folder, "precious"))
      const precious = join(folder, "precious", "sock")
      const other = createServer()
      yield* Effect.promise(() => new Promise<void>((resolve) => other.listen(precious, resolve)))
      symlinkSync(precious, socketPathOf(storePath, nobody - 1))
      yield* listening(storePath)
      assert.deepStrictEqual(socketsOf(storePath).map(({ pid }) => pid), [process.pid])
      assert.isFalse(existsSync(stale))
      assert.isTrue(existsSync(precious))
      server.close()
      other.close()
    }))

  it.scopedLive("ends in order where its file cannot be removed, as on a disk that only reads", () =>
    Effect.gen(function*() {
      const storePath = join(yield* scratchFolder, "store.sqlite")
      const path = socketPathOf(storePath, process.pid)
      yield* Effect.scoped(Effect.gen(function*() {
        yield* listening(storePath)
        rmSync(path)
        // Even the user who may remove everything cannot remove this like a file.
        mkdirSync(path)
      }))
      assert.isTrue(existsSync(path))
    }))

  it.scopedLive("is reached through a link where the store's path is too long for a socket", () =>
    Effect.gen(function*() {
      const folder = join(yield* scratchFolder, "d".repeat(120))
      mkdirSync(folder)
      const storePath = join(folder, "store.sqlite")
      const target = yield* Effect.scoped(Effect.gen(function*() {
        const socket = yield* listening(storePath)
        yield* socket.answers("sum", Effect.succeed(4))
        const [file] = socketsOf(storePath)
        assert.isTrue(lstatSync(file!.path).isSymbolicLink())
        assert.isAtMost(Buffer.byteLength(file!.target), 107)
        assert.strictEqual(statSync(dirname(file!.target)).mode & 0o777, 0o700)
        assert.strictEqual(yield* ask(file!, "sum", Schema.Number), 4)
        return file!.target
      }))
      assert.deepStrictEqual(readdirSync(folder), [])
      assert.isFalse(existsSync(dirname(target)))
    }))

  it.scopedLive("takes far sockets of dead processes away with their folders, and nothing else that a link leads to", () =>
    Effect.gen(function*() {
      const storePath = join(yield* scratchFolder, "store.sqlite")
      const link = socketPathOf(storePath, nobody)
      /** What is left in a folder of the system's, which the link of a dead process leads to. */
      const leftIn = (prefix: string, others: ReadonlyArray<string> = []) =>
        Effect.gen(function*() {
          const folder = yield* Effect.acquireRelease(
            Effect.sync(() => mkdtempSync(join(tmpdir(), prefix))),
            (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
          )
          for (const name of others) writeFileSync(join(folder, name), "")
          yield* Effect.acquireRelease(
            Effect.async<Server>((resume) => {
              const server = createServer().listen(join(folder, "sock"), () => resume(Effect.succeed(server)))
            }),
            (server) => Effect.sync(() => server.close())
          )
          symlinkSync(join(folder, "sock"), link)
          yield* Effect.scoped(listening(storePath))
          assert.deepStrictEqual(readdirSync(dirname(storePath)), [])
          return existsSync(folder) ? readdirSync(folder).toSorted() : null
        })
      assert.isNull(yield* leftIn("tau-socket-"))
      assert.deepStrictEqual(yield* leftIn("tau-socket-", ["other"]), ["other"])
      assert.deepStrictEqual(yield* leftIn("another-program-"), ["sock"])
    }))

  it.scopedLive("says so when it cannot listen, and lets the process do its work", () =>
    Effect.gen(function*() {
      const said: Array<string> = []
      yield* listening(join(yield* scratchFolder, "missing", "store.sqlite"), said)
      assert.match(said.join("\n"), /^nobody can ask this process anything: /)
    }))
})
