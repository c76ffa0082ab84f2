import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { existsSync } from "node:fs"
import { type ClientKey, ClientKeyStore } from "../store/ClientKeyStore.js"
import * as Sqlite from "../store/Sqlite.js"
import { type CommandError, CommandFailed } from "./CliError.js"
import { ExitCode } from "./ExitCode.js"

export interface KeysInput {
  readonly verb: "create" | "list" | "revoke"
  readonly id: string | null
  readonly storePath: string
  readonly name: string
  readonly scope: string
  readonly expiresDays: number | null
  readonly json: boolean
}

const dayMs = 86_400_000

/** Answers on stdout; a new key is there and nowhere else. */
export const run = (input: KeysInput): Effect.Effect<number, CommandError> =>
  Effect.gen(function*() {
    // Who only asks, or asks for what cannot be there, must not be the one who makes the store.
    if (input.verb !== "create" && !existsSync(input.storePath)) {
      return yield* new CommandFailed({ detail: `there is no store at ${input.storePath}` })
    }
    const answer = yield* carryOut(input).pipe(
      Effect.provide(ClientKeyStore.layer.pipe(Layer.provide(Sqlite.layer({ path: input.storePath, kind: "control" }))))
    )
    process.stdout.write(input.json ? `${JSON.stringify(answer.json)}\n` : answer.text)
    return ExitCode.success
  })

const carryOut = Effect.fnUntraced(function*({ expiresDays, id, name, scope, verb }: KeysInput) {
  const keys = yield* ClientKeyStore
  if (verb === "create") {
    const expiresAtMs = expiresDays === null ? null : Date.now() + expiresDays * dayMs
    const created = yield* keys.create({ name, scope, expiresAtMs })
    return {
      json: { schema_version: 1, ...created, name, scope, expires_at_ms: expiresAtMs },
      text: `${created.key}\n\nThis is the only time it is shown. Its id is ${created.id}, its scope ${scope}.\n`
    }
  }
  if (verb === "revoke") {
    if (!(yield* keys.revoke(id ?? ""))) return yield* new CommandFailed({ detail: `there is no key ${id}` })
    return { json: { schema_version: 1, id, revoked: true }, text: `${id} is revoked\n` }
  }
  const all = yield* keys.list
  return {
    json: { schema_version: 1, keys: all.map(toJson) },
    text: all.length === 0 ? "There are no keys.\n" : all.map(toText).join("")
  }
})

const toJson = (key: ClientKey) => ({
  id: key.id,
  name: key.name,
  scope: key.scope,
  created_at_ms: key.createdAtMs,
  expires_at_ms: key.expiresAtMs,
  revoked_at_ms: key.revokedAtMs,
  last_used_at_ms: key.lastUsedAtMs
})

const toText = (key: ClientKey): string => {
  const state = key.revokedAtMs !== null
    ? `revoked ${day(key.revokedAtMs)}`
    : key.expiresAtMs === null
    ? "good"
    : `${key.expiresAtMs <= Date.now() ? "expired" : "good until"} ${day(key.expiresAtMs)}`
  const used = key.lastUsedAtMs === null ? "never used" : `used ${day(key.lastUsedAtMs)}`
  return `${key.id}  ${key.scope}  ${state}, made ${day(key.createdAtMs)}, ${used}  ${JSON.stringify(key.name)}\n`
}

const day = (ms: number) => new Date(ms).toISOString().slice(0, 16).replace("T", " ")
