import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { IncomingMessage } from "node:http"
import { Readable } from "node:stream"
import type { ResourceValues } from "../../src/domain/Resources.js"
import type { RewriteRule } from "../../src/domain/Rewrite.js"
import type { Call } from "../../src/proxy/Call.js"
import { AttemptTexts } from "../../src/proxy/PlacedTexts.js"
import { defaultLimits } from "../../src/proxy/ProxyOptions.js"
import { Rewriter } from "../../src/proxy/Rewriter.js"
import { StoreError } from "../../src/store/StoreError.js"
import type { RewriteOutcome, SpanIntent } from "../../src/store/writer/spans.js"

const system = (component: string, equal: string): RewriteRule => ({ component, where: { kind: "system", equal } })

const asking = (...texts: ReadonlyArray<string>) =>
  JSON.stringify({ messages: texts.map((content) => ({ role: "system", content })) })

const intentOf = (attemptId: string, path = "/v1/chat/completions") =>
  ({ attemptId, method: "POST", path }) as SpanIntent

const broken = Effect.fail(new StoreError({ reason: "other", operation: "reading", detail: "no disk" }))

/** What became of one request's body. */
interface Sent {
  readonly taken: Array<string>
  readonly passed: Array<Buffer | Readable | null>
  readonly failures: Array<string>
  readonly recorded: Array<string>
  readonly originals: Array<string>
  readonly call: { isOver: boolean; record: { rewrite: RewriteOutcome | null } }
}

/** The rules at work, with resources read so; each request is sent on when what it waits for has come. */
const rewriting = (
  rules: ReadonlyArray<RewriteRule>,
  read: (attemptId: string) => Effect.Effect<ResourceValues | null, StoreError>
) => {
  const warnings: Array<string> = []
  const reads: Array<string> = []
  const rewriter = new Rewriter(
    rules,
    new AttemptTexts((attemptId) => Effect.suspend(() => (reads.push(attemptId), read(attemptId)))),
    defaultLimits,
    (line) => void warnings.push(line)
  )
  const sent = async (
    body: string,
    { attemptId = "a", encoding, whileReading = () => {} }: {
      readonly attemptId?: string
      readonly encoding?: string
      readonly whileReading?: (call: Sent["call"]) => void
    } = {}
  ): Promise<Sent> => {
    const [taken, passed, failures, recorded, originals]: [
      Sent["taken"],
      Sent["passed"],
      Sent["failures"],
      Sent["recorded"],
      Sent["originals"]
    ] = [[], [], [], [], []]
    const call = {
      isOver: false,
      heardAt: null,
      fail: (reason: string, detail: string) => void failures.push(`${reason}: ${detail}`),
      record: {
        rewrite: null,
        request: { add: (bytes: Buffer) => void recorded.push(bytes.toString()) },
        holds: () => true,
        letGo: () => {},
        keepOriginal: (bytes: Buffer) => void originals.push(bytes.toString())
      }
    }
    const request = Object.assign(Readable.from(body === "" ? [] : [Buffer.from(body)]), {
      headers: { "content-length": String(Buffer.byteLength(body)), "content-encoding": encoding }
    })
    rewriter.send(
      request as unknown as IncomingMessage,
      call as unknown as Call,
      intentOf(attemptId),
      (passing) => void passed.push(passing),
      (bytes) => void taken.push(bytes.toString())
    )
    await new Promise((resolve) => request.on("end", resolve))
    whileReading(call)
    await settled()
    return { taken, passed, failures, recorded, originals, call }
  }
  return { rewriter, warnings, reads, sent }
}

/** All that was due has happened. */
const settled = async () => {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}

const add = system("prompt", "You add.")

describe("The texts of an attempt", () => {
  it("are sent to nobody whose client has left while they were read", async () => {
    const leaving = async (isOver: boolean) => {
      let come = () => {}
      const read = new Promise<ResourceValues>((resolve) => {
        come = () => resolve({ prompt: "Sum up." })
      })
      const whileReading = (call: Sent["call"]) => {
        call.isOver = isOver
        come()
      }
      return (await rewriting([add], () => Effect.promise(() => read)).sent(asking("You add."), { whileReading })).taken
    }
    assert.deepStrictEqual(await leaving(true), [])
    assert.deepStrictEqual(await leaving(false), [asking("Sum up.")])
  })

  it("fail the call that cannot have them, with its request on the record, and are read anew for the next", async () => {
    let isBroken = true
    const { reads, sent } = rewriting([add], () => isBroken ? broken : Effect.succeed({ prompt: "Sum up." }))
    const { failures, recorded, taken } = await sent(asking("You add."))
    assert.match(failures.join(), /^store: the resources of a could not be read: .*no disk/)
    assert.deepStrictEqual([recorded, taken], [[asking("You add.")], []])
    isBroken = false
    assert.deepStrictEqual((await sent(asking("You add."))).taken, [asking("Sum up.")])
    assert.deepStrictEqual(reads, ["a", "a"])
  })

  it("hold up no request that has none, also where they cannot be read, and are counted as missed by it", async () => {
    const counts = async (read: Effect.Effect<ResourceValues | null, StoreError>) => {
      const { rewriter, sent } = rewriting([add], () => read)
      const { call, failures, passed } = await sent("")
      assert.deepStrictEqual([passed, failures], [[null], []])
      assert.strictEqual(rewriter.counts[0]?.missed, call.record.rewrite === null ? 0 : 1)
      return call.record.rewrite
    }
    assert.isNull(await counts(broken))
    assert.isNull(await counts(Effect.succeed(null)))
    assert.deepStrictEqual(await counts(Effect.succeed({ prompt: "Sum up." })), {
      components: [],
      matched: [],
      missed: [0]
    })
  })

  it("are read once for an attempt, and again where it was not there yet", async () => {
    let values: ResourceValues | null = null
    const { reads, sent } = rewriting([add], () => Effect.succeed(values))
    assert.deepStrictEqual((await sent(asking("You add."))).taken, [asking("You add.")])
    values = { prompt: "Sum up." }
    for (let n = 0; n < 2; n++) assert.deepStrictEqual((await sent(asking("You add."))).taken, [asking("Sum up.")])
    assert.deepStrictEqual(reads, ["a", "a"])
  })

  it("are remembered of 512 attempts, those used last", async () => {
    const { reads, rewriter } = rewriting([], () => Effect.succeed({}))
    const use = async (attemptId: string) => {
      rewriter.passOver(intentOf(attemptId, "/v1/realtime"))
      await settled()
      return reads.splice(0).length
    }
    for (let n = 0; n < 512; n++) rewriter.passOver(intentOf(`${n}`, "/v1/realtime"))
    await settled()
    assert.lengthOf(reads.splice(0), 512)
    assert.strictEqual(await use("0"), 0)
    assert.strictEqual(await use("new"), 1)
    assert.strictEqual(await use("0"), 0)
    assert.strictEqual(await use("1"), 1)
  })

  it("are those that it has by that name, not what every object has", async () => {
    const { sent } = rewriting([system("__proto__", "You add.")], () => Effect.succeed({}))
    const { call, taken } = await sent(asking("You add."))
    assert.deepStrictEqual(taken, [asking("You add.")])
    assert.deepStrictEqual(call.record.rewrite, { components: [], matched: [], missed: [] })
  })

  it("are put in no body that says that it is compressed, whatever it looks like", async () => {
    const { sent } = rewriting([add], () => Effect.succeed({ prompt: "Sum up." }))
    const { call, originals, taken } = await sent(asking("You add."), { encoding: "gzip" })
    assert.deepStrictEqual([taken, originals], [[asking("You add.")], []])
    assert.deepStrictEqual(call.record.rewrite, { components: [], matched: [], missed: [0] })
    assert.deepStrictEqual((await sent(asking("You add."), { encoding: "identity" })).taken, [asking("Sum up.")])
  })
})

describe("What the rules came to", () => {
  it("names a resource once that two rules have put in", async () => {
    const { rewriter, sent } = rewriting([add, system("prompt", "You sum.")], () => Effect.succeed({ prompt: "Go." }))
    const { call, originals, taken } = await sent(asking("You sum.", "You add."))
    assert.deepStrictEqual([taken, originals], [[asking("Go.", "Go.")], [asking("You sum.", "You add.")]])
    assert.deepStrictEqual(call.record.rewrite, { components: ["prompt"], matched: [0, 1], missed: [] })
    assert.deepStrictEqual(rewriter.counts.map(({ matched, missed }) => [matched, missed]), [[1, 0], [1, 0]])
  })

  it("is nothing where there is no text to put in place, and no rule is blamed", async () => {
    const { rewriter, sent, warnings } = rewriting([add, system("tone", "?")], () => Effect.succeed({ prompt: "Go." }))
    for (let n = 0; n < 21; n++) {
      const { call } = await sent(asking("You add."))
      assert.deepStrictEqual(call.record.rewrite, { components: ["prompt"], matched: [0], missed: [] })
    }
    rewriter.close()
    assert.deepStrictEqual(warnings, [])
    assert.deepStrictEqual(rewriter.counts.map(({ matched, missed }) => [matched, missed]), [[21, 0], [0, 0]])
  })

  it("counts a connection for model calls, of an attempt whose resources are known, as one that found nothing", async () => {
    const missed = async (path: string, read: Effect.Effect<ResourceValues | null, StoreError>) => {
      const { rewriter } = rewriting([add], () => read)
      rewriter.passOver(intentOf("a", path))
      await settled()
      return rewriter.counts[0]?.missed
    }
    const known = Effect.succeed({ prompt: "Sum up." })
    assert.strictEqual(await missed("/v1/realtime", known), 1)
    assert.strictEqual(await missed("/v1/other", known), 0)
    assert.strictEqual(await missed("/v1/realtime", Effect.succeed(null)), 0)
    assert.strictEqual(await missed("/v1/realtime", broken), 0)
  })

  it("is spoken of once, and only of a rule that was tried and never found its text", async () => {
    const calls = async (...bodies: ReadonlyArray<string>) => {
      const { rewriter, sent, warnings } = rewriting([add], () => Effect.succeed({ prompt: "Sum up." }))
      for (const body of bodies) await sent(body)
      rewriter.close()
      return warnings.map((line) => line.split(";", 1)[0])
    }
    const silent = Array.from({ length: 25 }, () => asking("Else."))
    assert.deepStrictEqual(await calls(), [])
    assert.deepStrictEqual(await calls(asking("You add."), ...silent), [])
    assert.deepStrictEqual(await calls(...silent.slice(0, 19), asking("You add."), ...silent), [])
    const found = (count: string) => `rewrite[0] (prompt) has found its text in none of ${count}`
    assert.deepStrictEqual(await calls(...silent.slice(0, 1)), [found("1 call")])
    assert.deepStrictEqual(await calls(...silent), [found("20 calls")])
  })

  it("is nothing any more of a pattern that took too long three times, which is said once", async () => {
    const slow: RewriteRule = { component: "prompt", where: { kind: "system", matching: "^(a+)+$" } }
    const { sent, warnings } = rewriting([slow], () => Effect.succeed({ prompt: "b" }))
    const hopeless = asking(`${"a".repeat(50)}!`)
    for (let n = 0; n < 2; n++) assert.deepStrictEqual((await sent(hopeless)).taken, [hopeless])
    assert.deepStrictEqual((await sent(asking("aa"))).taken, [asking("b")])
    assert.deepStrictEqual(warnings, [])
    assert.deepStrictEqual((await sent(hopeless)).taken, [hopeless])
    assert.deepStrictEqual((await sent(asking("aa"))).taken, [asking("aa")])
    assert.deepStrictEqual(warnings, ["rewrite[0] (prompt): its pattern takes too long and is not tried any more"])
  })
})
