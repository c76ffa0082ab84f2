import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { hash } from "node:crypto"
import { join } from "node:path"
import { SpanStore } from "../../src/store/SpanStore.js"
import { bodyOf, prose, requestsOf } from "../support/conversation.js"
import { storeBefore } from "../support/olderStore.js"
import { recordCall } from "../support/recordedCall.js"
import { scratchFolder, storeAt, withStore } from "../support/store.js"

const readBack = (body: Uint8Array) =>
  Effect.flatMap(SpanStore, (spans) => spans.payload(hash("sha256", body, "hex"))).pipe(
    Effect.map((found) => Buffer.from(Option.getOrThrow(found)))
  )

/** Commits a request, reads it again, and compares every byte. */
const roundTrip = (body: Uint8Array) =>
  Effect.gen(function*() {
    yield* recordCall({ request: body })
    const back = yield* readBack(body)
    assert.isTrue(back.equals(body), `${back.length} bytes of ${body.length} came back`)
  })

interface Counts {
  readonly recipes: number
  readonly pieces: number
  readonly lists: number
  /** Of bodies and pieces. */
  readonly bytes: number
}

const counts = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) =>
    sql<Counts>`SELECT (SELECT count(*) FROM bodies WHERE form = 'recipe') AS recipes,
    (SELECT count(*) FROM pieces) AS pieces, (SELECT count(*) FROM piece_lists) AS lists,
    (SELECT coalesce(sum(length(content)), 0) FROM bodies) + (SELECT coalesce(sum(length(content)), 0) FROM pieces) AS bytes`
).pipe(Effect.map(([row]) => row!))

/** A request of any content, from one that is too short to be cut to one of many pieces. */
const request = FastCheck.record({
  start: FastCheck.json(),
  messages: FastCheck.array(FastCheck.tuple(FastCheck.nat(3_000), FastCheck.string({ unit: "binary" })), {
    maxLength: 8,
    size: "max"
  }),
  end: FastCheck.json(),
  space: FastCheck.constantFrom(undefined, 2)
}).map(({ end, messages, space, start }) =>
  Buffer.from(JSON.stringify(
    {
      start: JSON.parse(start) as unknown,
      messages: messages.map(([length, seed]) => ({ content: prose(length, `${seed} `) })),
      end: JSON.parse(end) as unknown
    },
    null,
    space
  ))
)

/** Requests with some of their bytes replaced: no longer JSON, nor UTF-8. */
const broken = FastCheck.tuple(request, FastCheck.array(FastCheck.tuple(FastCheck.nat(), FastCheck.nat(255))))
  .map(([body, changes]) => {
    for (const [at, byte] of changes) body[at % body.length] = byte
    return body
  })

describe("payloads", () => {
  it.scopedLive("are read back byte for byte, whatever they are", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const context = yield* Layer.build(storeAt(join(folder, "store.sqlite")))
      yield* Effect.promise(() =>
        FastCheck.assert(
          FastCheck.asyncProperty(
            FastCheck.oneof(request, broken),
            (body) => Effect.runPromise(Effect.provide(roundTrip(body), context))
          ),
          { numRuns: 150 }
        )
      )
      const { recipes } = yield* Effect.provide(counts, context)
      assert.isAbove(recipes, 20)
    }), 120_000)

  it.scopedLive("hold hostile bodies as they came", () =>
    withStore(Effect.gen(function*() {
      const text = prose(5_000, "x")
      const list = JSON.stringify([text, text])
      const bodies = [
        `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`,
        `{"a":${list},"a":${list},"a":1}`,
        `{"a":${list}`,
        `{"a":[${"1,".repeat(100_000)}1]}`,
        `{"a":"${"\\\"".repeat(100_000)}"}`,
        `{"\u0000":${list},"\u0001\uFFFE":${list}}`,
        `{"a":"${"x".repeat(5_000_000)}"}`
      ].map((body) => Buffer.from(body))
      const notUtf8 = (before: string, after: string) =>
        Buffer.concat([Buffer.from(before), Buffer.from([0xff, 0xc3, 0]), Buffer.from(after)])
      bodies.push(notUtf8("{\"a\":[\"", `",${list}]}`), notUtf8("{\"", `":${list}}`))
      for (const body of bodies) yield* roundTrip(body)
      const { recipes } = yield* counts
      // Not the one that is cut off, nor the one with a key that is no text.
      assert.strictEqual(recipes, bodies.length - 2)
    })), 60_000)

  it.scopedLive("cost a conversation what it says, not what it repeats", () =>
    Effect.gen(function*() {
      const stored = (steps: number) =>
        withStore(Effect.gen(function*() {
          const bodies = requestsOf({ steps }).map(bodyOf)
          for (const body of bodies) yield* recordCall({ request: body })
          for (const body of [bodies[0]!, bodies.at(-1)!]) assert.isTrue((yield* readBack(body)).equals(body))
          return { ...yield* counts, longest: bodies.at(-1)!.length }
        }))
      const short = yield* stored(20)
      const long = yield* stored(80)
      assert.isBelow(long.bytes, long.longest * 1.5)
      assert.isBelow(long.bytes / short.bytes, 4.2)
      // Each step has an assistant's message and a tool's answer.
      assert.isAtMost(long.lists, 2 * 80 + 8)
    }), 60_000)

  it.scopedLive("share a message between calls wherever it stands, and between a body and its retry everything", () =>
    withStore(Effect.gen(function*() {
      const [request] = requestsOf({ steps: 5 }).slice(-1)
      const body = bodyOf(request)
      yield* roundTrip(body)
      const before = yield* counts
      yield* roundTrip(body)
      assert.deepStrictEqual(yield* counts, before)

      const [, ...history] = request!["messages"] as ReadonlyArray<unknown>
      const changed = {
        ...request,
        messages: [{ role: "system", content: prose(2_000, "It is five past nine") }, ...history]
      }
      yield* roundTrip(bodyOf(changed))
      const after = yield* counts
      assert.strictEqual(after.pieces, before.pieces + 1)
      assert.isBelow(after.bytes - before.bytes, 3_000)
    })))

  it.scopedLive("are the same pieces for two writers at once", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      const bodies = requestsOf({ steps: 30 }).map(bodyOf)
      const alone = yield* withStore(
        Effect.zipRight(Effect.forEach(bodies, (request) => recordCall({ request })), counts)
      )
      const writing = Effect.forEach(bodies, (request) => recordCall({ request }))
      // Memoized layers would be one writer.
      yield* Effect.all([0, 1].map(() => Effect.provide(writing, Layer.fresh(storeAt(path)))), { concurrency: 2 })
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* counts, alone)
        for (const body of bodies) assert.isTrue((yield* readBack(body)).equals(body))
      }).pipe(Effect.provide(storeAt(path)))
    }))

  it.scopedLive("leave nothing behind when their call cannot be committed", () =>
    withStore(Effect.gen(function*() {
      const empty = yield* counts
      const [request] = requestsOf({ steps: 5 }).slice(-1).map(bodyOf)
      const impossible = recordCall({ request: request!, attemptId: null as never })
      assert.include(yield* Effect.flip(impossible), "NOT NULL")
      assert.deepStrictEqual(yield* counts, empty)
      // In one group with calls that can.
      const outcomes = yield* Effect.all(
        [
          roundTrip(bodyOf({ messages: prose(9_000, "a") })),
          Effect.flip(impossible),
          roundTrip(bodyOf(requestsOf({ steps: 3 })[2]))
        ],
        { concurrency: "unbounded" }
      )
      assert.include(outcomes[1], "NOT NULL")
      yield* roundTrip(request!)
      const sql = yield* SqlClient.SqlClient
      assert.deepStrictEqual(yield* sql`PRAGMA foreign_key_check`, [])
      assert.deepStrictEqual(
        yield* sql`SELECT * FROM bodies, json_each(CAST(bodies.content AS TEXT))
          WHERE form = 'recipe' AND type = 'integer' AND value NOT IN (SELECT id FROM piece_lists)`,
        []
      )
    })))

  it.scopedLive("of a store made before there were pieces stay readable", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      const old = storeBefore("0004_pieces", path)
      const [body] = requestsOf({ steps: 5 }).slice(-1).map(bodyOf)
      old.prepare("INSERT INTO payloads VALUES (?, ?, ?)").run(hash("sha256", body!, "hex"), body!.length, body)
      old.close()
      yield* Effect.gen(function*() {
        assert.isTrue((yield* readBack(body!)).equals(body!))
        yield* roundTrip(body!)
        yield* Effect.forEach(requestsOf({ steps: 8 }), (request) => roundTrip(bodyOf(request)))
      }).pipe(Effect.provide(storeAt(path)))
    }))
})
