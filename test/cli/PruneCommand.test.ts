import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { hash } from "node:crypto"
import { join } from "node:path"
import { deleteBefore } from "../../src/cli/PruneCommand.js"
import { SpanStore } from "../../src/store/SpanStore.js"
import { bodyOf, requestsOf } from "../support/conversation.js"
import { recordCall } from "../support/recordedCall.js"
import { scratchFolder, storeAt } from "../support/store.js"

/** What began more than 30 days ago. */
const prune = Effect.suspend(() => deleteBefore(1_000 * (Date.now() - 30 * 86_400_000)))

const steps = 8
/** The steps of a conversation; its tools and its system prompt are those of every other. */
const conversation = (name: string) => requestsOf({ steps, name }).map(bodyOf)

const recorded = (name: string) =>
  Effect.forEach(
    conversation(name),
    (request, step) =>
      recordCall({ request, response: Buffer.from(JSON.stringify({ object: "chat.completion", name, step })) })
  )

const kept = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) =>
    sql<Record<string, number>>`SELECT (SELECT count(*) FROM spans) AS spans, (SELECT count(*) FROM bodies) AS bodies,
      (SELECT count(*) FROM piece_lists) AS lists, (SELECT count(*) FROM pieces) AS pieces`
).pipe(Effect.map(([row]) => row!))

const read = (body: Uint8Array) =>
  Effect.flatMap(SpanStore, (spans) => spans.payload(hash("sha256", body, "hex"))).pipe(
    Effect.map(Option.map((found) => Buffer.from(found).equals(body)))
  )

const isThere = (name: string) =>
  Effect.map(
    Effect.forEach(conversation(name), read),
    (bodies) => bodies.every(Option.contains(true)) ? "all" : bodies.every(Option.isNone) ? "none" : "some"
  )

describe("tau prune", () => {
  it.scopedLive("takes old calls away and leaves the store as if they had never been", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const alone = yield* Effect.zipRight(recorded("new"), kept).pipe(
        Effect.provide(storeAt(join(folder, "alone.sqlite")))
      )
      const path = join(folder, "store.sqlite")
      yield* Effect.gen(function*() {
        yield* recorded("old")
        const original = bodyOf({ model: "m", messages: [{ role: "system", content: "as the agent had it" }] })
        yield* recordCall({ request: original })
        const other = new Database(path)
        other.exec("UPDATE spans SET start_time_us = start_time_us - 31 * 86400000000")
        yield* recorded("new")
        other.prepare(
          `UPDATE spans SET attributes = json_set(attributes, '$."tau.rewrite.original_sha256"', ?)
           WHERE rowid = (SELECT max(rowid) FROM spans)`
        ).run(hash("sha256", original, "hex"))
        // One that nobody knows the end of, and one of a run: they stay.
        const [open, ofRun] = other.prepare("SELECT span_id FROM spans ORDER BY start_time_us LIMIT 2").pluck().all()
        other.prepare("UPDATE spans SET state = 'open' WHERE span_id = ?").run(open)
        other.prepare("UPDATE spans SET run_id = 'run-1' WHERE span_id = ?").run(ofRun)
        assert.strictEqual((yield* prune).calls, steps + 1 - 2)
        assert.strictEqual((yield* kept)["spans"], steps + 2)
        other.exec("UPDATE spans SET state = 'done', run_id = NULL")
        assert.strictEqual((yield* prune).calls, 2)
        // The one more is what the agent had asked before the rewrite.
        assert.deepStrictEqual(yield* kept, { ...alone, bodies: alone["bodies"]! + 1 })
        assert.deepStrictEqual([yield* isThere("old"), yield* isThere("new"), Option.isSome(yield* read(original))], [
          "none",
          "all",
          true
        ])
        assert.deepStrictEqual(other.pragma("foreign_key_check"), [])
        other.close()
        // The writer goes on as before, with what it had stored and what is gone.
        yield* recorded("old")
        assert.deepStrictEqual([yield* isThere("old"), yield* isThere("new")], ["all", "all"])
      }).pipe(Effect.provide(storeAt(path)))
    }))
})
