import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type AddressInfo, createServer } from "node:net"
import { ownHeaders, postJson } from "../../src/http/PostJson.js"
import { type Reply, replying, text } from "../support/answers.js"
import { eventually } from "../support/upstream.js"

const answered = (reply: Reply, bytesMax: number) =>
  Effect.scoped(
    Effect.flatMap(replying(reply), ({ url }) => postJson({ url, headers: {}, body: { a: 1 }, bytesMax }))
  )

describe("A post of JSON", () => {
  it.live("reads an answer as far as the limit, and says whether that was all", () =>
    Effect.gen(function*() {
      const pieces: Reply = ({ response }) => response.write("123", () => response.end("45"))
      for (const reply of [text("12345"), pieces]) {
        assert.deepStrictEqual(yield* answered(reply, 5), { status: 200, text: "12345", isWhole: true })
        assert.deepStrictEqual(yield* answered(reply, 4), { status: 200, text: "1234", isWhole: false })
        assert.deepStrictEqual(yield* answered(reply, 3), { status: 200, text: "123", isWhole: false })
      }
      assert.deepStrictEqual(yield* answered(text("", 500), 0), { status: 500, text: "", isWhole: true })
    }))

  it.live("leaves no connection behind, however long the server would keep it", () =>
    Effect.gen(function*() {
      let isLeft = false
      const server = createServer((socket) => {
        socket.on("close", () => void (isLeft = true))
        socket.once("data", () =>
          socket.write("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=600\r\nContent-Length: 1\r\n\r\n1"))
      })
      yield* Effect.acquireRelease(
        Effect.promise(() =>
          new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
        ),
        () => Effect.sync(() => server.close())
      )
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
      assert.strictEqual((yield* postJson({ url, headers: {}, body: 1, bytesMax: 9 })).text, "1")
      yield* eventually("the end of the connection", Effect.sync(() => isLeft || undefined))
    }).pipe(Effect.scoped))

  it("keeps for itself what would change how its bytes are framed, or that they are JSON", () => {
    const framing = ["connection", "content-length", "expect", "keep-alive", "transfer-encoding", "upgrade"]
    assert.sameMembers([...ownHeaders], ["accept", "content-type", ...framing])
  })
})
