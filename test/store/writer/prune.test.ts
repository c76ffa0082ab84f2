import { assert, describe, it } from "@effect/vitest"
import { pruneBodies, pruneCalls, prunePieces } from "../../../src/store/writer/prune.js"
import { openMemory } from "../../support/operations.js"

describe("tau prune", () => {
  it("deletes a few calls at a time, and none that is under way, of a run, or not old enough", () => {
    const { close, db } = openMemory()
    db.prepare(
      `WITH RECURSIVE c (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < 4999)
       INSERT INTO spans (span_id, trace_id, run_id, rollout_id, attempt_id, sequence_id, process_id, name, kind, state, method, path,
         attributes, events, start_time_us)
       SELECT printf('%016x', n), 't', iif(n % 5 = 1, 'run', NULL), 'r', 'a', n, 'p', 'n', 'llm', iif(n % 5 = 2, 'open', 'done'),
         'GET', '/', '{}', '[]', iif(n % 5 = 3, 2000, 1000) FROM c`
    ).run()
    const sizes: Array<number> = []
    for (let after: number | null = 0; after !== null;) {
      const pruned: ReturnType<typeof pruneCalls> = pruneCalls(db, { after, beforeUs: 2_000 })
      sizes.push(pruned.calls)
      after = pruned.after
    }
    assert.deepStrictEqual(sizes, [500, 500, 500, 500, 0])
    assert.deepStrictEqual(db.prepare("SELECT count(*) AS n FROM spans").get(), { n: 3_000 })
    assert.deepStrictEqual(pruneCalls(db, { after: 0, beforeUs: 2_001 }), { calls: 500, after: 2_499 })
    close()
  })

  it("deletes what no call has, however much of it there is", () => {
    const { close, db } = openMemory()
    db.prepare(
      `WITH RECURSIVE c (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < 10003)
       INSERT INTO bodies (sha256, size, content) SELECT 'body ' || n, 1, x'00' FROM c`
    ).run()
    const insert = db.prepare(
      `INSERT INTO spans (span_id, trace_id, rollout_id, attempt_id, sequence_id, process_id, name, kind, state, method, path,
         attributes, events, start_time_us, request_sha256, response_sha256, answer_sha256)
       VALUES (?, 't', 'r', 'a', ?, 'p', 'n', 'llm', 'done', 'GET', '/', ?, '[]', 1, ?, ?, ?)`
    )
    insert.run("1", 1, "{}", "body 1", null, null)
    insert.run("2", 2, "{}", null, "body 2", "body 3")
    insert.run("3", 3, `{"tau.rewrite.original_sha256":"body 4"}`, null, null, null)
    const awaiting = db.prepare("INSERT INTO awaited_answers (response_id, span_id) VALUES (?, ?)")
    awaiting.run("resp-1", "1")
    awaiting.run("resp-9", "9")
    assert.deepStrictEqual(pruneBodies(db), { bodies: 10_000, isLast: false })
    assert.deepStrictEqual(db.prepare("SELECT response_id FROM awaited_answers").all(), [{ response_id: "resp-1" }])
    assert.deepStrictEqual(pruneBodies(db), { bodies: 0, isLast: true })
    assert.deepStrictEqual(
      db.prepare("SELECT sha256 FROM bodies ORDER BY 1").all(),
      [1, 2, 3, 4].map((n) => ({ sha256: `body ${n}` }))
    )
    // Thirty bytes each, and more.
    assert.isAbove(prunePieces(db), 300_000)
    close()
  })

  // Looked for among all others for each that goes, they took 20 s.
  it("deletes pieces of bodies that are gone, without holding up calls for longer the more there are", {
    timeout: 10_000
  }, () => {
    const { close, db } = openMemory()
    const pieces = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 40000)"
    db.prepare(`${pieces} INSERT INTO pieces (id, sha256, content) SELECT n, CAST(n AS BLOB), x'00' FROM c`).run()
    db.prepare(
      `${pieces} INSERT INTO piece_lists (id, key, head, piece, length)
       SELECT n, CAST(n AS BLOB), iif(n % 20 = 1, NULL, n - 1), n, (n - 1) % 20 + 1 FROM c`
    ).run()
    db.prepare(
      `INSERT INTO bodies (sha256, size, form, content)
       VALUES ('a', 1, 'recipe', CAST('["{",40,"}"]' AS BLOB)), ('b', 1, 'recipe', CAST('["[",45,"]"]' AS BLOB))`
    ).run()
    const schema = db.prepare("SELECT * FROM sqlite_schema ORDER BY name").all()
    prunePieces(db)
    const left = [...Array.from({ length: 20 }, (_, n) => n + 21), 41, 42, 43, 44, 45].map((id) => ({ id }))
    assert.deepStrictEqual(db.prepare("SELECT id FROM piece_lists ORDER BY id").all(), left)
    assert.deepStrictEqual(db.prepare("SELECT id FROM pieces ORDER BY id").all(), left)
    assert.deepStrictEqual(db.prepare("SELECT * FROM sqlite_schema ORDER BY name").all(), schema)
    close()
  })
})
