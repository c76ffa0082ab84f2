/** One real proxy process before a misbehaving upstream, shared by many cases, and what must hold after each of them. */
import Database from "better-sqlite3"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { Agent, type IncomingHttpHeaders, request as send } from "node:http"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert } from "vitest"
import { type FaultyRequest, type FaultyUpstream, startFaultyUpstream } from "../../../src/testing/index.js"
import { eventually } from "../../support/processes.js"

const main = join(import.meta.dirname, "../../../dist/cli/main.js")

/** Shown to the proxy with every call, in each of the places that keys are put in. */
export const plantedKey = "sk-planted-5f0c9a7e21"

/** Small enough that a case which runs into one of them is over soon. */
export const smallLimits = {
  headMs: 2_000,
  uploadIdleMs: 500,
  clientIdleMs: 1_000,
  callMs: 4_000,
  recordedBytesMax: 1024 * 1024,
  recordingBytesMax: 48 * 1024 * 1024,
  connectionsMax: 2_000
}

/** Most that the process may hold at any time: Node with the store takes 130 MB of it. */
const residentBytesMax = 450 * 1024 * 1024

export interface Ask {
  readonly fault?: string
  readonly method?: string
  /** Below the attempt's prefix. */
  readonly path?: string
  readonly headers?: Readonly<Record<string, string | ReadonlyArray<string>>>
  readonly body?: string | Uint8Array
  /** Leaves once so much of the answer's body has come. */
  readonly leaveAfterBytes?: number
  /** Leaves then, whatever has come. */
  readonly deadlineMs?: number
}

export interface Answer {
  /** Null when no head came. */
  readonly status: number | null
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly ending: "whole" | "broken" | "left"
}

export interface SpanRow {
  readonly state: string
  readonly statusCode: number | null
  readonly requestBytes: number
  readonly responseBytes: number
  readonly attributes: string
}

const none: Answer = { status: null, headers: {}, body: Buffer.alloc(0), ending: "broken" }

const ask = (origin: string, prefix: string, given: Ask): Promise<Answer> =>
  new Promise((resolve) => {
    const {
      body,
      fault,
      headers,
      deadlineMs = 10_000,
      leaveAfterBytes = Infinity,
      method = "POST",
      path = "/v1/chat/completions"
    } = given
    const outgoing = send(`${origin}${prefix}${path}`, {
      method,
      agent: new Agent({ keepAlive: false }),
      maxHeaderSize: 1024 * 1024,
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${plantedKey}`,
        "x-api-key": plantedKey,
        ...(fault !== undefined && { "x-fault": fault }),
        ...headers as Record<string, string>
      }
    })
    const patience = setTimeout(() => outgoing.destroy(), deadlineMs)
    outgoing.on("close", () => clearTimeout(patience)).on("error", () => resolve(none)).on("response", (incoming) => {
      const parts: Array<Buffer> = []
      let bytes = 0
      const over = (ending: Answer["ending"]) =>
        resolve({
          status: incoming.statusCode ?? null,
          headers: incoming.headers,
          body: Buffer.concat(parts),
          ending
        })
      incoming.on("data", (part: Buffer) => {
        parts.push(part)
        bytes += part.length
        if (bytes < leaveAfterBytes) return
        over("left")
        outgoing.destroy()
      }).on("error", () => over("broken")).on("aborted", () => over("broken")).on("end", () => over("whole"))
    })
    outgoing.end(body ?? (method === "POST" ? `{"model":"faulty","messages":[]}` : undefined))
  })

export class Bench {
  /** What the upstream was asked, whole. */
  readonly asked: Array<FaultyRequest> = []
  residentBytesHighest = 0
  private output = ""
  readonly folder = mkdtempSync(join(tmpdir(), "tau-faults-"))
  readonly storePath = join(this.folder, ".tau/training/store.sqlite")
  upstream!: FaultyUpstream
  child!: ChildProcess
  origin = ""
  private attempts = 0

  static async start(
    flags: ReadonlyArray<string> = [],
    limits: Partial<typeof smallLimits> = {},
    upstream?: FaultyUpstream
  ): Promise<Bench> {
    const bench = new Bench()
    bench.upstream = upstream ?? await startFaultyUpstream({ onRequest: (request) => bench.asked.push(request) })
    const timeout = "--prompt-optimization-proxy-timeout-ms"
    await bench.launch([
      ...(flags.includes(timeout) ? [] : [timeout, "1500"]),
      "--prompt-optimization-proxy-limits",
      Object.entries({ ...smallLimits, ...limits }).map(([name, value]) => `${name}=${value}`).join(),
      ...flags
    ])
    return bench
  }

  private async launch(flags: ReadonlyArray<string>) {
    const fixed = ["--prompt-optimization-proxy-server", "--prompt-optimization-proxy-bind", "127.0.0.1:0"]
    const given = [...fixed, "--prompt-optimization-proxy-upstream-url", this.upstream.origin, ...flags]
    this.child = spawn(process.execPath, [main, ...given], {
      cwd: this.folder,
      env: { PATH: process.env["PATH"] },
      stdio: ["ignore", "pipe", "pipe"]
    })
    this.child.stdout!.on("data", (part: Buffer) => this.output += part.toString())
    this.child.stderr!.on("data", (part: Buffer) => this.output += part.toString())
    this.origin = await eventually("the proxy listens", () => /listening on (\S+)\/v1/.exec(this.output)?.[1], 20_000)
  }

  async stop(): Promise<void> {
    this.child.kill("SIGKILL")
    await this.upstream.close()
    rmSync(this.folder, { recursive: true, force: true })
  }

  get port(): number {
    return Number(new URL(this.origin).port)
  }

  /** A new attempt for one case: its calls are found by it. */
  newAttempt(): string {
    this.attempts += 1
    return `case-${this.attempts}`
  }

  prefixOf(attempt: string): string {
    return `/rollout/faults/attempt/${attempt}`
  }

  ask(attempt: string, given: Ask = {}): Promise<Answer> {
    return ask(this.origin, this.prefixOf(attempt), given)
  }

  /** The same without the proxy. */
  askDirectly(given: Ask = {}): Promise<Answer> {
    return ask(this.upstream.origin, "", given)
  }

  spansOf(attempt: string): ReadonlyArray<SpanRow> {
    const db = new Database(this.storePath, { readonly: true })
    try {
      return db.prepare(
        `SELECT state, status_code AS statusCode, request_bytes AS requestBytes, response_bytes AS responseBytes, attributes
         FROM spans WHERE attempt_id = ? ORDER BY sequence_id`
      ).all(attempt) as ReadonlyArray<SpanRow>
    } finally {
      db.close()
    }
  }

  /** The stored bodies of an attempt's only call. */
  bodiesOf(attempt: string): { readonly request: Buffer; readonly response: Buffer } {
    const db = new Database(this.storePath, { readonly: true })
    try {
      const body = (column: string) =>
        (db.prepare(`SELECT content FROM payloads JOIN spans ON sha256 = ${column} WHERE attempt_id = ?`).pluck().get(
          attempt
        ) ?? Buffer.alloc(0)) as Buffer
      return { request: body("request_sha256"), response: body("response_sha256") }
    } finally {
      db.close()
    }
  }

  /** Bytes written to a bare socket, and all that comes back until the proxy closes it, or `until` says that it is enough. */
  async exchange(
    play: (socket: ReturnType<typeof connect>) => void,
    until: (text: string) => boolean = () => false,
    deadlineMs = 8_000
  ): Promise<{ readonly text: string; readonly isClosed: boolean }> {
    const socket = connect({ port: this.port, host: "127.0.0.1", allowHalfOpen: true })
    let text = ""
    let isClosed = false
    socket.on("data", (part: Buffer) => text += part.toString("latin1"))
    socket.on("error", () => {}).on("end", () => isClosed = true).on("close", () => isClosed = true)
    await new Promise<void>((resolve) => socket.once("connect", () => resolve()))
    play(socket)
    try {
      await eventually(
        `the proxy's word; so far ${JSON.stringify(text.slice(0, 300))}`,
        () => isClosed || until(text),
        deadlineMs
      )
    } finally {
      socket.destroy()
    }
    return { text, isClosed }
  }

  async health(): Promise<Readonly<Record<string, unknown>>> {
    const answer = await ask(this.origin, "/training/proxy/health", { method: "GET", path: "" })
    return JSON.parse(answer.body.toString()) as Record<string, unknown>
  }

  /** What must hold after every case, whatever it was; the states of the attempt's spans are compared as well. */
  async isWell(attempt: string, states: ReadonlyArray<string>): Promise<void> {
    let last: Record<string, unknown> = {}
    const deadline = performance.now() + 5_000
    for (;;) {
      last = await this.health()
      if (last["calls_under_way"] === 0 && this.upstream.underWay() === 0) break
      assert.isBelow(
        performance.now(),
        deadline,
        `calls are left: ${
          JSON.stringify(last)
        }, ${this.upstream.underWay()} of ${this.upstream.connections()} upstream`
      )
      await new Promise((resolve) => setTimeout(resolve, 15))
    }
    assert.strictEqual(last["status"], "ready")
    assert.strictEqual(last["spans_lost"], 0)
    assert.strictEqual(last["attribution_log_lost"], 0)
    // Nobody waits for the commit of a call whose client has left.
    const statesNow = () => this.spansOf(attempt).map(({ state }) => state)
    while (statesNow().length < states.length && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 15))
    }
    assert.deepStrictEqual(statesNow(), states)
    const good = await this.ask("good")
    assert.strictEqual(`${good.status} ${good.ending} ${good.body.includes("chatcmpl-faulty")}`, "200 whole true")
    assert.strictEqual(this.spansOf("good").at(-1)?.state, "done")
    assert.isNull(this.child.exitCode, this.output)
    const resident = this.residentBytes()
    this.residentBytesHighest = Math.max(this.residentBytesHighest, resident)
    assert.isBelow(resident, residentBytesMax)
    this.holdsNoKey()
  }

  /** What the process holds in memory now. */
  residentBytes(): number {
    const { stdout } = spawnSync("ps", ["-o", "rss=", "-p", String(this.child.pid)], { encoding: "utf8" })
    return Number(stdout) * 1024
  }

  private holdsNoKey() {
    assert.notInclude(this.output, plantedKey)
    const folder = join(this.folder, ".tau/training")
    for (const name of ["store.sqlite", "store.sqlite-wal", "proxy-attribution.jsonl"]) {
      const path = join(folder, name)
      assert.isFalse(existsSync(path) && readFileSync(path).includes(plantedKey), `a key is in ${name}`)
    }
  }
}
