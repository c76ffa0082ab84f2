import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { closeCodeOf, FrameReader } from "../../src/openai/WebSocketFrames.js"
import { frame } from "../support/webSocket.js"

/** What a reader tells of these chunks, in words. */
const readAll = (chunks: ReadonlyArray<Uint8Array>) => {
  const told: Array<string> = []
  let parts: Array<Uint8Array> = []
  const reader = new FrameReader({
    begin: (opcode) => {
      parts = []
      told.push(`begin ${opcode}`)
    },
    part: (part) => parts.push(Buffer.from(part)),
    end: () => told.push(`end ${Buffer.concat(parts).toString("hex")}`),
    control: (opcode, payload) => told.push(`control ${opcode} ${Buffer.from(payload).toString("hex")}`)
  })
  for (const chunk of chunks) reader.read(chunk)
  return { told, reader }
}

const bytes = (max: number) => FastCheck.uint8Array({ maxLength: max })
const masks = FastCheck.option(FastCheck.uint8Array({ minLength: 4, maxLength: 4 }))
const controls = FastCheck.record({
  opcode: FastCheck.constantFrom(8, 9, 10),
  payload: bytes(125),
  mask: masks
})
/** A message in pieces, with control frames between them. */
const messages = FastCheck.record({
  opcode: FastCheck.constantFrom(1, 2),
  pieces: FastCheck.array(
    FastCheck.record({ payload: bytes(400), mask: masks, before: FastCheck.array(controls, { maxLength: 2 }) }),
    { minLength: 1, maxLength: 5 }
  )
})

describe("FrameReader", () => {
  it.prop(
    "reads what was written, whatever is masked, in pieces or between them, and however the bytes are cut",
    [FastCheck.array(messages, { maxLength: 4 }), FastCheck.array(FastCheck.nat(50), { maxLength: 30 })],
    ([written, cuts]) => {
      const frames: Array<Uint8Array> = []
      const expected: Array<string> = []
      for (const { opcode, pieces } of written) {
        pieces.forEach(({ before, mask, payload }, index) => {
          for (const control of before) {
            frames.push(frame(control.payload, { opcode: control.opcode, mask: control.mask }))
            expected.push(`control ${control.opcode} ${Buffer.from(control.payload).toString("hex")}`)
          }
          if (index === 0) expected.push(`begin ${opcode}`)
          const isFinal = index === pieces.length - 1
          frames.push(frame(payload, { opcode: index === 0 ? opcode : 0, isFinal, mask }))
          if (isFinal) {
            expected.push(`end ${Buffer.concat(pieces.map((piece) => piece.payload)).toString("hex")}`)
          }
        })
      }
      const whole = Buffer.concat(frames)
      const chunks: Array<Uint8Array> = []
      let from = 0
      for (const cut of cuts) {
        chunks.push(whole.subarray(from, from + cut))
        from += cut
      }
      chunks.push(whole.subarray(from))
      const { reader, told } = readAll(chunks)
      assert.deepStrictEqual(told, expected)
      assert.isNull(reader.failure)
      assert.isTrue(reader.isBetweenFrames)
      assert.strictEqual(reader.frames, frames.length)
      assert.deepStrictEqual(readAll([...whole].map((byte) => Uint8Array.of(byte))).told, expected)
    }
  )

  it.prop("survives any bytes, and says nothing more once it has stopped", [bytes(300), bytes(50)], ([noise, more]) => {
    const { reader, told } = readAll([noise])
    const before = told.length
    if (reader.failure === null) return
    reader.read(more)
    assert.strictEqual(told.length, before)
  })

  it("reads lengths of every form", () => {
    for (const length of [0, 1, 125, 126, 127, 65_535, 65_536, 200_000]) {
      const { told } = readAll([frame(Buffer.alloc(length, 7), { opcode: 2, mask: Buffer.from([1, 2, 3, 4]) })])
      assert.deepStrictEqual(told, ["begin 2", `end ${"07".repeat(length)}`])
    }
  })

  it("reads the longest control frame that there may be", () => {
    const { reader, told } = readAll([frame(Buffer.alloc(125, 7), { opcode: 9 })])
    assert.deepStrictEqual(told, [`control 9 ${"07".repeat(125)}`])
    assert.isNull(reader.failure)
  })

  it("keeps nothing of a frame that claims to be huge", () => {
    const { reader, told } = readAll([Buffer.from([0x82, 127, 0, 0, 0x10, 0, 0, 0, 0, 0, 1, 2, 3])])
    assert.isNull(reader.failure)
    assert.deepStrictEqual(told, ["begin 2"])
  })

  it("tells where in a chunk a message begins", () => {
    const starts: Array<number> = []
    const reader = new FrameReader({
      begin: () => {},
      part: () => {},
      end: (start) => starts.push(start),
      control: () => {}
    })
    const two = Buffer.concat([frame("ab"), frame("cd")])
    reader.read(two)
    reader.read(frame("ef").subarray(0, 3))
    reader.read(Buffer.concat([frame("ef").subarray(3), frame("gh")]))
    reader.read(frame("ij").subarray(0, 1))
    reader.read(frame("ij").subarray(1))
    assert.deepStrictEqual(starts, [0, 4, 0, 1, 0])
  })

  it.each([
    ["an extension", [0xc1, 0], "extension"],
    ["an unknown opcode", [0x83, 0], "opcode 3"],
    ["an unknown control opcode", [0x8b, 0], "opcode 11"],
    ["a continuation of nothing", [0x80, 0], "continues nothing"],
    ["a message within a message", [0x01, 0, 0x81, 0], "inside another"],
    ["a control frame in pieces", [0x09, 0], "control frame"],
    ["a long control frame", [0x89, 126, 0, 126], "control frame"],
    ["an impossible length", [0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255], "length"]
  ])("stops at %s", (_name, wire, reason) => {
    const { reader } = readAll([Buffer.from(wire), frame("later")])
    assert.include(reader.failure, reason)
    assert.isFalse(reader.isBetweenFrames)
  })

  it("reads the code of a close frame", () => {
    assert.strictEqual(closeCodeOf(Uint8Array.of(3, 233)), 1001)
    assert.strictEqual(closeCodeOf(new Uint8Array(0)), 1005)
  })
})
