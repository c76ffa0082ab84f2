import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { proxyAt } from "../../support/proxy.js"
import { recordCall } from "../../support/recordedCall.js"
import { scratchFolder } from "../../support/store.js"
import { tau } from "../tau.js"

const request = Buffer.from(JSON.stringify({
  model: "m",
  messages: [{ role: "system", content: "You book meeting rooms." }, { role: "user", content: "A room for 3" }]
}))

/** A frame of one block that is not compressed (RFC 8878, section 3.1.1). */
const zstd = (content: Buffer): Buffer =>
  Buffer.concat([
    Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0x20, content.length),
    Buffer.of((content.length << 3 | 1) & 255, content.length >> 5, 0),
    content
  ])

describe("tau resources discover", { timeout: 60_000 }, () => {
  it.scopedLive("finds the texts of calls that came compressed, whatever by, and says that those are not rewritten", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.gen(function*() {
        for (const [requestContentEncoding, body] of [["gzip", gzipSync(request)], ["zstd", zstd(request)]] as const) {
          yield* recordCall({ request: body, response: Buffer.from("{}"), span: { requestContentEncoding } })
        }
        const { stderr, stdout } = tau(["resources", "discover", "--json", "--store", path])
        assert.strictEqual(stderr, "")
        const { calls, compressed, config } = JSON.parse(stdout) as Record<string, unknown>
        assert.deepInclude({ calls, compressed, config }, {
          calls: 2,
          compressed: 2,
          config: {
            resources: { system_prompt: "You book meeting rooms." },
            rewrite: [{ component: "system_prompt", where: { kind: "system", equal: "You book meeting rooms." } }]
          }
        })
      }).pipe(Effect.provide(proxyAt(path, "http://127.0.0.1:9")))
    }))
})
