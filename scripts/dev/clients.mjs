// Drives real clients through the proxy, in front of the simulated model server, and checks that the store tells what each
// of them saw. `npm run clients` takes the SDKs of test/clients and curl; `npm run clients -- --agents` coding agents as well,
// which it installs below .tau/clients. Names pick some of them: `npm run clients -- openai curl`. Exits 1 on a failure.
import { spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { agents } from "../../test/clients/agents.mjs"
import { CallLog } from "../../test/clients/CallLog.mjs"

const root = join(import.meta.dirname, "../..")
const clients = join(root, "test/clients")
const agentsFolder = join(root, ".tau/clients")
const main = join(root, "dist/cli/main.js")
const programs = ["openai", "ai-sdk", "langchain", "openai-agents", "ax", "mastra", "curl"]
const waitMs = 180_000

const given = process.argv.slice(2)
const names = given.filter((name) => !name.startsWith("--"))
const all = given.includes("--agents") ? [...programs, ...agents.map(({ name }) => name)] : programs
const unknown = names.find((name) => !all.includes(name)) ??
  given.find((name) => name.startsWith("--") && name !== "--agents")
if (unknown !== undefined) {
  console.error(`there is no ${unknown} among ${all.join(", ")}`)
  process.exit(2)
}
const chosen = (name) => names.length === 0 || names.includes(name)

const install = (folder, args) => {
  const { status } = spawnSync("npm", [...args, "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: folder,
    stdio: ["ignore", "ignore", "inherit"]
  })
  if (status !== 0) throw new Error(`npm ${args.join(" ")} failed in ${folder}`)
}

/** Starts a `tau` command and waits for the URL that it prints. */
const start = (cwd, args) =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], { cwd, stdio: ["ignore", "pipe", "inherit"] })
    let printed = ""
    child.stdout.on("data", (chunk) => {
      printed += chunk
      const url = /listening on (http:\S+)\/v1/.exec(printed)?.[1]
      if (url !== undefined) resolve({ child, url })
    })
    child.once("exit", (code) => reject(new Error(`tau ${args[0]} ended with ${code}: ${printed}`)))
  })

/** Runs a program to its end, for at most three minutes. */
const run = (command, args, cwd, env) =>
  new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: waitMs,
      killSignal: "SIGKILL"
    })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk) => stdout += chunk)
    child.stderr.on("data", (chunk) => stderr += chunk)
    child.once("error", (error) => resolve({ code: error.message, stdout, stderr }))
    child.once("close", (code, signal) => resolve({ code: code ?? signal, stdout, stderr }))
  })

const rows = []
const report = (client, what, problems) => {
  rows.push([client, what, problems.length === 0 ? "ok" : problems.join("; ")])
}

/** The three ways to say whose a call is. */
const waysOf = (url, id) => [
  { way: "base URL", base: `${url}/v1`, headers: {}, rolloutId: null },
  { way: "prefix", base: `${url}/rollout/${id}/attempt/${id}%3A1/v1`, headers: {}, rolloutId: id },
  { way: "headers", base: `${url}/v1`, headers: { "x-rollout-id": id, "x-attempt-id": `${id}:1` }, rolloutId: id }
]

/** What programs and agents get of this process's variables: nothing that names another server or key. */
const plainEnvironment = () =>
  Object.fromEntries(
    ["PATH", "LANG", "TMPDIR"].flatMap((name) => name in process.env ? [[name, process.env[name]]] : [])
  )

const runProgram = async (name, url, log) => {
  for (const { base, headers, rolloutId, way } of waysOf(url, `client-${name}`)) {
    const { code, stderr, stdout } = await run(process.execPath, [join(clients, "programs", `${name}.mjs`)], clients, {
      ...plainEnvironment(),
      OPENAI_BASE_URL: base,
      OPENAI_API_KEY: "sk-client-key",
      CLIENT_HEADERS: JSON.stringify(headers)
    })
    const calls = stdout.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line))
    const spans = await log.newSpans()
    const whole = code === 0 ? [] : [`ended with ${code}: ${stderr.trim().split("\n").at(-1)}`]
    if (spans.length !== calls.length) whole.push(`${calls.length} calls, ${spans.length} spans`)
    if (whole.length > 0) report(name, way, whole)
    for (const [n, call] of calls.entries()) {
      report(name, `${call.what} (${way})`, log.compare(call, spans[n], rolloutId))
    }
  }
}

const runAgent = async (agent, url, log, scratch) => {
  const [way] = waysOf(url, `agent-${agent.name}`).filter(({ way }) => way === "prefix")
  const folder = join(agentsFolder, agent.folder ?? agent.name)
  if (!existsSync(join(folder, "node_modules", agent.package))) {
    mkdirSync(folder, { recursive: true })
    install(folder, ["install", "--prefix", folder, "--save-exact", `${agent.package}@${agent.version}`])
  }
  const home = join(scratch, agent.name)
  const work = join(home, "work")
  mkdirSync(work, { recursive: true })
  const env = { ...plainEnvironment(), HOME: home, PWD: work, OPENAI_API_KEY: "sk-agent-key", ...agent.env?.(way.base) }
  agent.configure?.({ base: way.base, home, work })
  const bin = join(folder, "node_modules/.bin", agent.bin)
  for (const args of agent.before?.({ base: way.base, home }) ?? []) await run(bin, args, work, env)
  const { code, stderr, stdout } = await run(bin, agent.args({ home, question: "What is 17 * 23?" }), work, env)
  const spans = await log.newSpans()
  const problems = code === 0 ? [] : [`ended with ${code}: ${stderr.trim().split("\n").at(-1)}`]
  const answer = agent.answer?.() ?? "391"
  if (!stdout.includes(answer)) problems.push("the answer is not in what it printed")
  const calls = spans.filter(({ kind }) => kind === "llm")
  const wires = new Set(calls.map(({ attributes }) => attributes["tau.wire"]))
  if (agent.wire !== undefined && !wires.has(agent.wire)) problems.push(`no call over ${agent.wire}`)
  if (!calls.some((span) => log.answerOf(span).text.includes(answer))) problems.push("no span holds the answer")
  for (const span of calls) {
    problems.push(...log.compare({ path: agent.path, status: agent.status }, span, way.rolloutId))
  }
  const roles = [...new Set(calls.map(({ attributes }) => attributes["tau.call.role"]))].join(", ")
  report(agent.name, `one question: ${calls.length} calls (${roles || "none"})`, problems)
}

const scratch = mkdtempSync(join(tmpdir(), "tau-clients-"))
const children = []
try {
  const programsChosen = programs.filter(chosen)
  // Without their scripts, none of which is needed: one package writes files of its own into the folder that installs it.
  if (programsChosen.length > 0 && !existsSync(join(clients, "node_modules/openai"))) {
    install(clients, ["ci", "--ignore-scripts"])
  }
  const model = await start(scratch, ["simulate", "--bind", "127.0.0.1:0"])
  children.push(model.child)
  const proxy = await start(scratch, [
    "--prompt-optimization-proxy-server",
    "--prompt-optimization-proxy-bind",
    "127.0.0.1:0",
    "--prompt-optimization-proxy-upstream-url",
    model.url
  ])
  children.push(proxy.child)
  const log = new CallLog(join(scratch, ".tau/training/store.sqlite"))
  for (const name of programsChosen) await runProgram(name, proxy.url, log)
  if (given.includes("--agents")) {
    for (const agent of agents.filter(({ name }) => chosen(name))) await runAgent(agent, proxy.url, log, scratch)
  }
  log.close()
} finally {
  for (const child of children) {
    child.removeAllListeners("exit")
    child.kill("SIGKILL")
  }
  rmSync(scratch, { recursive: true, force: true })
}

const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column].length)))
for (const [client, what, ok] of rows) console.log(`${client.padEnd(widths[0])} · ${what.padEnd(widths[1])} · ${ok}`)
const failed = rows.filter((row) => row[2] !== "ok").length
console.log(`\n${rows.length} checks, ${failed} failed`)
process.exit(failed === 0 && rows.length > 0 ? 0 : 1)
