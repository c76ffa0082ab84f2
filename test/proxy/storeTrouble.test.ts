import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { copyFileSync, mkdirSync, renameSync, rmSync, truncateSync } from "node:fs"
import { join } from "node:path"
import { request } from "undici"
import { statusOf } from "../../src/proxy/Health.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { defaultLimits } from "../../src/proxy/ProxyOptions.js"
import { metrics } from "../support/metrics.js"
import { proxyAt } from "../support/proxy.js"
import { rowsOf, scratchFolder } from "../support/store.js"
import { eventually, upstream } from "../support/upstream.js"

const send = (path: string, body = "") =>
  Effect.flatMap(Proxy, ({ origin }) =>
    Effect.promise(async () => {
      try {
        const answer = await request(origin + path, { method: "POST", body })
        return { statusCode: answer.statusCode, text: await answer.body.text() }
      } catch {
        return { statusCode: 0, text: "broken off" }
      }
    }))

const health = Effect.flatMap(Proxy, ({ origin }) =>
  Effect.promise(async () => {
    const { body, statusCode } = await request(`${origin}/training/proxy/health`)
    return { statusCode, ...await body.json() as { readonly status: string; readonly spans_lost: number } }
  }))

const until = (status: string) =>
  eventually(`health ${status}`, Effect.map(health, (seen) => seen.status === status ? seen : undefined))

/** Once it is known what became of so many spans. */
const outcomes = (count: number) =>
  eventually(
    `the outcome of ${count} spans`,
    Effect.map(Proxy, (proxy) => {
      const { spansCommitted, spansLost } = proxy.health()
      return spansCommitted + spansLost === count ? { spansCommitted, spansLost } : undefined
    })
  )

const echo = upstream((req, res) => {
  req.resume().on("end", () => res.end("ok"))
})

const mib = 1024 * 1024
/** Nothing that is stored once for several calls. */
const unique = (bytes: number) => randomBytes(bytes / 2).toString("hex")

/** An upstream, and how many calls it got. */
const counting = Effect.gen(function*() {
  let calls = 0
  const url = yield* upstream((req, res) => {
    calls += 1
    req.resume().on("end", () => res.end("ok"))
  })
  return { forwarded: () => calls, url }
})

describe("Proxy, when its store has no room", () => {
  it.scopedLive("refuses calls before it forwards them until there is room again", () =>
    Effect.gen(function*() {
      const { forwarded, url } = yield* counting
      const path = join(yield* scratchFolder, "store.sqlite")
      const warnings: Array<string> = []
      yield* Effect.gen(function*() {
        const answers: Array<number> = []
        for (let n = 0; n < 8; n++) answers.push((yield* send("/v1/x", unique(mib))).statusCode)
        assert.strictEqual(answers[0], 200)
        // The one that did not fit was forwarded, and is not shown as if it were recorded.
        assert.strictEqual(answers.filter((status) => status === 0).length, 1)
        assert.strictEqual(answers.at(-1), 503)
        assert.deepInclude(yield* until("storage_full"), { statusCode: 503, spans_lost: 1 })
        const before = forwarded()
        for (let n = 0; n < 10; n++) {
          const refused = yield* send("/v1/x", "small enough to fit")
          assert.strictEqual(refused.statusCode, 503)
          assert.match(refused.text, /"code":"training_proxy_store_unavailable"/)
          assert.include(refused.text, "storage_full")
        }
        assert.strictEqual(forwarded(), before)
        yield* eventually("a warning", Effect.sync(() => warnings[0]))
        const other = new Database(path)
        other.pragma("foreign_keys = OFF")
        other.exec("DELETE FROM bodies WHERE size > 100000")
        other.close()
        yield* until("ready")
        assert.strictEqual((yield* send("/v1/x", unique(mib))).statusCode, 200)
        yield* eventually("the end of the incident", Effect.sync(() => warnings[1]))
        assert.match(warnings[0]!, /^tau: warning: calls cannot be recorded: /)
        assert.match(warnings[1]!, /^tau: calls are being recorded again; 1 could not be/)
        assert.strictEqual(warnings.length, 2)
      }).pipe(Effect.provide(proxyAt(path, url, { warn: (message) => void warnings.push(message) }, 4 * mib)))
    }))

  it.scopedLive("forwards calls all the same under best-effort, and counts what is lost", () =>
    Effect.gen(function*() {
      const url = yield* echo
      const path = join(yield* scratchFolder, "store.sqlite")
      const warnings: Array<string> = []
      yield* Effect.gen(function*() {
        for (let n = 0; n < 8; n++) {
          assert.deepStrictEqual(yield* send("/v1/x", unique(mib)), { statusCode: 200, text: "ok" })
        }
        yield* outcomes(8)
        const { spans_lost: lost, statusCode } = yield* until("storage_full")
        assert.strictEqual(statusCode, 503)
        assert.isAbove(lost, 0)
        const counts = yield* metrics
        assert.strictEqual(counts.get("tau_spans_lost_total"), lost)
        assert.strictEqual(counts.get("tau_store_failure"), 1)
        yield* eventually("a warning", Effect.sync(() => warnings[0]))
        assert.strictEqual(warnings.length, 1)
      }).pipe(
        Effect.provide(
          proxyAt(path, url, { recordPolicy: "best-effort", warn: (message) => void warnings.push(message) }, 4 * mib)
        )
      )
    }))

  it.scopedLive("says that space is short before it runs out, and records on", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      const warnings: Array<string> = []
      yield* Effect.gen(function*() {
        assert.strictEqual((yield* until("storage_low")).statusCode, 200)
        assert.strictEqual((yield* send("/v1/x")).statusCode, 200)
        assert.match(warnings.join("\n"), /^tau: warning: only \d+ bytes are free where the store is$/)
        assert.isAbove((yield* metrics).get("tau_store_free_bytes") ?? 0, 0)
      }).pipe(
        Effect.provide(proxyAt(path, yield* echo, {
          warn: (message) => void warnings.push(message),
          limits: { ...defaultLimits, freeBytesLow: Number.MAX_SAFE_INTEGER }
        }))
      )
    }))
})

describe("Proxy, when its store is held or gone", () => {
  it.scopedLive("does not let an answer wait for a store that is locked, under best-effort, and records it later", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.gen(function*() {
        assert.strictEqual((yield* send("/v1/x")).statusCode, 200)
        const other = new Database(path)
        other.exec("BEGIN IMMEDIATE")
        for (let n = 0; n < 3; n++) assert.deepStrictEqual(yield* send("/v1/x"), { statusCode: 200, text: "ok" })
        assert.strictEqual((yield* until("store_locked")).statusCode, 503)
        other.exec("COMMIT")
        other.close()
        yield* until("ready")
        const { spansCommitted } = yield* outcomes(4)
        assert.isAbove(spansCommitted, 1)
        assert.strictEqual((yield* metrics).get("tau_recorded_bytes"), 0)
      }).pipe(Effect.provide(proxyAt(path, yield* echo, { recordPolicy: "best-effort" })))
    }))

  it.scopedLive("lets calls wait for a store that hangs for more than a second, and refuses none", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      const warnings: Array<string> = []
      yield* Effect.gen(function*() {
        const other = new Database(path)
        other.exec("BEGIN IMMEDIATE")
        const first = yield* Effect.fork(send("/v1/x"))
        yield* Effect.sleep("1.5 seconds")
        assert.strictEqual((yield* health).status, "ready")
        const second = yield* Effect.fork(send("/v1/x"))
        yield* eventually("two calls", Effect.map(Proxy, (proxy) => proxy.health().calls === 2 ? true : undefined))
        other.exec("COMMIT")
        other.close()
        for (const fiber of [first, second]) {
          assert.deepStrictEqual(yield* Fiber.join(fiber), { statusCode: 200, text: "ok" })
        }
        assert.deepStrictEqual(yield* outcomes(2), { spansCommitted: 2, spansLost: 0 })
        assert.deepStrictEqual(warnings, [])
      }).pipe(Effect.provide(proxyAt(path, yield* echo, { warn: (message) => void warnings.push(message) })))
    }))

  it.scopedLive("drops what is more than may wait", () =>
    Effect.gen(function*() {
      const url = yield* echo
      const folder = yield* scratchFolder
      const limits = { ...defaultLimits, spansWaitingMax: 2 }
      yield* Effect.gen(function*() {
        const other = new Database(join(folder, "best.sqlite"))
        other.exec("BEGIN IMMEDIATE")
        const answers = yield* Effect.all(Array.from({ length: 12 }, () => send("/v1/x")), { concurrency: 12 })
        for (const answer of answers) assert.deepStrictEqual(answer, { statusCode: 200, text: "ok" })
        assert.isAbove((yield* Proxy).health().spansLost, 0)
        other.close()
        yield* until("ready")
        // Nor does what was dropped seem to be under way.
        yield* eventually(
          "the ends of all",
          Effect.sync(() =>
            rowsOf(join(folder, "best.sqlite"), "SELECT state FROM spans WHERE state = 'open'").length === 0 ||
            undefined
          )
        )
      }).pipe(
        Effect.provide(proxyAt(join(folder, "best.sqlite"), url, { recordPolicy: "best-effort", limits }))
      )
    }))

  it.scopedLive("refuses calls while as much waits to be written as may", () =>
    Effect.gen(function*() {
      const { forwarded, url } = yield* counting
      const limits = { ...defaultLimits, spansWaitingMax: 0 }
      yield* Effect.gen(function*() {
        const { statusCode, text } = yield* send("/v1/x")
        assert.strictEqual(statusCode, 503)
        assert.include(text, "the store cannot record this call (store_busy): it was not forwarded")
        assert.deepInclude(yield* health, { statusCode: 503, status: "store_busy" })
        assert.strictEqual(forwarded(), 0)
      }).pipe(Effect.provide(proxyAt(join(yield* scratchFolder, "store.sqlite"), url, { limits })))
    }))

  it.scopedLive("says in one word that its file was moved away, and that it is back", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.gen(function*() {
        renameSync(path, `${path}.elsewhere`)
        assert.strictEqual((yield* send("/v1/x")).statusCode, 0)
        assert.strictEqual((yield* until("store_gone")).statusCode, 503)
        assert.strictEqual((yield* send("/v1/x")).statusCode, 503)
        renameSync(`${path}.elsewhere`, path)
        yield* until("ready")
        assert.strictEqual((yield* send("/v1/x")).statusCode, 200)
      }).pipe(Effect.provide(proxyAt(path, yield* echo)))
    }))

  it.scopedLive("does not say for ever that a call is under way whose end it could not record", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      const waiting: Array<() => void> = []
      const url = yield* upstream((req, res) => {
        req.resume().on("end", () => void waiting.push(() => res.end("ok")))
      })
      yield* Effect.gen(function*() {
        const call = yield* Effect.fork(send("/v1/x"))
        const isNow = (state: string) =>
          eventually(
            state,
            Effect.sync(() =>
              rowsOf<{ readonly state: string }>(path, "SELECT state FROM spans").at(0)?.state === state || undefined
            )
          )
        yield* isNow("open")
        const answer = yield* eventually("the request at the upstream", Effect.sync(() => waiting[0]))
        renameSync(path, `${path}.elsewhere`)
        answer()
        assert.strictEqual((yield* Fiber.join(call)).statusCode, 0)
        renameSync(`${path}.elsewhere`, path)
        yield* until("ready")
        yield* isNow("unknown_after_crash")
      }).pipe(Effect.provide(proxyAt(path, url)))
    }))

  it.scopedLive("answers nothing more when its file is cut to nothing, nor when something is put back into it", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      const warnings: Array<string> = []
      yield* Effect.gen(function*() {
        assert.strictEqual((yield* send("/v1/x")).statusCode, 200)
        copyFileSync(path, `${path}.copy`)
        truncateSync(path)
        assert.notStrictEqual((yield* send("/v1/x")).statusCode, 200)
        assert.strictEqual((yield* until("store_gone")).statusCode, 503)
        yield* eventually("a warning", Effect.sync(() => warnings[0]))
        assert.include(warnings[0], `${path} was emptied while in use`)
        copyFileSync(`${path}.copy`, path)
        assert.strictEqual((yield* send("/v1/x")).statusCode, 503)
        assert.strictEqual((yield* health).status, "store_gone")
      }).pipe(Effect.provide(proxyAt(path, yield* echo, { warn: (message) => void warnings.push(message) })))
    }))

  it.scopedLive("answers nothing more when its file is written over with a backup, but lives with what SQLite makes of it", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      const warnings: Array<string> = []
      yield* Effect.gen(function*() {
        const calls = Effect.replicateEffect(Effect.map(send("/v1/x"), ({ statusCode }) => statusCode), 3)
        const elsewhere = new Database(path)
        assert.deepStrictEqual(yield* calls, [200, 200, 200])
        yield* Effect.promise(() => elsewhere.backup(`${path}.backup`))
        assert.deepStrictEqual(yield* calls, [200, 200, 200])
        elsewhere.exec("VACUUM")
        assert.deepStrictEqual(yield* calls, [200, 200, 200])
        elsewhere.pragma("wal_checkpoint(TRUNCATE)")
        elsewhere.close()
        assert.deepStrictEqual(yield* calls, [200, 200, 200])
        copyFileSync(`${path}.backup`, path)
        assert.deepStrictEqual(yield* calls, [0, 503, 503])
        yield* eventually("a warning", Effect.sync(() => warnings[0]))
        assert.include(warnings[0], `${path} was written over while in use`)
      }).pipe(Effect.provide(proxyAt(path, yield* echo, { warn: (message) => void warnings.push(message) })))
    }))

  it.scopedLive("finds out that its file was moved away before a call does", () =>
    Effect.gen(function*() {
      const { forwarded, url } = yield* counting
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.gen(function*() {
        renameSync(path, `${path}.elsewhere`)
        // The process says every 10 s that it lives, and would hear of it then.
        yield* until("store_gone").pipe(Effect.timeout("6 seconds"))
        assert.strictEqual((yield* send("/v1/x")).statusCode, 503)
        assert.strictEqual(forwarded(), 0)
      }).pipe(Effect.provide(proxyAt(path, url)))
    }))

  it.scopedLive("loses nothing that was answered, and answers no more, when its write-ahead log is deleted", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const path = join(folder, "store.sqlite")
      yield* Effect.gen(function*() {
        assert.strictEqual((yield* send("/v1/x")).statusCode, 200)
        rmSync(`${path}-wal`)
        const answers: Array<number> = [200]
        for (let n = 0; n < 20; n++) answers.push((yield* send("/v1/x")).statusCode)
        assert.strictEqual(answers.at(-1), 503)
        assert.strictEqual((yield* until("store_gone")).statusCode, 503)
        // What a process finds that starts after this one was killed.
        const found = join(folder, "found.sqlite")
        copyFileSync(path, found)
        const store = new Database(found)
        const spans = store.prepare("SELECT 1 FROM spans WHERE state = 'done'").all().length
        store.close()
        assert.isAtLeast(spans, answers.filter((status) => status === 200).length)
      }).pipe(Effect.provide(proxyAt(path, yield* echo)))
    }))

  it.scopedLive("writes nothing more, and spoils nothing, when its write-ahead log is cut to nothing", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      const stored = () => rowsOf<{ readonly n: number }>(path, "SELECT count(*) AS n FROM spans")[0]!.n
      const warnings: Array<string> = []
      yield* Effect.gen(function*() {
        for (let n = 0; n < 5; n++) assert.strictEqual((yield* send("/v1/x")).statusCode, 200)
        // Another process empties it when it stops, and nothing is missing.
        const other = new Database(path)
        other.pragma("wal_checkpoint(TRUNCATE)")
        other.close()
        for (let n = 0; n < 5; n++) assert.strictEqual((yield* send("/v1/x")).statusCode, 200)
        truncateSync(`${path}-wal`)
        assert.strictEqual((yield* send("/v1/x")).statusCode, 0)
        assert.strictEqual((yield* until("store_gone")).statusCode, 503)
        yield* eventually("a warning", Effect.sync(() => warnings[0]))
        assert.include(warnings[0], `${path}-wal was cut short while in use`)
      }).pipe(Effect.provide(proxyAt(path, yield* echo, { warn: (message) => void warnings.push(message) })))
      assert.deepStrictEqual(rowsOf(path, "PRAGMA quick_check"), [{ quick_check: "ok" }])
      assert.strictEqual(stored(), 5)
    }))

  it.scopedLive("counts the lines that the attribution log could not take, and warns once", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      const warnings: Array<string> = []
      const log = `${path}.attribution.jsonl`
      mkdirSync(log)
      yield* Effect.gen(function*() {
        for (let n = 0; n < 3; n++) assert.strictEqual((yield* send("/v1/x")).statusCode, 200)
        assert.strictEqual((yield* metrics).get("tau_attribution_log_lost_total"), 3)
        yield* eventually("a warning", Effect.sync(() => warnings[0]))
        assert.match(warnings.join("\n"), /^tau: warning: the attribution log cannot be written: .*$/)
        rmSync(log, { recursive: true })
        assert.strictEqual((yield* send("/v1/x")).statusCode, 200)
        assert.strictEqual((yield* Proxy).health().attributionLogLost, 3)
        yield* eventually("the end of it", Effect.sync(() => warnings[1]))
        assert.deepStrictEqual(warnings.slice(1), ["tau: the attribution log is being written again"])
      }).pipe(Effect.provide(proxyAt(path, yield* echo, { warn: (message) => void warnings.push(message) })))
    }))

  it.scopedLive("waits for nobody to read an attribution log that is a pipe", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      execFileSync("mkfifo", [`${path}.attribution.jsonl`])
      yield* Effect.gen(function*() {
        assert.strictEqual((yield* send("/v1/x")).statusCode, 200)
        assert.strictEqual((yield* Proxy).health().attributionLogLost, 1)
      }).pipe(Effect.provide(proxyAt(path, yield* echo)))
    }))
})

describe("Proxy, beside an answer that takes seconds to read", () => {
  it.scopedLive("refuses nobody: the store is well", () =>
    Effect.gen(function*() {
      const keys = Array.from({ length: 1_200_000 }, (_, n) => `"k${n}":0`)
      const heavy = `{${keys.join(",")}}`
      const url = yield* upstream((req, res) => {
        req.resume().on("end", () => res.end(req.url === "/v1/chat/completions" ? heavy : "ok"))
      })
      yield* Effect.gen(function*() {
        const long = yield* Effect.fork(send("/v1/chat/completions"))
        const others: Array<Fiber.RuntimeFiber<{ readonly statusCode: number }>> = []
        while (Option.isNone(yield* Fiber.poll(long))) {
          others.push(yield* Effect.fork(send("/v1/models")))
          assert.strictEqual((yield* health).status, "ready")
          yield* Effect.sleep(50)
        }
        assert.strictEqual((yield* Fiber.join(long)).statusCode, 200)
        for (const other of others) assert.strictEqual((yield* Fiber.join(other)).statusCode, 200)
      }).pipe(Effect.provide(proxyAt(join(yield* scratchFolder, "store.sqlite"), url)))
    }), 60_000)
})

it("has a word for each trouble of the store, whichever it is", () => {
  const words = {
    full: "storage_full",
    locked: "store_locked",
    "read-only": "store_read_only",
    corrupt: "store_corrupt",
    gone: "store_gone",
    io: "store_io_error",
    busy: "store_busy",
    memory: "recording_full"
  } as const
  for (const [reason, word] of Object.entries(words) as Array<[keyof typeof words, string]>) {
    assert.strictEqual(statusOf({ reason, message: "" }, false), word)
  }
})
