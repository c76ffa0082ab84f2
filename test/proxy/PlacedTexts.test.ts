import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { Readable } from "node:stream"
import { request } from "undici"
import { Proxy } from "../../src/proxy/Proxy.js"
import { defaultLimits, type ProxyOptions } from "../../src/proxy/ProxyOptions.js"
import { Writer } from "../../src/store/Writer.js"
import { proxyAt } from "../support/proxy.js"
import { scratchFolder } from "../support/store.js"
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

describe("promoted texts", () => {
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
