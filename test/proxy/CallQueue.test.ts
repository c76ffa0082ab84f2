import { assert, describe, it } from "@effect/vitest"
import { Socket } from "node:net"
import { CallQueue } from "../../src/proxy/CallQueue.js"

/** A queue for two, and what becomes of the calls in it. */
const queueOf = (waitMs: number) => {
  const queue = new CallQueue(2, waitMs)
  const told: Array<string> = []
  const socket = new Socket()
  let awaited = () => {}
  const enter = (name: string, ofSocket = socket) =>
    queue.enter(ofSocket, () => told.push(`${name} starts`), () => {
      told.push(`${name} is refused`)
      awaited()
    })
  /** Once a call is refused. */
  const refused = () => new Promise<void>((resolve) => void (awaited = resolve))
  const listeners = () => socket.listenerCount("close") + socket.listenerCount("end")
  return { enter, refused, listeners, before: listeners(), queue, socket, told }
}

describe("CallQueue", () => {
  it("starts the calls that wait in the order in which they came, and each once", () => {
    const { before, enter, listeners, queue, told } = queueOf(60_000)
    assert.deepStrictEqual(["a", "b", "c"].map((name) => enter(name)), [true, true, false])
    for (let n = 0; n < 3; n += 1) queue.startNext()
    queue.refuseAll()
    assert.deepStrictEqual(told, ["a starts", "b starts"])
    assert.strictEqual(listeners(), before, "a connection is kept for many calls")
  })

  it("refuses a call that waits too long, which then takes no place", async () => {
    const { before, enter, listeners, queue, refused, told } = queueOf(5)
    enter("a")
    await refused()
    assert.deepStrictEqual([queue.size, listeners()], [0, before])
    enter("b")
    queue.startNext()
    // Its time begins later than that of the call that has started: when it is over, so is the other's.
    enter("c")
    await refused()
    queue.startNext()
    assert.deepStrictEqual(told, ["a is refused", "b starts", "c is refused"])
  })

  it("refuses all, and holds none of them any longer", () => {
    const { before, enter, listeners, queue, told } = queueOf(60_000)
    enter("a")
    enter("b")
    queue.refuseAll()
    queue.startNext()
    assert.deepStrictEqual(told, ["a is refused", "b is refused"])
    assert.deepStrictEqual([queue.size, listeners()], [0, before])
  })

  it.each(["close", "end"])(
    "forgets a call whose connection is at its %s, before anybody else hears of that",
    (event) => {
      const { enter, queue, socket, told } = queueOf(60_000)
      socket.on(event, () => queue.startNext())
      enter("a")
      enter("b", new Socket())
      socket.emit(event)
      queue.refuseAll()
      assert.deepStrictEqual(told, ["b starts"])
    }
  )
})
