import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { serialize } from "node:v8"
import { sectionsOf } from "../../src/openai/BodySections.js"
import { KnownPieces } from "../../src/store/writer/KnownPieces.js"
import { prose } from "../support/conversation.js"

/** A body with these messages, each told by its length and its words. */
const bodyOf = (messages: ReadonlyArray<readonly [number, number]>) =>
  Buffer.from(JSON.stringify({ messages: messages.map(([length, seed]) => ({ content: prose(length, `${seed} `) })) }))

const linksOf = (pieces: KnownPieces, body: Uint8Array) =>
  sectionsOf(body).map((section) =>
    pieces.linksOf(body, section).map(({ content, key, sha256 }) => [Buffer.from(content).toString(), sha256, key])
  )

const bodies = FastCheck.array(
  FastCheck.array(FastCheck.tuple(FastCheck.integer({ min: 400, max: 900 }), FastCheck.nat(2)), { maxLength: 6 }),
  { minLength: 1, maxLength: 12 }
)

describe("Pieces that were hashed lately", () => {
  it.prop("are the same links as pieces that were not, whatever came before", [bodies], ([given]) => {
    const pieces = new KnownPieces()
    for (const messages of given) {
      const body = bodyOf(messages)
      assert.deepStrictEqual(linksOf(pieces, body), linksOf(new KnownPieces(), body))
    }
  }, { fastCheck: { numRuns: 30 } })

  it("stay the same once the memory of the one that had them is used for something else", () => {
    const pieces = new KnownPieces()
    const body = bodyOf([[2_000, 1], [2_000, 2]])
    const links = linksOf(pieces, body)
    const other = Buffer.from(body)
    body.fill(0)
    assert.deepStrictEqual(linksOf(pieces, other), links)
  })

  it("hold nothing of what followed them in later bodies, however long they are kept", () => {
    const pieces = new KnownPieces()
    const first = bodyOf([[2_000, 1], [2_000, 2]])
    const kept = sectionsOf(first).flatMap((section) => pieces.linksOf(first, section))
    for (let seed = 3; seed < 40; seed++) linksOf(pieces, bodyOf([[2_000, 1], [50_000, seed]]))
    assert.isBelow(serialize(kept).byteLength, 2 * first.length)
  })

  it("are forgotten before they fill the memory", () => {
    const pieces = new KnownPieces()
    for (let n = 0; n < 12; n++) {
      const body = Buffer.from(JSON.stringify({ messages: [`${n}`.padStart(1024 * 1024, "x"), "end"] }))
      assert.strictEqual(linksOf(pieces, body).length, 1)
      assert.isBelow(pieces.bytes, 6 * 1024 * 1024)
    }
  })
})
