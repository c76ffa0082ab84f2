import Database from "better-sqlite3"
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { Agent, request as send } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { begunFilesOf, begunNames } from "../../src/store/writer/begunNotes.js"
import { startFaultyUpstream } from "../../src/testing/index.js"
import { eventually, startProxy } from "../support/processes.js"

/** How often the proxy is killed; `TAU_TEST_KILLS=50` for the long way. */
const kills = Number(process.env["TAU_TEST_KILLS"] ?? 6)
const connections = 8

/** An answer that its client received whole. */
interface Received {
  readonly attempt: string
  readonly sha256: string
  /**
   * Of a stream, without the blank line behind its terminal line. Where the two come in different chunks, the commit is made
   * at the terminal line; the blank line passes after it and is recorded by a second commit, which the kill may forestall.
   */
  readonly untilTerminalLine: string
}

/** Every third call sends a history that is read while its answer is made. */
const requestOf = (attempt: string): string => {
  const words = Number(attempt.split(".").at(-1)) % 3 === 0 ? "All happy families are alike. ".repeat(1_000) : ""
  const history = words === "" ? "" : `{"role":"user","content":"${attempt}: ${words}"},`
  return `{"model":"faulty","messages":[${history}{"role":"user","content":"${attempt}"}]}`
}

const hashOf = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex")

/** One call. Its bytes if they came whole; a stream is whole with its terminal event, whether or not it was closed. */
const call = (origin: string, attempt: string, fault: string | null, agent: Agent): Promise<Buffer | null> =>
  new Promise((resolve) => {
    const outgoing = send(`${origin}/rollout/kill/attempt/${attempt}/v1/chat/completions`, {
      method: "POST",
      agent,
      headers: { "content-type": "application/json", ...(fault !== null && { "x-fault": fault }) }
    })
    outgoing.on("error", () => resolve(null)).on("response", (incoming) => {
      const parts: Array<Buffer> = []
      const whole = () => Buffer.concat(parts)
      const broken = () => resolve(fault !== null && whole().includes("data: [DONE]\n\n") ? whole() : null)
      incoming.on("data", (part: Buffer) => parts.push(part)).on("error", broken).on("aborted", broken)
        .on("end", () => resolve(incoming.statusCode === 200 ? whole() : null))
    })
    outgoing.end(requestOf(attempt))
  })

describe("kill -9 of a proxy under load", () => {
  it(`loses no answer that a client received whole, and no call that went upstream, ${kills} times`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "tau-kill-"))
    const asked = new Set<string>()
    const upstream = await startFaultyUpstream({
      onRequest: ({ body }) => asked.add(/"content":"([\d.]+)"/.exec(body.toString())![1]!)
    })
    const received: Array<Received> = []
    const sent: Array<string> = []
    try {
      for (let round = 0; round < kills; round++) {
        const { child, ended, origin } = await startProxy(folder, upstream.origin)
        const killed = new AbortController()
        const agent = new Agent({ keepAlive: true, maxSockets: connections })
        const client = async (number: number) => {
          for (let n = 0; !killed.signal.aborted && n < 5_000; n++) {
            const attempt = `${round}.${number}.${n}`
            sent.push(attempt)
            const fault = [null, "stream", null, "done-byte-by-byte"][(n + number) % 4] ?? null
            const bytes = await call(origin, attempt, fault, agent)
            if (bytes !== null) {
              const end = bytes.lastIndexOf("data: [DONE]\n")
              const untilTerminalLine = end === -1 ? hashOf(bytes) : hashOf(bytes.subarray(0, end + 13))
              received.push({ attempt, sha256: hashOf(bytes), untilTerminalLine })
            }
          }
        }
        const before = received.length
        const clients = Promise.all(Array.from({ length: connections }, (_, number) => client(number)))
        // Not before there is something to lose, and then at another moment each time.
        await eventually("answers", () => received.length >= before + 20 + 17 * (round % 7), 60_000)
        child.kill("SIGKILL")
        killed.abort()
        await Promise.all([ended, clients])
        agent.destroy()
      }
      const { child, ended } = await startProxy(folder, upstream.origin)
      const db = new Database(join(folder, ".tau/training/store.sqlite"), { readonly: true })
      const stored = new Map(
        (db.prepare(
          "SELECT attempt_id AS attempt, state, response_sha256 AS sha256, request_sha256 AS asked FROM spans"
        ).all() as ReadonlyArray<
          { attempt: string; state: string; sha256: string | null; asked: string | null }
        >).map((span) => [span.attempt, span])
      )
      const lost = received.filter(({ attempt, sha256, untilTerminalLine }) => {
        const span = stored.get(attempt)
        return span?.state !== "done" || span.asked !== hashOf(requestOf(attempt)) ||
          (span.sha256 !== sha256 && span.sha256 !== untilTerminalLine)
      })
      const withoutBlankLine = received.filter(({ attempt, sha256 }) => stored.get(attempt)?.sha256 !== sha256).length
      const wrong = [...stored.values()].filter(({ state }) =>
        !["done", "unknown_after_crash", "client_cancel"].includes(state)
      )
      const states = [...stored.values()].reduce<Record<string, number>>((counts, { state }) => {
        counts[state] = (counts[state] ?? 0) + 1
        return counts
      }, {})
      const unknown = [...asked].filter((attempt) => !stored.has(attempt))
      console.log(
        `${kills} kills, ${sent.length} calls, ${asked.size} of them upstream, ${received.length} answers received, ${stored.size} spans`,
        states,
        `lost ${lost.length}, ${withoutBlankLine} without the blank line behind the terminal line`
      )
      assert.deepStrictEqual(lost, [])
      assert.deepStrictEqual(unknown, [])
      const notes = () => begunFilesOf(begunNames(join(folder, ".tau/training/store.sqlite")))
      await eventually("no notes of dead processes", () => notes().length === 0)
      assert.deepStrictEqual(wrong, [])
      assert.strictEqual(db.pragma("quick_check", { simple: true }), "ok")
      assert.strictEqual(db.prepare("SELECT count(*) FROM spans").pluck().get(), stored.size, "one span a call")
      db.close()
      child.kill("SIGKILL")
      await ended
    } finally {
      await upstream.close()
      rmSync(folder, { recursive: true, force: true })
    }
  }, 60_000 + kills * 20_000)
})
