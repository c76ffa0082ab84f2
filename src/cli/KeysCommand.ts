import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { fstatSync, statSync } from "node:fs"
import { devNull } from "node:os"
import { storeHint } from "../domain/CommandText.js"
import { safeJson, visible, widthOf, wrapped } from "../domain/TerminalText.js"
import { type ClientKey, ClientKeyReader } from "../store/ClientKeyReader.js"
import { ClientKeyStore } from "../store/ClientKeyStore.js"
import * as ReadOnlyStore from "../store/ReadOnlyStore.js"
import * as Sqlite from "../store/Sqlite.js"
import { type CommandError, CommandFailed } from "./CliError.js"
import { ExitCode } from "./ExitCode.js"
import { columns } from "./reading/Terminal.js"

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

interface Answer {
  readonly json: unknown
  readonly text: string
}

/** Answers on stdout; a new key is there and nowhere else. */
export const run = (input: KeysInput): Effect.Effect<number, CommandError> =>
  Effect.as(carryOut(input), ExitCode.success)

const carryOut = (input: KeysInput): Effect.Effect<unknown, CommandError> => {
  switch (input.verb) {
    case "create":
      return Effect.provide(create(input), writable(input.storePath))
    case "revoke":
      return Effect.flatMap(revoke(input), (answer) => show(input, answer))
    case "list":
      return Effect.flatMap(list, (answer) => show(input, answer)).pipe(
        Effect.provide(ClientKeyReader.layer.pipe(Layer.provide(ReadOnlyStore.layer(input.storePath))))
      )
  }
}

/** Why the answer could not be written; null when it was. */
const show = ({ json }: KeysInput, answer: Answer) =>
  Effect.async<Error | null>((resume) => {
    process.stdout.write(json ? `${safeJson(answer.json)}\n` : answer.text, (error) =>
      resume(Effect.succeed(error ?? null)))
  })

const writable = (path: string) => ClientKeyStore.layer.pipe(Layer.provide(Sqlite.layer({ path, kind: "control" })))

/** Whatever is written there nobody sees. Node opens it by itself where stdout was closed. */
const isShownNowhere = (): boolean => {
  const [stdout, nowhere] = [fstatSync(1), statSync(devNull, { throwIfNoEntry: false })]
  return stdout.isCharacterDevice() && stdout.rdev === nowhere?.rdev
}

const create = Effect.fnUntraced(function*(input: KeysInput) {
  const { expiresDays, name, scope } = input
  const expiresAtMs = expiresDays === null ? null : Date.now() + expiresDays * dayMs
  const keys = yield* ClientKeyStore
  const created = yield* keys.create({ name, scope, expiresAtMs })
  const trouble = yield* show(input, {
    json: { schema_version: 1, ...created, name, scope, expires_at_ms: expiresAtMs },
    text: `${created.key}\n\nThis is the only time it is shown. Its id is ${created.id}, its scope ${scope}.\n`
  })
  if (trouble === null && !isShownNowhere()) return
  // It would be good for as long as it lasts, and nobody knows it.
  yield* keys.revoke(created.id)
  return yield* new CommandFailed({
    detail: `the key could not be shown and is revoked: ${trouble?.message ?? `stdout is closed, or ${devNull}`}`,
    cause: trouble
  })
})

const revoke = Effect.fnUntraced(function*({ id, storePath }: KeysInput) {
  // Who asks for what cannot be there must not be the one who makes the store.
  yield* ReadOnlyStore.refuseAbsent(storePath)
  const wasThere = yield* Effect.flatMap(ClientKeyStore, (keys) => keys.revoke(id ?? "")).pipe(
    Effect.provide(writable(storePath))
  )
  if (!wasThere) {
    const detail = `there is no key ${visible(id ?? "")} in ${storePath}; tau keys list${
      storeHint(storePath)
    } lists them`
    return yield* new CommandFailed({ detail })
  }
  return { json: { schema_version: 1, id, revoked: true }, text: `${id} is revoked\n` }
})

const list = Effect.gen(function*() {
  const all = yield* (yield* ClientKeyReader).list
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
  const made = `${key.id}  ${key.scope}  ${state}, made ${day(key.createdAtMs)},`
  const rest = `${used}  ${safeJson(key.name)}`
  const lines = widthOf(`${made} ${rest}`) <= columns
    ? [`${made} ${rest}`]
    : [made, ...wrapped(rest, columns - indent).map((line) => " ".repeat(indent) + line)]
  return lines.map((line) => `${line}\n`).join("")
}

/** As far as the scopes. */
const indent = 12

const day = (ms: number) => new Date(ms).toISOString().slice(0, 16).replace("T", " ")
