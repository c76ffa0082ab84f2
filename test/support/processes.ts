import { spawn, spawnSync } from "node:child_process"
import { join } from "node:path"

/** Whether the process runs; one that ended and was not waited for does not. */
export const alive = (pid: number): boolean => {
  const state = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" }).stdout.trim()
  return state !== "" && !state.startsWith("Z")
}

/** Asks again and again until the answer is there; fails after the deadline. */
export const eventually = async <A>(
  what: string,
  ask: () => A | undefined | false,
  deadlineMs = 10_000
): Promise<A> => {
  const deadline = performance.now() + deadlineMs
  for (;;) {
    const answer = ask()
    if (answer !== undefined && answer !== false) return answer
    if (performance.now() > deadline) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 15))
  }
}

const main = join(import.meta.dirname, "../../dist/cli/main.js")

/** The command as a proxy on a free port, with its store in `.tau` of the folder, and only these variables beside PATH. */
export const startProxy = async (folder: string, upstream: string, env: Readonly<Record<string, string>> = {}) => {
  const child = spawn(process.execPath, [
    main,
    "--prompt-optimization-proxy-server",
    "--prompt-optimization-proxy-bind",
    "127.0.0.1:0",
    "--prompt-optimization-proxy-upstream-url",
    upstream
  ], { cwd: folder, env: { PATH: process.env["PATH"], ...env }, stdio: ["ignore", "pipe", "pipe"] })
  let output = ""
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()))
  child.stdout.on("data", (part: Buffer) => output += part.toString())
  child.stderr.on("data", (part: Buffer) => output += part.toString())
  const origin = await eventually("the proxy listens", () => /listening on (\S+)\/v1/.exec(output)?.[1], 30_000)
  return { child, ended, origin }
}
