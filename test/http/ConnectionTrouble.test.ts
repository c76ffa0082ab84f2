import { assert, describe, it } from "@effect/vitest"
import { connectionTrouble } from "../../src/http/ConnectionTrouble.js"
import { listenFailure } from "../../src/http/ListenFailure.js"

const errorOf = (message: string, code?: string) => Object.assign(new Error(message), { code })

describe("A server that cannot be reached", () => {
  it("is told by the code and the message, as far as there are both", () => {
    assert.strictEqual(connectionTrouble(errorOf("refused", "ECONNREFUSED")), "ECONNREFUSED (refused)")
    assert.strictEqual(connectionTrouble(errorOf("", "ECONNREFUSED")), "ECONNREFUSED")
    assert.strictEqual(connectionTrouble(errorOf("no HTTP")), "no HTTP")
    assert.strictEqual(connectionTrouble("text"), "unknown error")
  })
})

describe("A server that cannot listen", () => {
  it("says why in words of its own for what is usual, and in the system's for all else", () => {
    const why = (code: string) => listenFailure({ host: "::", port: 80 }, errorOf("the system's words", code))
    assert.strictEqual(why("EADDRINUSE"), "cannot listen on :::80: the port is in use by another process")
    assert.strictEqual(why("EMFILE"), "cannot listen on :::80: the system's words")
  })
})
