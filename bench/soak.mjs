// `npm run bench -- soak [--minutes 30]`: 256 connections of mixed load, and what must stay flat while it lasts: memory,
// descriptors, the write-ahead log and p99. At the end the store must hold as many spans as calls were made.
import Database from "better-sqlite3"
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs"
import { Agent, request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { residentMb, serve, serveTau } from "./candidates.mjs"

const connections = 256
const meanPauseMs = 400
const big = Array.from(
  { length: 4 },
  (_, n) => JSON.stringify({ model: "bench", input: String(n).repeat(1024 * 1024) })
)
const small = (n) => JSON.stringify({ model: "bench", messages: [{ role: "user", content: `Question ${n}?` }] })

/** Share of the calls, what the upstream is asked to do, and whether the client leaves in the middle. */
const kinds = [
  { name: "plain", share: 0.5 },
  { name: "stream at once", share: 0.15, bench: "burst" },
  { name: "paced stream", share: 0.1, bench: "paced" },
  { name: "1 MB up", share: 0.05, isBig: true },
  { name: "1 MB down", share: 0.05, bench: "big" },
  { name: "cancelled", share: 0.05, bench: "paced", leaves: true },
  { name: "cut", share: 0.04, bench: "cut" },
  { name: "error 500", share: 0.03, bench: "error" },
  { name: "left unanswered", share: 0.03, bench: "silent", leaves: true }
]

/** Calls that the proxy did not forward: of those there is no span, and there ought to be none. */
let refused = 0

const pick = () => {
  let left = Math.random()
  return kinds.find(({ share }) => (left -= share) < 0) ?? kinds[0]
}

const call = (url, agent, kind, n) =>
  new Promise((resolve) => {
    const startedAt = performance.now()
    const body = kind.isBig === true ? big[n % big.length] : small(n)
    const headers = {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      "x-rollout-id": "soak",
      "x-attempt-id": `soak:${n % 500}`,
      ...(kind.bench !== undefined && { "x-bench": kind.bench })
    }
    const done = () => resolve(performance.now() - startedAt)
    const outgoing = request(`${url}/v1/chat/completions`, { method: "POST", agent, headers }, (response) => {
      if (response.statusCode === 503) refused += 1
      response.on("close", done).on("error", () => {}).resume()
      if (kind.leaves === true) response.once("data", () => outgoing.destroy())
    })
    outgoing.on("error", done).end(body)
    // Once it was sent: of a call that never left this process the store cannot know.
    if (kind.bench === "silent") outgoing.once("finish", () => void setTimeout(200).then(() => outgoing.destroy()))
  })

const p99 = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)] ?? Number.NaN

export const benchSoak = async (minutes) => {
  const folder = mkdtempSync(join(tmpdir(), "tau-soak-"))
  const upstream = await serve("upstream")
  const tau = await serveTau(upstream.url, folder)
  const store = tau.storePath
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const until = performance.now() + minutes * 60_000
  let calls = 0
  let plain = []
  const client = async () => {
    while (performance.now() < until) {
      const kind = pick()
      const ms = await call(tau.url, agent, kind, calls++)
      if (kind.name === "plain") plain.push(ms)
      await setTimeout(Math.random() * 2 * meanPauseMs)
    }
  }
  console.log(`Soak: ${connections} connections, ${minutes} minutes\n`)
  console.log("minute      calls  memory MB  descriptors  log MB  store MB  p99 ms of plain calls")
  const watch = async () => {
    const everyMs = Math.min(60_000, minutes * 10_000)
    for (let at = performance.now() + everyMs; at <= until + 1_000; at += everyMs) {
      await setTimeout(Math.max(0, at - performance.now()))
      const mb = (file) => (statSync(file).size / 1e6).toFixed(1)
      console.log([
        ((at - until) / 60_000 + minutes).toFixed(1).padStart(6),
        String(calls).padStart(10),
        residentMb(tau).toFixed(0).padStart(10),
        String(readdirSync(`/proc/${tau.child.pid}/fd`).length).padStart(12),
        mb(`${store}-wal`).padStart(7),
        mb(store).padStart(9),
        p99(plain).toFixed(1).padStart(8)
      ].join(" "))
      plain = []
    }
  }
  try {
    await Promise.all([watch(), ...Array.from({ length: connections }, client)])
    agent.destroy()
    const database = new Database(store, { readonly: true })
    const count = () => database.prepare("SELECT count(*) AS spans, sum(state = 'open') AS open FROM spans").get()
    for (let tries = 0; tries < 100 && (count().spans < calls || count().open > 0); tries++) await setTimeout(100)
    const { open, spans } = count()
    console.log(`\n${calls} calls, ${refused} of them refused, ${spans} spans, ${open} of them open`)
    for (const { n, state } of database.prepare("SELECT state, count(*) AS n FROM spans GROUP BY state").all()) {
      console.log(`  ${state.padEnd(16)} ${n}`)
    }
    database.close()
    return spans === calls && open === 0 ? 0 : 1
  } finally {
    tau.child.kill("SIGKILL")
    upstream.child.kill("SIGKILL")
    rmSync(folder, { recursive: true, force: true })
  }
}
