// Requests per second and latency at 1, 32 and 256 connections: direct, through a bare proxy, through tau. The three take
// turns within each round, so that a busy machine is busy for all of them; ratios come from the medians of the rounds.
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { load } from "./load.mjs"

const rounds = 5
const roundMs = 1_500

const serve = async (...args) => {
  const child = spawn(process.execPath, [new URL("./server.mjs", import.meta.url).pathname, ...args], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  const [url] = await once(createInterface({ input: child.stdout }), "line")
  return { url, child }
}

/** CPU time of all threads of a process in microseconds, or null where the kernel does not tell. */
const cpuUs = (pid) => {
  const tasks = `/proc/${pid}/task`
  if (!existsSync(tasks)) return null
  return readdirSync(tasks).reduce((sum, task) => {
    try {
      return sum + Number(readFileSync(`${tasks}/${task}/schedstat`, "utf8").split(" ")[0]) / 1000
    } catch {
      return sum
    }
  }, 0)
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

export const benchProxy = async () => {
  const folder = mkdtempSync(join(tmpdir(), "tau-bench-"))
  const upstream = await serve("upstream")
  const bare = await serve("bare", upstream.url)
  const tau = await serve("tau", upstream.url, join(folder, "store.sqlite"))
  const targets = { direct: upstream, bare, tau }
  console.log("Proxy: 0.9 kB request, 0.65 kB answer, upstream 0 ms; tau records and commits (synchronous=FULL)")
  console.log(`median of ${rounds} rounds of ${roundMs} ms, taking turns\n`)
  console.log("connections  target   requests/s  of bare    p50 ms    p99 ms  CPU µs/request")
  try {
    for (const target of Object.values(targets)) await load(target.url, 32, roundMs)
    for (const connections of [1, 32, 256]) {
      const results = { direct: [], bare: [], tau: [] }
      for (let round = 0; round < rounds; round++) {
        for (const [name, { child, url }] of Object.entries(targets)) {
          const before = cpuUs(child.pid)
          const result = await load(url, connections, roundMs)
          const after = cpuUs(child.pid)
          if (result.errors > 0) throw new Error(`${name}: ${result.errors} errors`)
          results[name].push({
            ...result,
            cpu: before === null || after === null ? Number.NaN : (after - before) / result.requests
          })
        }
      }
      const figure = (name, key) => median(results[name].map((result) => result[key]))
      for (const name of Object.keys(targets)) {
        const ratio = figure(name, "perSecond") / figure("bare", "perSecond")
        const cpu = figure(name, "cpu")
        console.log(
          [
            String(connections).padStart(11),
            name.padEnd(7),
            figure(name, "perSecond").toFixed(0).padStart(11),
            `${ratio.toFixed(2)}×`.padStart(8),
            figure(name, "p50").toFixed(2).padStart(9),
            figure(name, "p99").toFixed(2).padStart(9),
            (Number.isNaN(cpu) ? "–" : cpu.toFixed(0)).padStart(15)
          ].join("  ").replace("  ", "  ")
        )
      }
    }
  } finally {
    for (const { child } of Object.values(targets)) child.kill("SIGKILL")
    rmSync(folder, { recursive: true, force: true })
  }
}
