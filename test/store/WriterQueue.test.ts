import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import { EventEmitter } from "node:events"
import type { Worker } from "node:worker_threads"
import type { OperationName } from "../../src/store/writer/operations.js"
import type { Batch, SentAhead, ToWriter } from "../../src/store/writer/protocol.js"
import type { AskedSpan } from "../../src/store/writer/requestsAhead.js"
import { WriterQueue } from "../../src/store/WriterQueue.js"

const MB = 1024 * 1024

/** A thread that takes a batch when it is told to, and commits all of it. */
class Thread extends EventEmitter {
  readonly posted: Array<Batch> = []
  readonly sentAhead: Array<SentAhead> = []

  postMessage(message: Exclude<ToWriter, "close">) {
    if ("asked" in message) this.sentAhead.push(message)
    else this.posted.push(message)
  }

  commit(batch: Batch) {
    this.emit("message", JSON.stringify([requestsOf(batch).map(() => [null]), { lost: 0, failure: null }]))
  }
}

const requestsOf = ({ requests }: Batch): ReadonlyArray<readonly [OperationName, { readonly n: number }]> =>
  JSON.parse(requests)

interface Asked {
  readonly operation: OperationName
  readonly size: number
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

/** What each batch had, by the place where it was asked for, with all but the first asked for while that one was under way. */
const batchesOf = async (asked: ReadonlyArray<Asked>) => {
  const thread = new Thread()
  const queue = new WriterQueue(thread as unknown as Worker, new BigInt64Array(1), () => {})
  const told: Array<number> = []
  const ask = ({ operation, size }: Asked, n: number) =>
    queue.push({ operation, input: { n }, nowMs: 0, bodies: [], size, dueAt: 0, done: () => told.push(n) })
  // A call that ends alone leaves at once.
  queue.push({ operation: "closeSpan", input: null, nowMs: 0, bodies: [], size: 0, dueAt: 0, done: () => {} })
  asked.forEach(ask)
  const batches: Array<ReadonlyArray<number>> = []
  for (let at = 0; told.length < asked.length; at++) {
    while (thread.posted.length === at) await nextTurn()
    const batch = thread.posted[at]!
    if (at > 0) batches.push(requestsOf(batch).map(([, { n }]) => n))
    thread.commit(batch)
  }
  assert.deepStrictEqual(told, batches.flat())
  assert.strictEqual(queue.health().waiting, 0)
  assert.strictEqual(queue.health().waitingBytes, 0)
  return batches
}

const begin = { operation: "openSpan", size: 0 } as const
const picture = { operation: "openSpan", size: 3 * MB } as const
const small = { operation: "openSpan", size: 2_000 } as const
const question = { operation: "heartbeatProcess", size: 0 } as const

describe("WriterQueue", () => {
  it("lets small calls pass those whose bodies leave no room beside them", async () => {
    assert.deepStrictEqual(await batchesOf([picture, picture, small, begin, picture]), [[0, 2, 3], [1], [4]])
  })

  it("takes bodies beyond all room one at a time, and small calls with them", async () => {
    const huge = { operation: "openSpan", size: 40 * MB } as const
    assert.deepStrictEqual(await batchesOf([small, huge, small, huge, small]), [[0, 2, 4], [1], [3]])
  })

  it("lets nothing that is no call pass one", async () => {
    assert.deepStrictEqual(await batchesOf([picture, picture, small, question, small]), [[0, 2], [1, 3, 4]])
  })

  it("takes no more at once than five hundred requests, nor than 4 MiB of bodies", async () => {
    const many = await batchesOf(Array.from({ length: 700 }, () => begin))
    assert.deepStrictEqual(many.map(({ length }) => length), [16, 500, 184])
    const half = { operation: "openSpan", size: 2 * MB } as const
    const more = { operation: "openSpan", size: 2 * MB + 1 } as const
    assert.deepStrictEqual(await batchesOf([half, half, half, more]), [[0, 1], [2], [3]])
  })

  it("waits for calls that mostly end at once, but not for long, and tells who comes after the thread's end", async () => {
    const thread = new Thread()
    const queue = new WriterQueue(thread as unknown as Worker, new BigInt64Array(1), () => {})
    const told: Array<boolean> = []
    const ask = (operation: OperationName, dueAt: number) =>
      queue.push({ operation, input: null, nowMs: 0, bodies: [], size: 0, dueAt, done: ({ ok }) => told.push(ok) })
    const later = performance.now() + 60_000
    for (let n = 0; n < 40; n++) assert.isTrue(ask("openSpan", later).cancel())
    ask("openSpan", later)
    ask("heartbeatProcess", 0)
    const deadline = performance.now() + 2_000
    while (thread.posted.length === 0 && performance.now() < deadline) await nextTurn()
    assert.strictEqual(thread.posted.length, 1)
    thread.emit("error", new Error("gone"))
    ask("closeSpan", 0)
    ask("openSpan", later)
    assert.deepStrictEqual(told, [false, false, false, false])
    assert.include(queue.health().failure?.message, "gone")
  })

  const anything = FastCheck.oneof(
    ...[begin, small, question].map((one) => FastCheck.constant(one)),
    FastCheck.integer({ min: 0, max: 9 }).map((mb): Asked => ({ operation: "openSpan", size: mb * MB }))
  )
  it.effect.prop("tells everybody, puts none off for good, and keeps the order that matters", {
    asked: FastCheck.array(anything, { maxLength: 60 })
  }, ({ asked }) =>
    Effect.promise(async () => {
      const order = (await batchesOf(asked)).flat()
      assert.deepStrictEqual(order.toSorted((a, b) => a - b), asked.map((_, n) => n))
      const placeOf = new Map(order.map((n, place) => [n, place]))
      asked.forEach(({ operation, size }, n) => {
        for (let before = 0; before < n; before++) {
          const isPassed = placeOf.get(before)! > placeOf.get(n)!
          if (isPassed) assert.isTrue(operation === "openSpan" && asked[before]!.size > Math.max(size, 64 * 1024))
        }
      })
    }), { fastCheck: { numRuns: 30 } })
})

describe("WriterQueue, of requests whose answers are made", () => {
  const queueOf = () => {
    const thread = new Thread()
    const queue = new WriterQueue(thread as unknown as Worker, new BigInt64Array(1), () => {})
    const push = (done: () => void = () => {}) =>
      queue.push({ operation: "closeSpan", input: null, nowMs: 0, bodies: [], size: 0, dueAt: 0, done })
    const ask = (spanId: string, size = 20_000) =>
      queue.readAhead({ spanId } as AskedSpan, size, () => Buffer.alloc(size, spanId))
    const read = () => void thread.emit("message", "read")
    return { thread, queue, push, ask, read }
  }
  const idsOf = ({ sentAhead }: Thread) => sentAhead.map(({ asked }) => (JSON.parse(asked) as AskedSpan).spanId)

  it("has them read one after another, each with its bytes, as long as no commit waits for the thread", () => {
    const { ask, push, read, thread } = queueOf()
    const [first, second, third] = [ask("a")!, ask("b", 30_000)!, ask("c")!]
    assert.deepStrictEqual(idsOf(thread), ["a"])
    assert.deepStrictEqual(Buffer.from(thread.sentAhead[0]!.bytes), Buffer.alloc(20_000, "a"))
    // The end of a call that is the only one waits for nobody's reading.
    push()
    assert.strictEqual(thread.posted.length, 1)
    read()
    assert.deepStrictEqual(idsOf(thread), ["a"])
    thread.commit(thread.posted[0]!)
    assert.deepStrictEqual(idsOf(thread), ["a", "b"])
    assert.strictEqual(thread.sentAhead[1]!.bytes.byteLength, 30_000)
    assert.deepStrictEqual([first, second, third].map(({ isSent }) => isSent), [true, true, false])
    read()
    assert.deepStrictEqual(idsOf(thread), ["a", "b", "c"])
  })

  it("has none read whose call has ended before", () => {
    const { ask, queue, read, thread } = queueOf()
    ask("a")
    const second = ask("b")!
    const third = ask("c")!
    second.ending()
    third.over()
    read()
    assert.deepStrictEqual(idsOf(thread), ["a"])
    assert.isFalse(second.isSent)
    assert.strictEqual(queue.health().waiting, 0)
    thread.emit("error", new Error("gone"))
    assert.isNull(ask("d"))
  })

  it("has each forgotten once its call is over and its ends are decided, and takes no reading for a commit", () => {
    const { ask, push, queue, read, thread } = queueOf()
    const ahead = ask("a")!
    read()
    assert.strictEqual(queue.health().commits, 0)
    ahead.ending()
    ahead.over()
    push()
    assert.isUndefined(thread.posted[0]!.forgotten)
    ahead.ended()
    thread.commit(thread.posted[0]!)
    push()
    assert.deepStrictEqual(thread.posted[1]!.forgotten, ["a"])
    thread.commit(thread.posted[1]!)
    push()
    assert.isUndefined(thread.posted[2]!.forgotten)
    const later = ask("b")!
    thread.commit(thread.posted[2]!)
    read()
    later.ending()
    later.ended()
    later.ending()
    later.ended()
    push()
    assert.isUndefined(thread.posted[3]!.forgotten)
    later.over()
    thread.commit(thread.posted[3]!)
    push()
    assert.deepStrictEqual(thread.posted[4]!.forgotten, ["b"])
  })

  it("does not take a reading for the end of the store's trouble", () => {
    const { ask, push, queue, read, thread } = queueOf()
    push()
    const failure = { reason: "full", message: "no room" } as const
    thread.emit("message", JSON.stringify([[failure], { lost: 0, failure: null }]))
    assert.deepStrictEqual(queue.health().failure, failure)
    ask("a")
    read()
    assert.deepStrictEqual(queue.health().failure, failure)
  })
})
