import { assert, describe, it } from "@effect/vitest"
import * as Headers from "../../src/proxy/Headers.js"

const raw = (...lines: ReadonlyArray<string>) => lines.flatMap((line) => line.split(": "))
const untouched = { strip: "none", key: null, keyHeader: "authorization" } as const

describe("headers of one hop", () => {
  const given = raw(
    "Connection: keep-alive",
    "X-One: 1",
    "Keep-Alive: timeout=5",
    "connection: X-One, Content-Type",
    "Content-Type: application/json",
    "CONNECTION: x-two",
    "x-two: 2",
    "X-Three: 3"
  )
  const left = raw("Content-Type: application/json", "X-Three: 3")

  it("are those that any Connection header names, however many there are", () => {
    assert.deepStrictEqual(Headers.toUpstream(given, untouched), left)
    assert.deepStrictEqual(Headers.toClient(given), left)
  })
})

it("keeps a key of ours from the upstream, whatever header a client puts it into", () => {
  const given = raw(
    "x-goog-api-key: tau_0a1b2c_secret",
    "X-Auth-Token: Bearer tau_0a1b2c_secret",
    "ocp-apim-subscription-key: theirs"
  )
  assert.deepStrictEqual(Headers.toUpstream(given, untouched), raw("ocp-apim-subscription-key: theirs"))
})
