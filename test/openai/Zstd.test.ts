import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { readFileSync } from "node:fs"
import { decodeBody, decodedBytesMax } from "../../src/openai/Decode.js"
import { derive } from "../../src/openai/Derive.js"
import { decodeZstd, ZstdTooLarge } from "../../src/openai/Zstd.js"
import { ZstdError } from "../../src/openai/ZstdTables.js"

/** The same numbers every time, so that the fixtures' contents need not be kept beside them. */
const numbers = (seed: number) => {
  let state = seed
  return (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) % below
  }
}

const answer = JSON.stringify({
  id: "chatcmpl-1",
  object: "chat.completion",
  model: "m-1",
  choices: [{
    index: 0,
    message: { role: "assistant", content: "four, four, four: 2 + 2 = 4" },
    finish_reason: "stop"
  }],
  usage: { prompt_tokens: 11, completion_tokens: 3, total_tokens: 14 }
})
const words = (() => {
  const next = numbers(7)
  const known = Array.from({ length: 600 }, () => (next(1 << 20) + 1296).toString(36).slice(0, 2 + next(5)))
  return Array.from({ length: 8_000 }, () => known[Math.min(next(600), next(600))]).join(" ")
})()
const runs = (() => {
  const next = numbers(11)
  return Buffer.concat(
    Array.from({ length: 40 }, (_, index) =>
      index % 2 === 0
        ? Buffer.from(Array.from({ length: 1 + next(300) }, () => next(256)))
        : Buffer.alloc(1 + next(9_000), next(256)))
  )
})()

/** Made by `zstd` 1.5.4 of the texts above: `words` at its levels 1 and 19, and at level 3 without a checksum. */
const fixtures: Readonly<Record<string, Buffer>> = {
  answer: Buffer.from(answer),
  "words-1": Buffer.from(words),
  "words-3": Buffer.from(words),
  "words-19": Buffer.from(words),
  runs,
  empty: Buffer.alloc(0),
  zeros: Buffer.alloc(300_000)
}
const compressed = (name: string) => readFileSync(new URL(`./fixtures/zstd/${name}.zst`, import.meta.url))
const decoded = (bytes: Uint8Array) => Buffer.from(decodeZstd(bytes, decodedBytesMax))

describe("Zstandard", () => {
  it.each(Object.entries(fixtures))("is decoded: %s", (name, content) => {
    expect(decoded(compressed(name)).equals(content)).toBe(true)
  })

  it("may come in several frames, with others that hold nothing between them", () => {
    const note = Buffer.from("5b2a4d1805000000", "hex")
    const all = [compressed("answer"), note, Buffer.from("hello"), compressed("runs"), compressed("empty")]
    expect(decoded(Buffer.concat(all)).equals(Buffer.concat([Buffer.from(answer), runs]))).toBe(true)
  })

  it("ends with its last frame, whatever is behind it", () => {
    for (const noise of ["\r\n", "no frame of it", "\0".repeat(9)]) {
      const all = Buffer.concat([compressed("answer"), compressed("runs"), Buffer.from(noise)])
      expect(decoded(all).equals(Buffer.concat([Buffer.from(answer), runs]))).toBe(true)
    }
    // A client that left before the first byte.
    expect(decoded(new Uint8Array()).length).toBe(0)
  })

  const name = FastCheck.constantFrom("answer", "words-1", "words-3", "words-19", "runs")
  const place = FastCheck.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

  it.prop("gives what had come when it was cut", [name, place], ([name, at]) => {
    const bytes = compressed(name)
    const part = decoded(bytes.subarray(0, Math.max(4, Math.floor(bytes.length * at))))
    expect(fixtures[name]!.subarray(0, part.length).equals(part)).toBe(true)
  })

  it.prop("is refused, or decoded to something within the limit, whatever it is", [
    name,
    FastCheck.array(FastCheck.tuple(place, FastCheck.nat(255)), { minLength: 1, maxLength: 8 })
  ], ([name, changes]) => {
    const bytes = Buffer.from(compressed(name))
    for (const [at, byte] of changes) bytes[4 + Math.floor((bytes.length - 4) * at)] = byte
    try {
      expect(decodeZstd(bytes, 400_000).length).toBeLessThanOrEqual(400_000)
    } catch (error) {
      expect(error instanceof ZstdError || error instanceof ZstdTooLarge).toBe(true)
    }
  })

  it("takes no more memory and time than it may", () => {
    const zeros = compressed("zeros")
    expect(() => decodeZstd(zeros, 299_999)).toThrow(ZstdTooLarge)
    expect(decodeZstd(zeros, 300_000).length).toBe(300_000)
    const bomb = Buffer.concat(Array.from({ length: 200 }, () => zeros))
    expect(decodeBody(bomb, "zstd")).toEqual({ reason: "larger than the limit once decoded" })
    const head = Buffer.from("28b52ffd0058", "hex")
    const emptyBlocks = Buffer.concat([head, Buffer.alloc(3 * 70_000)])
    expect(() => decodeZstd(emptyBlocks, decodedBytesMax)).toThrow("too many blocks")
  })

  it("is refused with a dictionary, and when it is something else", () => {
    expect(() => decoded(Buffer.from("28b52ffd015807", "hex"))).toThrow("dictionary")
    expect(decodeBody(Buffer.from(answer), "zstd")).toEqual({ reason: "not valid zstd" })
  })

  it("is read in requests and answers", () => {
    const span = derive({
      method: "POST",
      path: "/v1/chat/completions",
      statusCode: 200,
      requestBytes: compressed("answer"),
      requestContentEncoding: "zstd",
      responseBytes: compressed("answer"),
      responseContentType: "application/json",
      responseContentEncoding: "zstd",
      upstreamUrl: "https://api.openai.com/v1/chat/completions"
    })
    expect(span).toMatchObject({ model: "m-1", inputTokens: 11, outputTokens: 3 })
    expect(span.attributes.record).toMatchObject({
      "gen_ai.request.model": "m-1",
      "gen_ai.response.finish_reasons": ["stop"]
    })
    expect(span.attributes.record).not.toHaveProperty(["tau.unassembled"])
  })
})
