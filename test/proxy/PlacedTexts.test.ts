import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { Readable } from "node:stream"
import { request } from "undici"
import { Proxy } from "../../src/proxy/Proxy.js"
import { defaultLimits, type ProxyOptions } from "../../src/proxy/ProxyOptions.js"
import { Writer } from "../../src/store/Writer.js"
import { proxyAt } from "../support/proxy.js"
import { scratchFolder, storeAt } from "../support/store.js"
import { eventually, upstream, withBody } from "../support/upstream.js"

const options: Partial<ProxyOptions> = {
  rewrite: [{ component: "system_prompt", where: { kind: "system", equal: "You add." } }],
  rewriteFor: "everybody"
}

const bodyWith = (system: string, rest = "") =>
  JSON.stringify({ model: "m", messages: [{ role: "system", content: system }, { role: "user", content: rest }] })

/** A person goes back to a version with this text. */
const choose = (system_prompt: string) =>
  Effect.gen(function*() {
    const writer = yield* Writer
    const resources = JSON.stringify({ system_prompt })
    const resourcesVersion = yield* writer.run("publishResources", { author: "test", resources })
    yield* writer.run("applyControl", {
      verb: "rollback",
      actionKey: "control:rl:rollback",
      principal: "local:test",
      decision: "allowed",
      resourcesVersion,
      rollbackCheckpoint: null,
      checkpointSource: null
    })
  })

/** A proxy under the text "Sum up." in front of a model that answers with what it was asked. */
const atWork = <A, E>(
  test: (sent: (body: string | Readable) => Effect.Effect<string>) => Effect.Effect<A, E, Proxy | Writer>,
  more: Partial<ProxyOptions> = {}
) =>
  Effect.gen(function*() {
    const url = yield* upstream(withBody((body, _, response) => void response.end(body)))
    const folder = yield* scratchFolder
    const working = Effect.gen(function*() {
      const { origin } = yield* Proxy
      const sent = (body: string | Readable) =>
        Effect.promise(() =>
          request(`${origin}/v1/chat/completions`, { method: "POST", body }).then((answer) => answer.body.text())
        )
      yield* choose("Sum up.")
      yield* eventually(
        "the version",
        Effect.map(sent(bodyWith("You add.")), (body) => body === bodyWith("Sum up.") || undefined)
      )
      return yield* test(sent)
    })
    return yield* Effect.provide(working, proxyAt(join(folder, "store.sqlite"), url, { ...options, ...more }))
  })

/** As `.restore` of the sqlite3 shell does it, while the store is in use. */
const restore = (backup: string, path: string) =>
  Effect.promise(async () => {
    const source = new Database(backup)
    await source.backup(path)
    source.close()
  })

describe("promoted texts", () => {
  it.scopedLive("are those of a backup that was restored, also where its version has the number of another text", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const [other, undecided, store] = ["other", "undecided", "store"].map((name) => join(folder, `${name}.sqlite`))
      yield* Effect.provide(choose("Count."), storeAt(other!))
      yield* Effect.provide(Writer, storeAt(undecided!))
      const url = yield* upstream(withBody((body, _, response) => void response.end(body)))
      const told: Array<string> = []
      const warn = (message: string) => void told.push(message)
      yield* Effect.provide(
        Effect.gen(function*() {
          const { origin } = yield* Proxy
          const sent = Effect.promise(() =>
            request(`${origin}/v1/chat/completions`, { method: "POST", body: bodyWith("You add.") })
              .then((answer) => answer.body.text())
          )
          const becomes = (text: string) =>
            eventually(text, Effect.map(sent, (body) => body === bodyWith(text) || undefined))
          yield* choose("Sum up.")
          yield* becomes("Sum up.")
          yield* restore(other!, store!)
          yield* becomes("Count.")
          yield* restore(undecided!, store!)
          yield* becomes("You add.")
        }),
        proxyAt(store!, url, { ...options, warn })
      )
      const under = "tau: calls are made under version 1 of the resources"
      assert.deepStrictEqual(told, [
        "tau: no version of the resources has been promoted yet: the agents' own texts stay",
        under,
        under,
        "tau: version 1 of the resources is not what has been promoted any more, and no other is: the agents' own texts stay"
      ])
    }))

  it.scopedLive("are put in a long body only where there is memory to hold it until it is whole", () => {
    const long = "e".repeat(1_500_000)
    const pieces = () => Readable.from([bodyWith("You add.", long)])
    return Effect.gen(function*() {
      const limits = { ...defaultLimits, recordingBytesMax: 1_000_000 }
      assert.isTrue((yield* atWork((sent) => sent(pieces()), { limits })) === bodyWith("You add.", long))
      assert.isTrue((yield* atWork((sent) => sent(pieces()))) === bodyWith("Sum up.", long))
    })
  })
})
