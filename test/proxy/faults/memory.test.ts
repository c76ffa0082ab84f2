import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { Bench } from "./bench.js"

const mebibyte = 1024 * 1024

describe("The proxy's memory", () => {
  let bench: Bench
  beforeAll(async () => {
    bench = await Bench.start([], { callMs: 60_000 })
  })
  afterAll(() => bench.stop())

  it("does not grow with bodies of 64 MiB and a form around them, as uploads come in parts, up or down", async () => {
    const body = Buffer.alloc(64 * mebibyte + 512, " ")
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
})
