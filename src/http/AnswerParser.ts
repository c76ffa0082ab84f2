/**
 * Reads HTTP/1.1 answers with llhttp, Node's own parser, in the build that undici ships and reads with. What is left out is what undici
 * puts around it: an event and a buffer for each header, a view for each call into the parser.
 */
import { createRequire } from "node:module"
import { errors } from "./Undici.js"

/** What an answer is made of, in the order in which it comes. */
export interface AnswerReader {
  /**
   * The head of an answer, or of an informational one (1xx): names and values in turn. Says what is to follow it: a body, if its head
   * tells of one; none whatever it tells; another protocol; or nothing that could be read, since it is not what was asked for.
   */
  onHead(
    status: number,
    headers: ReadonlyArray<string>,
    reason: string,
    head: AnswerFraming
  ): "body" | "none" | "upgrade" | "stop"
  /** A piece of the body, of its own memory. `true` stops the parser behind it, until `resume`. */
  onBody(bytes: Buffer): boolean
  /** It is whole. What comes behind a last answer is not read any more. */
  onWhole(trailers: ReadonlyArray<string>): void
}

export interface AnswerFraming {
  /** Another answer may follow on the connection. */
  readonly keepsAlive: boolean
  readonly isUpgrade: boolean
}

/**
 * What became of bytes. They were `read`, or only up to where the reader `stopped` it; or with them an answer is `whole`, or was
 * whole `before` they ended: what answers nothing is not read. Of an `upgrade`, they are the other protocol's from there on.
 */
export type Progress = "read" | "stopped" | "whole" | "before" | "upgrade"

/** A socket may read into this: its bytes are used up before another one can. */
export const readBuffer = Buffer.allocUnsafeSlow(65_536)

/** Stops the parser behind what it has just told. */
const stopped = 21
const upgraded = 22
const headersBytesMax = 64 * 1024
const reasonMax = 1_024
const nothing = Buffer.alloc(0)

interface Llhttp {
  readonly memory: { readonly buffer: ArrayBuffer }
  _initialize(): void
  malloc(bytes: number): number
  llhttp_alloc(type: number): number
  llhttp_free(parser: number): void
  llhttp_execute(parser: number, at: number, bytes: number): number
  llhttp_finish(parser: number): number
  llhttp_resume(parser: number): void
  llhttp_get_error_pos(parser: number): number
  llhttp_get_error_reason(parser: number): number
  llhttp_errno_name(error: number): number
}

/** The one that reads at the moment: a parser is never called from within a parser. */
let current: AnswerParser | null = null

/** Where the bytes are that are read, in the parser's memory and in ours. */
let base = 0
let bytesRead: Buffer = nothing
let memory = new Uint8Array(0)

const textAt = (at: number, length: number) => bytesRead.toString("latin1", at - base, at - base + length)

const hooks = {
  wasm_on_url: () => 0,
  wasm_on_message_begin: () => 0,
  wasm_on_status: (_: number, at: number, length: number) => current!.onReason(textAt(at, length)),
  wasm_on_header_field: (_: number, at: number, length: number) => current!.onName(textAt(at, length)),
  wasm_on_header_value: (_: number, at: number, length: number) => current!.onValue(textAt(at, length)),
  wasm_on_headers_complete: (_: number, status: number, upgrade: number, keepsAlive: number) =>
    current!.onHead(status, { isUpgrade: upgrade === 1, keepsAlive: keepsAlive === 1 }),
  wasm_on_body: (_: number, at: number, length: number) =>
    current!.onBody(Buffer.from(bytesRead.subarray(at - base, at - base + length))),
  wasm_on_message_complete: () => current!.onWhole()
}

const require = createRequire(import.meta.url)

/** Node's types know of its modules, and not of how to make one. */
const { Instance, Module } = (globalThis as unknown as {
  WebAssembly: {
    Instance: new(module: object, imports: { env: typeof hooks }) => { readonly exports: Llhttp }
    Module: new(bytes: Buffer) => object
  }
}).WebAssembly

const compiled = () => {
  try {
    return new Module(require("undici/lib/llhttp/llhttp_simd-wasm.js") as Buffer)
  } catch {
    return new Module(require("undici/lib/llhttp/llhttp-wasm.js") as Buffer)
  }
}

/** The parser's hooks are its reader's for so long. */
const within = (
  parser: AnswerParser,
  bytes: Buffer,
  run: (parser: number, at: number, bytes: number) => number
): number => {
  current = parser
  bytesRead = bytes
  try {
    return run(parser.address, base, bytes.length)
  } finally {
    current = null
    bytesRead = nothing
  }
}

let loaded: Llhttp | null = null

const load = (): Llhttp => {
  if (loaded !== null) return loaded
  loaded = new Instance(compiled(), { env: hooks }).exports
  loaded._initialize()
  base = loaded.malloc(readBuffer.length)
  return loaded
}

/** The answers of one connection, one after another. To be freed with it. */
export class AnswerParser {
  private readonly llhttp = load()
  readonly address: number
  private headers: Array<string> = []
  private headersBytes = 0
  private isInValue = false
  private reason = ""
  private status = 0
  private isWhole = false
  private overflow: Error | null = null
  /** Not read yet, since the reader stopped it, or not to be read at all. */
  private rest: Buffer | null = null

  constructor(private readonly reader: AnswerReader) {
    const response = 2
    this.address = this.llhttp.llhttp_alloc(response)
  }

  /** Nothing more is read until `resume`. */
  get isStopped(): boolean {
    return this.rest !== null
  }

  /** Bytes of the protocol that was changed to. */
  get beyond(): Buffer {
    return this.rest ?? nothing
  }

  /** Throws when they are no HTTP. What a reader throws comes through. */
  read(bytes: Buffer): Progress {
    let at = 0
    do {
      const part = bytes.length <= readBuffer.length ? bytes : bytes.subarray(at, at + readBuffer.length)
      at += part.length
      const progress = this.execute(part)
      if (progress === "read") continue
      if (progress === "stopped" || progress === "upgrade") this.rest = Buffer.concat([this.rest!, bytes.subarray(at)])
      return progress === "whole" && at < bytes.length ? "before" : progress
    } while (at < bytes.length)
    return "read"
  }

  /** Goes on where it was stopped. */
  resume(): Progress {
    const rest = this.rest ?? nothing
    this.rest = null
    this.llhttp.llhttp_resume(this.address)
    return this.read(rest)
  }

  /** The connection has ended, and with it a body of which nothing else tells the end. Throws when there is none. */
  end(): Progress {
    const error = within(this, nothing, this.llhttp.llhttp_finish)
    if (this.isWhole) return "whole"
    if (error !== 0) throw this.errorOf(error)
    return "read"
  }

  free(): void {
    this.llhttp.llhttp_free(this.address)
  }

  /** Of no meaning to anyone: what of it is too long is dropped. */
  onReason(text: string): number {
    this.reason = (this.reason + text).slice(0, reasonMax)
    return 0
  }

  onName(text: string): number {
    const { headers } = this
    if (this.isInValue || headers.length === 0) headers.push(text)
    else headers[headers.length - 1] += text
    this.isInValue = false
    return this.count(text)
  }

  onValue(text: string): number {
    const { headers } = this
    if (this.isInValue) headers[headers.length - 1] += text
    else headers.push(text)
    this.isInValue = true
    return this.count(text)
  }

  onHead(status: number, framing: AnswerFraming): number {
    const { headers, reason } = this
    this.clear()
    this.status = status
    const follows = this.reader.onHead(status, headers, reason, framing)
    if (follows === "stop") return -1
    if (follows === "upgrade") return 2
    return follows === "none" || status < 200 ? 1 : 0
  }

  onBody(bytes: Buffer): number {
    return this.reader.onBody(bytes) ? stopped : 0
  }

  onWhole(): number {
    const { headers, status } = this
    this.clear()
    if (status < 200) return 0
    this.isWhole = true
    this.reader.onWhole(headers)
    return stopped
  }

  private count(text: string): number {
    this.headersBytes += text.length
    if (this.headersBytes < headersBytesMax) return 0
    this.overflow = new errors.HeadersOverflowError()
    return -1
  }

  private clear() {
    this.headers = []
    this.headersBytes = 0
    this.isInValue = false
    this.reason = ""
  }

  private execute(bytes: Buffer): Progress {
    const { address, llhttp } = this
    // It is another one once the parser's memory has grown.
    if (memory.buffer !== llhttp.memory.buffer) memory = new Uint8Array(llhttp.memory.buffer, base, readBuffer.length)
    memory.set(bytes)
    const error = within(this, bytes, llhttp.llhttp_execute)
    if (error === 0) return "read"
    if (error !== stopped && error !== upgraded) throw this.errorOf(error)
    const rest = bytes.subarray(llhttp.llhttp_get_error_pos(address) - base)
    if (error === upgraded || !this.isWhole) {
      this.rest = Buffer.from(rest)
      return error === upgraded ? "upgrade" : "stopped"
    }
    this.isWhole = false
    llhttp.llhttp_resume(address)
    return rest.length === 0 ? "whole" : "before"
  }

  private errorOf(error: number): Error {
    if (this.overflow !== null) return this.overflow
    const { address, llhttp } = this
    const reason = this.textFrom(llhttp.llhttp_get_error_reason(address))
    const code = this.textFrom(llhttp.llhttp_errno_name(error))
    return Object.assign(new errors.HTTPParserError(`the answer is not HTTP/1.1 (${reason})`), { code })
  }

  private textFrom(at: number): string {
    if (at === 0) return ""
    const bytes = Buffer.from(this.llhttp.memory.buffer, at)
    return bytes.toString("latin1", 0, bytes.indexOf(0))
  }
}
