import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { Script } from "node:vm"
import { crc32 } from "node:zlib"
import { afterAll } from "vitest"
import { codeFileOf, runCompiled } from "../../src/process/CompiledCode.js"

const folder = mkdtempSync(join(tmpdir(), "tau-test-"))
afterAll(() => rmSync(folder, { recursive: true }))

const ran: Array<unknown> = []
Object.assign(globalThis, { ranByCompiledCode: ran })
const text = `(function (require, module, fileUrl) {
module.exports = { answer: 42 }
globalThis.ranByCompiledCode.push([require("node:path").sep, fileUrl])
})`

/** Under another name: V8 remembers for itself what it compiled of the same text and name in this process. */
const codeOf = (): Buffer => {
  const script = new Script(text, { filename: join(folder, "built.cjs") })
  script.runInThisContext()
  return script.createCachedData()
}

const withSum = (code: Buffer): Buffer => {
  const sum = Buffer.alloc(4)
  sum.writeUInt32LE(crc32(code))
  return Buffer.concat([code, sum])
}

const flipped = (bytes: Buffer, place: number): Buffer => {
  const copy = Buffer.from(bytes)
  copy[place]! ^= 0xff
  return copy
}

describe("A file of the build", () => {
  it.each<readonly [string, (code: Buffer) => Buffer | null, boolean]>([
    ["runs with the code that was kept of it", withSum, true],
    ["runs where none was kept", () => null, false],
    ["runs beside an empty one", () => Buffer.alloc(0), false],
    ["runs beside one that was cut short", (code) => withSum(code).subarray(0, code.length / 2), false],
    ["runs beside one with a byte gone wrong", (code) => flipped(withSum(code), code.length - 40), false],
    ["runs beside one of another version of V8", (code) => withSum(flipped(code, 4)), false]
  ])("%s", (name, kept, isTaken) => {
    const filename = join(folder, `${name.replaceAll(" ", "-")}.cjs`)
    writeFileSync(filename, text)
    const code = kept(codeOf())
    if (code !== null) writeFileSync(codeFileOf(filename), code)
    ran.length = 0
    const url = pathToFileURL(filename)
    assert.deepStrictEqual(runCompiled(url), { exports: { answer: 42 }, isCompiled: isTaken })
    assert.deepStrictEqual(ran, [["/", url.href]])
  })
})
