import { assert, describe, it } from "@effect/vitest"
import type { Call } from "../../src/proxy/Call.js"
import type { Journal, RecordedAnswer } from "../../src/proxy/Journal.js"
import { answerAgain } from "../../src/proxy/Replay.js"

type Controller = Parameters<Call["onResponseData"]>[0] & { readonly rawHeaders: ReadonlyArray<string> }

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
const turns = async (count: number) => {
  for (let n = 0; n < count; n += 1) await turn()
}

const recorded = (more: Partial<RecordedAnswer> = {}): RecordedAnswer => ({
  spanId: "span",
  status: 200,
  contentType: "application/json",
  contentEncoding: null,
  body: Buffer.alloc(200_000, "x"),
  ...more
})

/** Gives the answer to a call, and notes what comes; `heard` is called with each piece, and before the head. */
const replay = async (answer: RecordedAnswer, heard: (controller: Controller, what: string) => void = () => {}) => {
  const came: Array<string> = []
  const seen: { controller?: Controller } = {}
  const hear = (controller: Controller, what: string) => {
    seen.controller = controller
    came.push(what)
    heard(controller, what)
  }
  const call = {
    record: {},
    onRequestStart: (controller: Controller) => hear(controller, "start"),
    onResponseStart: (controller: Controller) => hear(controller, "head"),
    onResponseData: (controller: Controller, piece: Buffer) => hear(controller, String(piece.length)),
    onResponseEnd: (controller: Controller) => hear(controller, "end"),
    onResponseError: (controller: Controller, error: Error) => hear(controller, error.message)
  }
  const journal = { ask: () => Promise.resolve(answer) }
  const intent = { attemptId: "a", method: "POST", path: "/", rolloutId: "r" }
  answerAgain(journal as unknown as Journal, call as unknown as Call, intent as never, null, assert.fail)
  await turns(10)
  return { came, controller: seen.controller! }
}
const whole = ["start", "head", "65536", "65536", "65536", "3392", "end"]

describe("A replay", () => {
  it("gives a large answer in pieces, and ends once, however often it is told to go on", async () => {
    const { came, controller } = await replay(recorded(), (controller) => {
      controller.resume()
      controller.resume()
    })
    controller.resume()
    await turns(3)
    assert.deepStrictEqual(came, whole)
  })

  it("waits for a client that takes no more, also with the end", async () => {
    const { came, controller } = await replay(recorded(), (controller, what) => {
      if (what !== "head" && what !== "end") controller.pause()
    })
    // Paused before the head, which is sent all the same.
    for (let count = 2; count < whole.length; count += 1) {
      assert.deepStrictEqual(came, whole.slice(0, count))
      controller.resume()
      await turns(3)
    }
    assert.deepStrictEqual(came, whole)
  })

  it("waits between the events of a stream that come in one turn", async () => {
    const body = Buffer.from("data: 1\n\ndata: 2\r\n\r\ndata: 3")
    const stream = recorded({ contentType: "Text/Event-Stream", body })
    assert.deepStrictEqual((await replay(stream)).came, ["start", "head", "9", "11", "7", "end"])
    const { came } = await replay(stream, (controller, what) => what === "9" && controller.pause())
    assert.deepStrictEqual(came, ["start", "head", "9"])
  })

  it.each(["start", "head", "65536", "3392"])(
    "says nothing more than that once it is broken off, at: %s",
    async (at) => {
      const { came, controller } = await replay(
        recorded(),
        (controller, what) => what === at && controller.abort(new Error("over"))
      )
      controller.abort(new Error("over again"))
      assert.deepStrictEqual(came, [...whole.slice(0, whole.indexOf(at) + 1), "over"])
    }
  )

  it("cannot be broken off once it has ended", async () => {
    const { came, controller } = await replay(recorded())
    controller.abort(new Error("over"))
    assert.deepStrictEqual(came, whole)
  })

  it("says how long the answer is, unless it is a stream or has no body", async () => {
    const lengthOf = async (answer: RecordedAnswer) => {
      const { rawHeaders } = (await replay(answer)).controller
      return rawHeaders.includes("content-length") ? rawHeaders[rawHeaders.indexOf("content-length") + 1] : null
    }
    assert.strictEqual(await lengthOf(recorded()), "200000")
    assert.isNull(await lengthOf(recorded({ contentType: "text/event-stream" })))
    for (const status of [204, 304]) assert.isNull(await lengthOf(recorded({ status, body: Buffer.alloc(0) })))
  })
})
