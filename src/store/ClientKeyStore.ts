import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { hash, randomBytes } from "node:crypto"
import type { StoreError } from "./StoreError.js"
import { Writer } from "./Writer.js"

/**
 * The keys by which a proxy knows its clients.
 *
 * A key is `tau_<id>_<secret>`, the secret 256 random bits. The store has its plain SHA-256: slow or salted hashes make guessing
 * dear, and what was drawn from 2^256 cannot be guessed at any price, while each call pays for the hash.
 */
export class ClientKeyStore extends Context.Tag("tau/store/ClientKeyStore")<ClientKeyStore, {
  /** The new key, which can never be shown again, and its id. */
  readonly create: (
    key: { readonly name: string; readonly scope: string; readonly expiresAtMs: number | null }
  ) => Effect.Effect<{ readonly id: string; readonly key: string }, StoreError>
  /** Whether there is such a key. Proxies that run know within a second. */
  readonly revoke: (id: string) => Effect.Effect<boolean, StoreError>
}>() {
  static readonly layer = Layer.effect(
    ClientKeyStore,
    Effect.map(Writer, (writer) =>
      ClientKeyStore.of({
        create: (key) =>
          Effect.suspend(() => {
            const id = randomBytes(5).toString("hex")
            const secret = randomBytes(32).toString("base64url")
            return Effect.as(
              writer.run("createClientKey", { ...key, id, secretSha256: hash("sha256", secret, "hex") }),
              { id, key: `tau_${id}_${secret}` }
            )
          }),
        revoke: (id) => writer.run("revokeClientKey", { id })
      }))
  )
}
