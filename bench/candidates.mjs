// The proxies that are compared, each in a process of its own, and what their processes cost.
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { setTimeout } from "node:timers/promises"
import { fileURLToPath } from "node:url"

const here = (file) => fileURLToPath(new URL(file, import.meta.url))

/** A process whose first line names its URL. */
const start = async (...args) => {
  const startedAt = performance.now()
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] })
  const [line] = await once(createInterface({ input: child.stdout }), "line")
  return { url: /http:\/\/[\d.:]+/.exec(line)[0], child, headers: "", startMs: performance.now() - startedAt }
}

/** A server of server.mjs: `upstream` or `bare`. */
export const serve = (...args) => start(here("./server.mjs"), ...args)

/** The product, as its users start it: every call recorded, committed with synchronous=FULL before its last byte leaves. */
export const serveTau = async (upstreamUrl, folder) => ({
  ...await start(
    here("../dist/cli/main.js"),
    "--prompt-optimization-proxy-server",
    "--prompt-optimization-proxy-bind=127.0.0.1:0",
    `--prompt-optimization-proxy-upstream-url=${upstreamUrl}`,
    `--prompt-optimization-proxy-state-dir=${folder}`
  ),
  storePath: join(folder, "training/store.sqlite")
})

const freePort = async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address()
  server.close()
  return port
}

const answers = async (url) => {
  for (let tries = 0; tries < 200; tries++) {
    if (await fetch(url).then(() => true, () => false)) return
    await setTimeout(50)
  }
  throw new Error(`nothing answers on ${url}`)
}

/** Debian's nginx as a pass-through with kept connections, one worker; null where it is not installed. */
export const nginx = async (upstreamUrl, folder) => {
  try {
    execFileSync("nginx", ["-v"], { stdio: "ignore" })
  } catch {
    return null
  }
  const port = await freePort()
  mkdirSync(join(folder, "nginx"), { recursive: true })
  const config = join(folder, "nginx", "nginx.conf")
  writeFileSync(
    config,
    `daemon off; worker_processes 1; pid ${folder}/nginx/pid; error_log ${folder}/nginx/error.log; events { worker_connections 4096; }
http { access_log off; client_body_temp_path ${folder}/nginx/b; proxy_temp_path ${folder}/nginx/p; fastcgi_temp_path ${folder}/nginx/f;
  uwsgi_temp_path ${folder}/nginx/u; scgi_temp_path ${folder}/nginx/s; keepalive_requests 1000000000;
  upstream u { server ${new URL(upstreamUrl).host}; keepalive 1024; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_buffering off; } } }\n`
  )
  const child = spawn("nginx", ["-c", config, "-p", folder], { stdio: "ignore" })
  const url = `http://127.0.0.1:${port}`
  await answers(url)
  return { url, child, headers: "" }
}

/** Portkey's gateway, which records nothing; null unless `npm ci --prefix bench` was run. */
export const portkey = async (upstreamUrl) => {
  const script = here("./node_modules/@portkey-ai/gateway/build/start-server.js")
  if (!existsSync(script)) return null
  const port = await freePort()
  const child = spawn(process.execPath, [script, "--headless", `--port=${port}`], {
    stdio: "ignore",
    env: { ...process.env, TRUSTED_CUSTOM_HOSTS: "127.0.0.1,localhost" }
  })
  const url = `http://127.0.0.1:${port}`
  await answers(url)
  return { url, child, headers: `x-portkey-provider: openai\r\nx-portkey-custom-host: ${upstreamUrl}/v1\r\n` }
}

const tasksOf = (pid) => {
  // nginx does its work in a child.
  const children = existsSync(`/proc/${pid}/task/${pid}/children`)
    ? readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter((child) => child.trim() !== "")
    : []
  return [pid, ...children].flatMap((process) => readdirSync(`/proc/${process}/task`).map((task) => [process, task]))
}

/** CPU time in microseconds of all threads of a process, and of its main thread alone; NaN where the kernel does not tell. */
export const cpuUs = ({ child: { pid } }) => {
  if (!existsSync(`/proc/${pid}/task`)) return { all: Number.NaN, main: Number.NaN }
  const of = ([process, task]) => {
    try {
      return Number(readFileSync(`/proc/${process}/task/${task}/schedstat`, "utf8").split(" ")[0]) / 1000
    } catch {
      return 0
    }
  }
  return { all: tasksOf(pid).reduce((sum, task) => sum + of(task), 0), main: of([pid, pid]) }
}

/** Resident memory of a process, MB. */
export const residentMb = ({ child: { pid } }) =>
  existsSync(`/proc/${pid}/status`)
    ? Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024
    : Number.NaN

/** Milliseconds until a command has ended, median of five. */
export const commandMs = (...args) => {
  const times = Array.from({ length: 5 }, () => {
    const startedAt = performance.now()
    execFileSync(process.execPath, args, { stdio: "ignore" })
    return performance.now() - startedAt
  })
  return median(times)
}

export const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
