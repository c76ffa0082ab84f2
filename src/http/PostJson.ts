/**
 * One POST of JSON to a server that the config names: no redirect, no retry, an answer of limited size, and a connection of
 * its own, so that no server's idle timeout can fail the next call.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Dispatcher } from "undici"
import { decodeBody, isCoding } from "../openai/Decode.js"
import { connectionTrouble } from "./ConnectionTrouble.js"
import { Agent, request } from "./Undici.js"

export interface Post {
  readonly url: string
  /** Sent besides `ownHeaders`, of which it may name none. */
  readonly headers: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body: unknown
  /** Most bytes read of the answer, packed and unpacked. */
  readonly bytesMax: number
}

/** What the server said, whatever its status. */
export interface Answer {
  readonly status: number
  /** UTF-8, without a byte order mark; other bytes become U+FFFD. */
  readonly text: string
  /** False when there was more, which was not read. */
  readonly isWhole: boolean
}

/** There is no answer: the server could not be reached, or broke off. */
export class NoAnswer extends Schema.TaggedError<NoAnswer>()("NoAnswer", {
  detail: Schema.String,
  cause: Schema.Defect
}) {
  override get message() {
    return this.detail
  }
}

/** Headers that are written here or by the connection; lower case. */
export const ownHeaders: ReadonlySet<string> = new Set([
  "accept",
  "connection",
  "content-length",
  "content-type",
  "expect",
  "keep-alive",
  "transfer-encoding",
  "upgrade"
])

/** Waits for as long as the server takes: limits of time are the caller's. Interrupting it closes the connection. */
export const postJson = (post: Post): Effect.Effect<Answer, NoAnswer> =>
  Effect.acquireUseRelease(
    Effect.sync(() => new Agent({ headersTimeout: 0, bodyTimeout: 0 })),
    (agent) =>
      Effect.tryPromise({
        try: (signal) => send(agent, post, signal),
        catch: (cause) => new NoAnswer({ detail: `the server gave no answer: ${connectionTrouble(cause)}`, cause })
      }),
    (agent) => Effect.promise(() => agent.destroy())
  )

// Takes a mark off, with which some servers begin and no JSON may.
const decoder = new TextDecoder()

const send = async (agent: Dispatcher, post: Post, signal: AbortSignal): Promise<Answer> => {
  const response = await request(post.url, agent, {
    method: "POST",
    headers: { ...post.headers, accept: "application/json", "content-type": "application/json" },
    body: JSON.stringify(post.body),
    signal
  })
  const chunks: Array<Buffer> = []
  let room = post.bytesMax
  let isWhole = true
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    chunks.push(chunk.subarray(0, room))
    room -= chunk.length
    if (room < 0) {
      isWhole = false
      // Leaving the loop destroys the body and with it the connection.
      break
    }
  }
  // Not asked for, and some servers send it all the same. Others name there what packs nothing: `utf-8`.
  const codings = [response.headers["content-encoding"] ?? []].flat().join(",").split(",").filter(isCoding)
  const decoded = decodeBody(Buffer.concat(chunks), codings.join(","))
  if ("reason" in decoded) throw new Error(`none that can be unpacked: ${decoded.reason}`)
  const { bytes } = decoded
  return {
    status: response.statusCode,
    text: decoder.decode(bytes.subarray(0, post.bytesMax)),
    isWhole: isWhole && bytes.length <= post.bytesMax
  }
}
