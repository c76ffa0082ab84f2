// `npm run bench -- payloads`: what an agent costs that sends its history again at every step. A tool conversation goes
// through the proxy; then the bodies of conversations of several lengths are stored whole and in pieces by the writer's own
// code, in turns, and the CPU time per call is compared.
import Database from "better-sqlite3"
import { once } from "node:events"
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { open } from "../dist/store/writer/Database.js"
import { repeatingPayload, storePayload, wholePayload } from "../dist/store/writer/payloads.js"
import { median, serve, serveTau } from "./candidates.mjs"
import { benchHistory } from "./history.mjs"

const steps = 50
const rounds = 9

/** Text as a tool gives it: it repeats nothing, and has quotes and ends of lines to escape. */
const text = (length, seed) => {
  let written = ""
  for (let n = seed * 7919; written.length < length; n++) {
    written += `${(n * 2654435761 % 4294967296).toString(36)}${n % 9 === 0 ? "\n" : n % 11 === 0 ? " \"name\": " : " "}`
  }
  return written.slice(0, length)
}

const tools = ["read", "write", "search", "run"].map((name, n) => ({
  type: "function",
  function: {
    name,
    description: text(800, n),
    parameters: { type: "object", properties: { path: { type: "string" } } }
  }
}))

/** The bodies of a conversation in which each tool's answer has so many bytes. */
const conversation = (count, answerBytes, seed) => {
  const messages = [{ role: "system", content: text(3_000, 1) }, { role: "user", content: `Task ${seed}` }]
  return Array.from({ length: count }, (_, step) => {
    const id = `call_${seed}_${step}`
    const call = { id, type: "function", function: { name: "read", arguments: `{"path":"src/${step}.ts"}` } }
    messages.push({ role: "assistant", content: null, tool_calls: [call] })
    messages.push({ role: "tool", tool_call_id: id, content: text(answerBytes, seed * 1_000 + step) })
    return Buffer.from(JSON.stringify({ model: "bench", messages, tools, temperature: 0 }))
  })
}

const sum = (values) => values.reduce((total, value) => total + value, 0)
const kB = (bytes) => (bytes / 1000).toFixed(0)

const throughTheProxy = async (folder) => {
  const upstream = await serve("upstream")
  const proxy = await serveTau(upstream.url, folder)
  const path = proxy.storePath
  const headers = { "content-type": "application/json", "x-rollout-id": "r", "x-attempt-id": "r:attempt-1" }
  const bodies = conversation(steps, 2_000, 1)
  for (const body of bodies) {
    const response = await fetch(`${proxy.url}/v1/chat/completions`, { method: "POST", headers, body })
    await response.arrayBuffer()
  }
  for (const { child } of [proxy, upstream]) {
    child.kill()
    await once(child, "exit")
  }
  const store = new Database(path)
  const bytesOf = (sql) => store.prepare(sql).pluck().get()
  const requests = bytesOf(`SELECT sum(length(content)) FROM bodies WHERE sha256 IN (SELECT request_sha256 FROM spans)`)
  const pieces = bytesOf("SELECT sum(length(content)) FROM pieces")
  const lists = bytesOf("SELECT count(*) FROM piece_lists")
  const wrong = bytesOf(
    "SELECT count(*) FROM spans JOIN payloads ON sha256 = request_sha256 WHERE length(content) <> request_bytes"
  )
  if (wrong > 0) throw new Error(`${wrong} requests came back with another length`)
  store.pragma("wal_checkpoint(TRUNCATE)")
  store.close()
  console.log(`\nPayloads: a tool conversation of ${steps} steps through the proxy\n`)
  console.log(`  requests as they were sent     ${kB(sum(bodies.map(({ length }) => length))).padStart(6)} kB`)
  console.log(`  the last of them               ${kB(bodies.at(-1).length).padStart(6)} kB`)
  console.log(`  requests as they are kept      ${kB(requests + pieces).padStart(6)} kB, with ${lists} links of lists`)
  console.log(`  the whole store, spans and all ${kB(statSync(path).size).padStart(6)} kB`)
}

/** CPU microseconds per call of the steps after the first, hashed and committed. */
const cpuOf = (folder, make, bodies) => {
  const path = join(folder, `${process.hrtime.bigint()}.sqlite`)
  const db = open(path)
  // The bench counts the writer's work, not the disk's.
  db.connection.pragma("synchronous = OFF")
  let startedAt
  for (const [n, body] of bodies.entries()) {
    if (n === 1) startedAt = process.cpuUsage()
    const payload = make(body)
    db.connection.exec("BEGIN IMMEDIATE")
    storePayload(db, payload)
    db.connection.exec("COMMIT")
  }
  const { system, user } = process.cpuUsage(startedAt)
  db.connection.close()
  return (system + user) / (bodies.length - 1)
}

/** Requests of 0.9 and 2 kB, too short to be cut, and conversations of which the longest has about 200 kB at the half. */
const kinds = [
  (seed) => Array.from({ length: 400 }, (_, n) => Buffer.from(text(900, seed * 400 + n))),
  (seed) => Array.from({ length: 400 }, (_, n) => Buffer.from(text(2_000, seed * 400 + n))),
  (seed) => conversation(40, 20, seed),
  (seed) => conversation(24, 1_000, seed),
  (seed) => conversation(80, 4_500, seed)
]

export const benchPayloads = async () => {
  const folder = mkdtempSync(join(tmpdir(), "tau-bench-"))
  try {
    await throughTheProxy(folder)
    await benchHistory(folder)
    console.log(
      `\nCPU of the writer per call: hash, cut, commit without fsync; median of ${rounds} rounds, taking turns\n`
    )
    console.log("request, mean   whole µs  pieces µs  pieces, of whole")
    for (const bodies of kinds) {
      const whole = []
      const pieces = []
      let meanBytes = 0
      for (let round = 0; round < rounds; round++) {
        const sent = bodies(round + 1)
        meanBytes = sum(sent.map(({ length }) => length)) / sent.length
        whole.push(cpuOf(folder, wholePayload, sent))
        pieces.push(cpuOf(folder, repeatingPayload, sent))
      }
      console.log([
        `${(meanBytes / 1000).toFixed(1)} kB`.padStart(13),
        median(whole).toFixed(0).padStart(9),
        median(pieces).toFixed(0).padStart(9),
        `${(median(pieces) / median(whole)).toFixed(2)}×`.padStart(16)
      ].join("  "))
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
