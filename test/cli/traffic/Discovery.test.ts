import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { discover } from "../../../src/cli/traffic/Discovery.js"
import { anySpan } from "../../../src/store/SpanStore.js"
import { proxyAt } from "../../support/proxy.js"
import { recordCall, type RecordedCall } from "../../support/recordedCall.js"
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

/** What is discovered in these calls. */
const discovered = (calls: ReadonlyArray<RecordedCall>, textsMax = 50) =>
  Effect.gen(function*() {
    const path = join(yield* scratchFolder, "store.sqlite")
    return yield* Effect.gen(function*() {
      yield* Effect.forEach(calls, recordCall, { concurrency: "unbounded", discard: true })
      return yield* discover(anySpan, textsMax)
    }).pipe(Effect.provide(proxyAt(path, "http://127.0.0.1:9")))
  })

const body = (system: string | null, tools: Readonly<Record<string, string>> = {}): RecordedCall => ({
  request: Buffer.from(JSON.stringify({
    model: "m",
    messages: [
      ...(system === null ? [] : [{ role: "system", content: system }]),
      { role: "user", content: "A room for 3" }
    ],
    tools: Object.entries(tools).map(([name, description]) => ({ type: "function", function: { name, description } }))
  })),
  response: Buffer.from("{}")
})

describe("an agent's components", { timeout: 60_000 }, () => {
  it.scopedLive("have names of their own, whatever case and underscores, of a tool at most 64 characters of it", () =>
    Effect.gen(function*() {
      const long = "n".repeat(70)
      const { resources, rewrite } = yield* discovered([
        body("You book.", { "find.rooms": "One.", Find_Rooms: "Two.", findRooms: "Three.", [long]: "Four." }),
        {
          path: "/v1/responses",
          request: Buffer.from(JSON.stringify({ model: "m", instructions: "Be kind.", input: "Hello" }))
        },
        body("Write a title of six words.", { "find.rooms": "One." }),
        // Blank, which is none.
        body(" \n", { empty: "" })
      ])
      assert.deepStrictEqual(resources, {
        find_rooms_description: "One.",
        system_prompt: resources["system_prompt"]!,
        instructions: "Be kind.",
        system_prompt_2: resources["system_prompt_2"]!,
        Find_Rooms_description_2: "Two.",
        findRooms_description_3: "Three.",
        [`${long.slice(0, 64)}_description`]: "Four."
      })
      assert.sameMembers([resources["system_prompt"], resources["system_prompt_2"]], [
        "You book.",
        "Write a title of six words."
      ])
      assert.deepInclude(rewrite, { component: "instructions", where: { kind: "instructions", equal: "Be kind." } })
      assert.deepInclude(rewrite, {
        component: "Find_Rooms_description_2",
        where: { kind: "tool_description", tool: "Find_Rooms" }
      })
    }))

  it.scopedLive("are found by the part that all forms have, and are none without one or in fewer than 5 of 100 calls", () =>
    Effect.gen(function*() {
      const stable = "You are a careful assistant, now and ever."
      const calls = [
        ...Array.from({ length: 17 }, (_, n) => body(`It is ${n}.\n${stable}`)),
        body("Say: 1, yes."),
        body("Say: 2, yes."),
        body("Write a title of six words.")
      ]
      const seldom = yield* discovered([...calls, body(null)])
      assert.deepStrictEqual(seldom.rewrite, [{
        component: "system_prompt",
        where: { kind: "system", containing: stable }
      }])
      assert.deepStrictEqual(seldom.texts.map(({ calls, component }) => [calls, component]), [
        [17, "system_prompt"],
        [2, null],
        [1, null]
      ])
      const { texts } = yield* discovered(calls)
      assert.deepStrictEqual(texts.map(({ component }) => component), ["system_prompt", null, "system_prompt_2"])
      assert.lengthOf((yield* discovered(calls, 2)).texts, 2)
    }))

  it.scopedLive("are looked for by what is certain of them, where a secret was taken out", () =>
    Effect.gen(function*() {
      const certain = "You are a careful assistant, now and ever."
      const { resources, rewrite } = yield* discovered([
        body(`The key is [REDACTED].\n${certain}`, { find: "Finds with [REDACTED]." })
      ])
      assert.deepStrictEqual(resources, { system_prompt: certain })
      assert.deepStrictEqual(rewrite, [{
        component: "system_prompt",
        where: { kind: "system", containing: certain }
      }])
    }))

  it.scopedLive("are what the agent had before a rewrite, on a WebSocket too, and not what was cut or no call of its own", () =>
    Effect.gen(function*() {
      const socket = { type: "response.create", model: "m", instructions: "Be kind.", input: "Hello" }
      const overSocket = { isCall: true, requestFrames: 0, responseFrames: 0, closeCode: null, unread: null }
      const { calls, compressed, texts } = yield* discovered([
        {
          path: "/v1/responses",
          request: Buffer.from(JSON.stringify(socket)),
          span: { method: "GET", webSocket: overSocket }
        },
        { ...body("A new text."), original: body("You book.").request! },
        body("You are a title generator."),
        { ...body("Cut."), span: { requestTruncated: true } },
        { ...body("Embed."), path: "/v1/embeddings" },
        { ...body(null), request: Buffer.from("no JSON") }
      ])
      assert.deepStrictEqual(texts.map(({ share, text }) => [text, share]).toSorted(), [["Be kind.", 0.5], [
        "You book.",
        0.5
      ]])
      assert.deepStrictEqual([calls, compressed], [2, 0])
    }))

  it.scopedLive("are looked for in the newest thousand calls", () =>
    Effect.gen(function*() {
      const spanId = (n: number) => ({ spanId: String(n).padStart(16, "0") })
      const newer = Array.from({ length: 1_000 }, (_, n) => ({ ...body("You book."), span: spanId(n + 1) }))
      const { calls, texts } = yield* discovered([{ ...body("An older text."), span: spanId(0) }, ...newer])
      assert.deepStrictEqual([calls, texts.map(({ text }) => text)], [1_000, ["You book."]])
    }))
})
