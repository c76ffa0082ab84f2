import { assert, describe, it } from "vitest"
import { Informational } from "../../src/proxy/Informational.js"

const answer = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nHTTP/1.1 100"
const head = (status: string) => `HTTP/1.1 ${status}\r\nLink: </a>\r\n\r\n`

/** What is read of answers that come in the given pieces, each to a request of its own. */
const read = (...exchanges: ReadonlyArray<ReadonlyArray<string>>) => {
  const informational = new Informational()
  return exchanges.map((pieces) => {
    informational.expect()
    return pieces.map((piece) => {
      const bytes = Buffer.from(piece)
      informational.read(bytes)
      return bytes.toString()
    }).join("")
  }).join("")
}

describe("Answers before an answer", () => {
  it("can be passed over, wherever their bytes are divided", () => {
    const sent = `${head("100 Continue")}${head("103 Early Hints")}${head("100 Again")}${answer}`
    const wanted = sent.replaceAll("100 ", "102 ")
    for (let at = 0; at <= sent.length; at++) assert.strictEqual(read([sent.slice(0, at), sent.slice(at)]), wanted)
    assert.strictEqual(read([...sent]), wanted)
  })

  it("are looked for before each answer of a connection, and nowhere else", () => {
    const continued = `${head("100 Continue")}${answer}`
    assert.strictEqual(read([continued], [answer], ["\r\n", continued]).split("102 Continue").length, 3)
    for (const other of [answer, head("101 Switching Protocols"), "x", "HTTP/2"]) {
      assert.strictEqual(read([other, head("100 x")]), `${other}${head("100 x")}`)
    }
    // Its connection is a tunnel's by the time the next request goes out, on another one.
    assert.strictEqual(read([head("101 x")], [head("100 x")]), head("101 x") + head("100 x"))
  })
})
