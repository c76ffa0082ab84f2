// What recording costs: the same load direct, through proxies that record nothing, and through tau. The candidates take turns
// within each round, so that a busy machine is busy for all of them; ratios come from the medians of the rounds.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { commandMs, cpuUs, median, nginx, portkey, residentMb, serve, serveTau } from "./candidates.mjs"
import { load } from "./load.mjs"
import { printTargets } from "./targets.mjs"

const rounds = 5
const roundMs = 1_500
/** V8 compiles what is called often, in threads of its own: a proxy that has run for a while has that behind it. */
const warmMs = 8_000
const eventsPerStream = 100

const cases = [
  { name: "1 connection", connections: 1, skip: ["portkey"] },
  { name: "32 connections", connections: 32, skip: [] },
  { name: "256 connections", connections: 256, skip: ["portkey"] },
  { name: "256, behind 50 ms", connections: 256, header: "x-bench: delay\r\n", skip: ["portkey"] },
  { name: "16 streams at once", connections: 16, header: "x-bench: burst\r\n", skip: ["portkey"] },
  // Streams that began in step would stay so, and each first chunk would wait for fifteen others.
  { name: "16 paced streams", connections: 16, header: "x-bench: paced\r\n", spreadMs: 525, skip: ["portkey"] }
]

/** One case: every candidate's medians by name. */
const measure = async (candidates, { connections, header = "", skip, spreadMs = 0 }) => {
  const results = new Map()
  const taking = [...candidates].filter(([name]) => !skip.includes(name))
  for (const [, candidate] of taking) await load(candidate, connections, warmMs, header, spreadMs)
  for (let round = 0; round < rounds; round++) {
    for (const [name, candidate] of taking) {
      const before = cpuUs(candidate)
      const result = await load(candidate, connections, roundMs, header, spreadMs)
      const after = cpuUs(candidate)
      if (result.errors > 0) throw new Error(`${name}: ${result.errors} errors`)
      results.set(name, [...(results.get(name) ?? []), {
        ...result,
        cpu: (after.all - before.all) / result.requests,
        main: (after.main - before.main) / result.requests
      }])
    }
  }
  const of = (runs, key) => median(runs.map((run) => run[key]))
  return new Map([...results].map(([name, runs]) => [name, {
    perSecond: of(runs, "perSecond"),
    p50: of(runs, "p50"),
    p99: of(runs, "p99"),
    first: of(runs, "first"),
    cpu: of(runs, "cpu"),
    main: of(runs, "main")
  }]))
}

const print = (name, figures) => {
  console.log(`\n${name.padEnd(20)} requests/s  of bare   p50 ms   p99 ms  first ms  CPU µs  main`)
  for (const [candidate, { cpu, first, main, p50, p99, perSecond }] of figures) {
    console.log([
      `  ${candidate}`.padEnd(20),
      perSecond.toFixed(0).padStart(10),
      `${(perSecond / figures.get("bare").perSecond).toFixed(2)}×`.padStart(8),
      p50.toFixed(2).padStart(8),
      p99.toFixed(2).padStart(8),
      first.toFixed(2).padStart(9),
      Number.isNaN(cpu) ? "–" : cpu.toFixed(0).padStart(7),
      Number.isNaN(main) ? "–" : main.toFixed(0).padStart(5)
    ].join(" "))
  }
}

/**
 * The targets: figure, limit, unit, and whether less or more is better. Those that are times and no ratios depend on the machine:
 * with them goes what `committed` takes, which keeps each call and does nothing else.
 */
const targets = (of, startUp, memory) => {
  const ratio = (name, key, other = "bare") => of(name).get("tau")[key] / of(name).get(other)[key]
  const time = (name, key, limit, unit, { other, per = 1 } = {}) => {
    const figure = (candidate) =>
      (of(name).get(candidate)[key] - (other === undefined ? 0 : of(name).get(other)[key])) / per
    return [figure("tau"), "≤", limit, unit, figure("committed")]
  }
  const hasPortkey = of("32 connections").has("portkey")
  return [
    ["CPU per request at 32, of bare", ratio("32 connections", "cpu"), "≤", 2.5, "×"],
    ["main thread's part of it, of bare", ratio("32 connections", "main"), "≤", 1.5, "×"],
    ...(hasPortkey
      ? [
        ["Portkey's CPU, of tau's", 1 / ratio("32 connections", "cpu", "portkey"), "≥", 9, "×"],
        ["requests/s, of Portkey's", ratio("32 connections", "perSecond", "portkey"), "≥", 10, "×"]
      ]
      : []),
    ["requests/s at 32, of bare", ratio("32 connections", "perSecond"), "≥", 0.5, "×"],
    ["p50 at 1, over bare", ...time("1 connection", "p50", 0.45, " ms", { other: "bare" })],
    ["p99 at 32", ...time("32 connections", "p99", 8, " ms")],
    ["p50 at 256 behind 50 ms", ...time("256, behind 50 ms", "p50", 55, " ms")],
    ["first chunk, over direct", ...time("16 paced streams", "first", 0.8, " ms", { other: "direct" })],
    ["CPU per paced event", ...time("16 paced streams", "cpu", 40, " µs", { per: eventsPerStream })],
    ["CPU per event at once", ...time("16 streams at once", "cpu", 6, " µs", { per: eventsPerStream })],
    ["resident memory after it", memory, "≤", 180, " MB"],
    ["tau --help", startUp.help, "≤", 300, " ms"],
    ["proxy ready", startUp.proxy, "≤", 600, " ms"]
  ]
}

/** Answers how many targets were missed. */
export const benchProxy = async () => {
  const folder = mkdtempSync(join(tmpdir(), "tau-bench-"))
  const upstream = await serve("upstream")
  const tau = await serveTau(upstream.url, folder)
  const candidates = new Map(
    [
      ["direct", upstream],
      ["nginx", await nginx(upstream.url, folder)],
      ["bare", await serve("bare", upstream.url)],
      ["committed", await serve("committed", upstream.url, join(folder, "committed.sqlite"))],
      ["portkey", await portkey(upstream.url)],
      ["tau", tau]
    ].filter(([, candidate]) => candidate !== null)
  )
  console.log("Proxy: 0.9 kB request, 0.65 kB answer or 100 events; tau records and commits (synchronous=FULL)")
  console.log(`medians of ${rounds} rounds of ${roundMs} ms, taking turns; CPU per request`)
  try {
    const results = new Map()
    for (const candidate of candidates.values()) await load(candidate, 32, warmMs)
    for (const each of cases) {
      results.set(each.name, await measure(candidates, each))
      print(each.name, results.get(each.name))
    }
    const startUp = {
      help: commandMs(fileURLToPath(new URL("../dist/cli/main.js", import.meta.url)), "--help"),
      proxy: tau.startMs
    }
    const speed = results.get("32 connections").get("bare").cpu
    console.log(
      `\nbare takes ${speed.toFixed(0)} µs on 32 connections here, 36 µs on the machine the targets were set on`
    )
    return printTargets(targets((key) => results.get(key), startUp, residentMb(tau)))
  } finally {
    // nginx, killed, would leave its worker.
    for (const [name, { child }] of candidates) child.kill(name === "nginx" ? "SIGTERM" : "SIGKILL")
    rmSync(folder, { recursive: true, force: true })
  }
}
