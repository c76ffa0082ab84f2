import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Mailbox } from "../../src/runtime/Actor.js"

describe("Mailbox", () => {
  it("hands out what was put in, in order, and is empty then", () => {
    const mailbox = new Mailbox()
    mailbox.offer("pause")
    mailbox.offer("resume")
    assert.strictEqual(mailbox.size, 2)
    assert.deepStrictEqual(mailbox.takeAll(), ["pause", "resume"])
    assert.deepStrictEqual(mailbox.takeAll(), [])
  })

  it("never grows over its capacity: the oldest gives way and is counted, the last word stays", () => {
    const mailbox = new Mailbox()
    for (let n = 0; n < 20; n++) mailbox.offer(n % 2 === 0 ? "pause" : "resume")
    mailbox.offer("drain")
    assert.strictEqual(mailbox.size, mailbox.capacity)
    assert.strictEqual(mailbox.dropped, 21 - mailbox.capacity)
    assert.strictEqual(mailbox.takeAll().at(-1), "drain")
  })

  it.effect("wakes whoever waits, also for what came before the wait, and loses nothing when a wait is given up", () =>
    Effect.gen(function*() {
      const mailbox = new Mailbox()
      const waiting = yield* Effect.fork(mailbox.arrived)
      yield* Effect.yieldNow()
      mailbox.offer("pause")
      yield* Fiber.join(waiting)
      yield* mailbox.arrived
      assert.deepStrictEqual(mailbox.takeAll(), ["pause"])
      const givenUp = yield* Effect.fork(mailbox.arrived)
      yield* Effect.yieldNow()
      assert.strictEqual((yield* Fiber.poll(givenUp))._tag, "None")
      yield* Fiber.interrupt(givenUp)
      mailbox.offer("drain")
      assert.deepStrictEqual(mailbox.takeAll(), ["drain"])
    }))
})
