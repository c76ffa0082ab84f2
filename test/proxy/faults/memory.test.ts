import { connect } from "node:net"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "../../support/processes.js"
import { Bench } from "./bench.js"

const mebibyte = 1024 * 1024

describe("The proxy's memory", () => {
  let bench: Bench
  beforeAll(async () => {
    bench = await Bench.start([], { callMs: 60_000, clientIdleMs: 60_000 })
  })
  afterAll(() => bench.stop())

  it("does not grow with bodies of 64 MB, up or down", async () => {
    const body = Buffer.alloc(64 * mebibyte, " ")
    for (let round = 0; round < 2; round++) {
      const attempt = bench.newAttempt()
      const answer = await bench.ask(attempt, { body, deadlineMs: 50_000 })
      assert.strictEqual(`${answer.status} ${answer.ending}`, "200 whole")
      assert.strictEqual(bench.asked.at(-1)?.body.length, body.length)
      bench.asked.length = 0
      const [span] = bench.spansOf(attempt)
      assert.strictEqual(span?.requestBytes, body.length)
      assert.include(span?.attributes, `"tau.request.truncated":true`)
      await bench.isWell(attempt, ["done"])
    }
    const attempt = bench.newAttempt()
    const large = await bench.ask(attempt, { fault: "large-body", deadlineMs: 50_000 })
    assert.strictEqual(large.body.length, 16 * mebibyte)
    await bench.isWell(attempt, ["done"])
  }, 120_000)

  for (const fault of ["endless-body", "endless-line"]) {
    it(`does not grow with 200 clients that read nothing of an ${fault.replace("-", " ")}`, async () => {
      const attempt = bench.newAttempt()
      const request =
        `POST ${bench.prefixOf(attempt)}/v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-Fault: ${fault}\r\n` +
        "Content-Length: 2\r\n\r\n{}"
      const sockets = Array.from({ length: 200 }, () => {
        const socket = connect(bench.port, "127.0.0.1").on("error", () => {}).pause()
        socket.write(request)
        return socket
      })
      await eventually("all of them under way", () => bench.upstream.underWay() === 200, 30_000)
      // Another call still gets its answer, and the store its span.
      const meanwhile = await bench.ask("meanwhile", { deadlineMs: 30_000 })
      assert.strictEqual(meanwhile.ending, "whole")
      assert.isBelow(bench.residentBytes(), 700 * mebibyte)
      for (const socket of sockets) socket.destroy()
      await eventually("the upstream was let go", () => bench.upstream.underWay() === 0, 10_000)
      await eventually(
        "the spans",
        () => bench.spansOf(attempt).every(({ state }) => state === "client_cancel"),
        20_000
      )
      assert.strictEqual(bench.spansOf(attempt).length, 200)
    }, 120_000)
  }
})
