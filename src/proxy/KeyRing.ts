/** The clients' keys as this process knows them: a copy in memory, so that no call waits for the store. */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { hash, timingSafeEqual } from "node:crypto"
import type { IncomingHttpHeaders } from "node:http"
import { Writer } from "../store/Writer.js"

interface KnownKey {
  readonly id: string
  readonly secretSha256: string
  readonly scope: string
  readonly expiresAtMs: number | null
}

export interface GoodKey {
  readonly id: string
  readonly scope: string
}

interface HeldKey extends GoodKey {
  readonly hash: Buffer
  readonly expiresAtMs: number | null
}

/** How soon a revoked key is refused, at the latest, and how exact the time of a key's last use is. */
const readEvery = "500 millis"
const noteEvery = "5 seconds"

export class KeyRing {
  private keys: ReadonlyMap<string, HeldKey> = new Map()
  private readonly used = new Set<string>()

  learn(keys: ReadonlyArray<KnownKey>): void {
    this.keys = new Map(
      keys.map(({ expiresAtMs, id, scope, secretSha256 }) => [id, {
        id,
        hash: Buffer.from(secretSha256, "hex"),
        scope,
        expiresAtMs
      }])
    )
  }

  /** The shown key, with what it is good for: `capture` or a run's id. Null when it is good for nothing. */
  goodKey(shown: string): GoodKey | null {
    const [, id, secret] = keyPattern.exec(shown) ?? []
    if (id === undefined || secret === undefined) return null
    const known = this.keys.get(id)
    // The same work for an id that nobody has.
    const isRight = timingSafeEqual(Buffer.from(hash("sha256", secret, "hex"), "hex"), known?.hash ?? nobody)
    if (known === undefined || !isRight || (known.expiresAtMs ?? Number.POSITIVE_INFINITY) <= Date.now()) return null
    this.used.add(id)
    return known
  }

  takeUsed(): ReadonlyArray<string> {
    const ids = [...this.used]
    this.used.clear()
    return ids
  }
}

const keyPattern = /^tau_([0-9a-z]{4,32})_([A-Za-z0-9_-]{43})$/
const nobody = Buffer.alloc(32)

/** The key that a browser offers as a protocol of a WebSocket, where it cannot set headers; null when it offers none. */
export const keyOfProtocol = (protocols: string): string | null =>
  /(?:^|,)\s*openai-insecure-api-key\.([^\s,]+)/.exec(protocols)?.[1] ?? null

/** Everything that a client shows as a key, wherever its API puts it. */
export const shownKeys = (headers: IncomingHttpHeaders): ReadonlyArray<string> =>
  [
    headers.authorization?.replace(/^Bearer\s+/i, ""),
    headers["x-api-key"],
    headers["api-key"],
    keyOfProtocol(headers["sec-websocket-protocol"] ?? "")
  ].filter((key): key is string => typeof key === "string")

/** The key that counts: one of ours before any other, null when there is none. */
export const shownKey = (headers: IncomingHttpHeaders): string | null => {
  const keys = shownKeys(headers)
  return keys.find(isOwnKey) ?? keys[0] ?? null
}

/** Whether the value of a header is a key of ours, right or not: it never goes to an upstream. */
export const isOwnKey = (value: string): boolean => /^(?:\S+\s+)?tau_/i.test(value)

/** Whether a text that goes on as it is has a key of ours in it. */
export const holdsOwnKey = (text: string): boolean => text.includes("tau") && ownKey.test(text)

const ownKey = /tau_[0-9a-z]{4,32}_[A-Za-z0-9_-]{43}|tau-run-[0-9a-f]{32}/

/** Reads the keys now and again, for as long as the scope is open. What cannot be read stays as it was. */
export const openKeyRing = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const writer = yield* Writer
  const ring = new KeyRing()
  const read = Effect.map(
    sql<KnownKey>`SELECT id, secret_sha256, scope, expires_at_ms FROM client_keys WHERE revoked_at_ms IS NULL`,
    (keys) => ring.learn(keys)
  )
  const note = Effect.suspend(() => {
    const ids = ring.takeUsed()
    return ids.length === 0 ? Effect.void : writer.run("noteKeysUsed", { ids })
  })
  yield* Effect.addFinalizer(() => Effect.ignore(note))
  yield* Effect.ignore(read)
  yield* Effect.ignore(read).pipe(Effect.repeat(Schedule.spaced(readEvery)), Effect.forkScoped)
  yield* Effect.ignore(note).pipe(Effect.repeat(Schedule.spaced(noteEvery)), Effect.forkScoped)
  return ring
})
