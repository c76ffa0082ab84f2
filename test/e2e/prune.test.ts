import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import { hash } from "node:crypto"
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { request } from "undici"
import { printed, startTau, tau } from "../support/command.js"
import { bodyOf, requestsOf } from "../support/conversation.js"
import { recordCall } from "../support/recordedCall.js"
import { scratchFolder, storeAt } from "../support/store.js"
import { upstream } from "../support/upstream.js"

const dayUs = 86_400_000_000
const answered = `{"object":"chat.completion","choices":[]}`

const within = <A>(folder: string, use: (store: Database.Database) => A): A => {
  const store = new Database(join(folder, ".tau/training/store.sqlite"))
  try {
    return use(store)
  } finally {
    store.close()
  }
}

/** What the store gives for these bodies. */
const kept = (folder: string, bodies: ReadonlyArray<Uint8Array>) =>
  within(folder, (store) => {
    const read = store.prepare("SELECT content FROM payloads WHERE sha256 = ?").pluck()
    return bodies.map((body) => read.get(hash("sha256", body, "hex")) as Buffer | undefined)
  })

const counts = (folder: string) =>
  within(folder, (store) => {
    const count = (table: string) => store.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number
    return { spans: count("spans"), bodies: count("bodies"), lists: count("piece_lists"), pieces: count("pieces") }
  })

describe("tau prune", { timeout: 120_000 }, () => {
  it.scopedLive("takes away old calls that no run made, with the bodies that only they had, beside a proxy at work", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const url = yield* upstream((incoming, response) => {
        incoming.resume().on("end", () => response.end(answered))
      })
      const proxy = yield* startTau(folder, [
        "--prompt-optimization-proxy-server",
        "--prompt-optimization-proxy-bind=127.0.0.1:0",
        `--prompt-optimization-proxy-upstream-url=${url}/v1`
      ])
      const base = yield* printed(proxy, /OPENAI_BASE_URL=(\S+)/)
      const send = (bodies: ReadonlyArray<Uint8Array>) =>
        Effect.promise(async () => {
          for (const body of bodies) {
            const { body: answer, statusCode } = await request(`${base}/chat/completions`, { method: "POST", body })
            await answer.dump()
            assert.strictEqual(statusCode, 200)
          }
        })
      const [old, recent] = ["old", "recent"].map((name) => requestsOf({ name, steps: 12 }).map(bodyOf))
      yield* send(old!)
      within(folder, (store) => store.prepare(`UPDATE spans SET start_time_us = start_time_us - 40 * ${dayUs}`).run())
      writeFileSync(
        join(folder, "run.json"),
        JSON.stringify({ optimize: [{ prompt: "What is 1 + 2?", expected: "3" }], resources: { system_prompt: "" } })
      )
      const run = yield* tau(folder, ["--model=sim/arithmetic", "--prompt-optimization-config=run.json"])
      assert.strictEqual(run.code, 0, run.stderr)
      within(
        folder,
        (store) =>
          store.prepare(`UPDATE spans SET start_time_us = start_time_us - 40 * ${dayUs} WHERE run_id IS NOT NULL`).run()
      )
      yield* send(recent!)
      const before = counts(folder)

      const dry = JSON.parse((yield* tau(folder, ["prune", "--older-than-days=30", "--dry-run", "--json"])).stdout)
      assert.deepInclude(dry, {
        dry_run: true,
        calls: 12,
        bytes: old!.reduce((sum, { length }) => sum + length + answered.length, 0)
      })
      const told = yield* tau(folder, ["prune", "--older-than-days=30", "--dry-run"], {
        TAU_STORE: join(folder, ".tau/training/store.sqlite")
      })
      assert.match(
        told.stdout,
        /^12 captured calls of before \S+Z, of [\d.]+ MB on the wire, would be deleted from \/\S+\/\.tau\/training\/store\.sqlite\n$/
      )
      assert.deepStrictEqual(counts(folder), before)

      const pruned = JSON.parse((yield* tau(folder, ["prune", "--older-than-days=30", "--json"])).stdout)
      // The answer is the same in all calls, and stays.
      assert.deepInclude(pruned, { schema_version: 1, dry_run: false, calls: 12, bodies: 12 })
      assert.isAbove(pruned.free_bytes, 4_096)
      const after = counts(folder)
      assert.deepInclude(after, { spans: before.spans - 12, bodies: before.bodies - 12 })
      assert.isBelow(after.lists, before.lists)
      assert.isBelow(after.pieces, before.pieces)
      assert.deepStrictEqual(kept(folder, old!), old!.map(() => undefined))
      assert.deepStrictEqual(kept(folder, recent!), recent!.map((body) => Buffer.from(body)))

      // What the proxy has in mind of the old conversation is no longer in the store.
      yield* send(old!)
      assert.deepStrictEqual(
        kept(folder, [...old!, ...recent!]),
        [...old!, ...recent!].map((body) => Buffer.from(body))
      )
      const again = yield* tau(folder, ["prune", "--older-than-days=0"])
      assert.match(
        again.stdout,
        /^deleted 24 captured calls of before \d{4}-[\d:.T-]+Z and 2[45] bodies; [\d.]+ MB of \.tau\/training\/store\.sqlite are free for new calls\n$/
      )
      assert.deepInclude(counts(folder), { spans: before.spans - 24, lists: 0, pieces: 0 })
    }))

  it.scopedLive("counts and takes away what is older by the day, however much of it there is", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const path = join(folder, "store.sqlite")
      yield* Effect.provide(recordCall({ request: Buffer.from("{}") }), storeAt(path))
      const store = new Database(path)
      store.exec(`UPDATE spans SET start_time_us = start_time_us - 1.5 * ${dayUs}`)
      const numbers = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?)"
      store.prepare(
        `${numbers} INSERT INTO spans (span_id, trace_id, rollout_id, attempt_id, sequence_id, process_id, name, kind, state, method,
           path, attributes, events, start_time_us, request_bytes, response_bytes)
         SELECT printf('%016x', n), 't', 'r', 'a', n, 'p', 'n', 'llm', 'done', 'GET', '/', '{}', '[]', ?, 2000, 3000 FROM c`
      ).run(501, 1_000 * Date.now() - 3 * dayUs)
      store.prepare(`${numbers} INSERT INTO bodies (sha256, size, content) SELECT 'body ' || n, 1, x'00' FROM c`).run(
        10_001
      )
      store.close()
      const prune = (...more: ReadonlyArray<string>) =>
        Effect.map(
          tau(folder, ["prune", "--older-than-days=2", "--json", `--store=${path}`, ...more]),
          ({ stderr, stdout }) => JSON.parse(stdout || stderr)
        )
      assert.deepInclude(yield* prune("--dry-run"), { calls: 501, bytes: 501 * 5_000 })
      assert.deepInclude(yield* prune(), { calls: 501, bodies: 10_001 })
      assert.deepInclude(yield* prune("--dry-run"), { calls: 0, bytes: 0 })
    }))

  it.scopedLive("makes no store, and asks how old", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const asked = yield* tau(folder, ["prune"])
      assert.deepStrictEqual([asked.code, asked.stderr], [
        2,
        "tau prune needs --older-than-days: see tau prune --help\n"
      ])
      for (const more of [[], ["--dry-run"]]) {
        const none = yield* tau(folder, ["prune", "--older-than-days=1", ...more])
        assert.strictEqual(none.code, 1)
        assert.include(none.stderr, "there is no store at .tau/training/store.sqlite")
      }
      assert.isFalse(existsSync(join(folder, ".tau")))
    }))
})
