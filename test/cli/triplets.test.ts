import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { request } from "undici"
import { toBaseUrl } from "../../src/domain/Attribution.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { RolloutQueue } from "../../src/store/RolloutQueue.js"
import { RunStore } from "../../src/store/RunStore.js"
import type { FinishedSpan } from "../../src/store/writer/spans.js"
import { nextAttempt } from "../support/attempts.js"
import { attribution, finishedSpans, proxyAt } from "../support/proxy.js"
import { recordCall } from "../support/recordedCall.js"
import { scratchFolder } from "../support/store.js"
import { upstream, withBody } from "../support/upstream.js"
import { root, tau } from "./tau.js"

const responseOf = (id: string, status: string) => ({
  id,
  object: "response",
  model: "m",
  status,
  error: status === "failed" ? { code: "server_error", message: "The model broke down." } : null,
  output: status === "completed"
    ? [{ type: "message", role: "assistant", content: [{ type: "output_text", text: `the answer of ${id}` }] }]
    : [],
  usage: null
})

/** Streams are cut before they say anything, and answers are there, or have failed, at the first look. */
const server = () => {
  let count = 0
  return upstream(withBody((_, { method, url }, response) => {
    if (method === "GET") {
      const id = url!.split("/").at(-1)!
      const answer = JSON.stringify(responseOf(id, id === "resp_2" ? "failed" : "completed"))
      response.writeHead(200, { "content-type": "application/json" }).end(answer)
    } else {
      const created = { type: "response.created", response: responseOf(`resp_${count += 1}`, "in_progress") }
      response.writeHead(200, { "content-type": "text/event-stream" }).end(`data: ${JSON.stringify(created)}\n\n`)
    }
  }))
}

const post = (base: string, body: object) =>
  Effect.promise(async () => {
    const answer = await request(`${base}/responses`, {
      method: "POST",
      body: JSON.stringify({ model: "m", stream: true, ...body })
    })
    await answer.body.dump()
  })
const get = (base: string, id: string) =>
  Effect.promise(async () => (await request(`${base}/responses/${id}`)).body.dump())

const said = (role: string, content: string) => ({ role, content })

/** What `look` finds in the store of an attempt that did this work through a proxy, and succeeded. */
const afterAttempt = <E, R, A>(
  upstreamUrl: string,
  work: (attempt: Effect.Effect.Success<typeof nextAttempt>) => Effect.Effect<void, E, R>,
  look: (path: string) => Effect.Effect<A>
) =>
  Effect.gen(function*() {
    const path = join(yield* scratchFolder, "store.sqlite")
    const proxy = proxyAt(path, upstreamUrl)
    return yield* Effect.gen(function*() {
      const attempt = yield* nextAttempt
      yield* work(attempt)
      yield* (yield* RolloutQueue).succeed(attempt.claim, { output: "", score: 1, rewards: [] })
      return yield* look(path)
    }).pipe(Effect.provide(Layer.provideMerge(Layer.mergeAll(RunStore.layer, RolloutQueue.layer), proxy)))
  })

const tripletsIn = (path: string) =>
  Effect.sync(() => {
    const { stderr, stdout } = tau(["export", "triplets", "--store", path])
    assert.strictEqual(stderr, "")
    return stdout.trimEnd().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>)
  })

// Each test starts a process.
describe("a stream that was cut and whose answer was fetched", { timeout: 60_000 }, () => {
  it.scopedLive("is a triplet like any other, and is what later calls continue", () =>
    Effect.gen(function*() {
      const triplets = yield* afterAttempt(yield* server(), ({ claim, url }) =>
        Effect.gen(function*() {
          yield* post(url, { input: "one" })
          yield* get(url, "resp_1")
          yield* post(url, { input: "in vain" })
          yield* get(url, "resp_2")
          yield* post(url, { input: "for nobody" })
          yield* post(url, { input: "two", previous_response_id: "resp_1" })
          yield* get(url, "resp_4")
          yield* finishedSpans(7, claim.attemptId)
        }), tripletsIn)
      const first = [said("user", "one")]
      assert.deepStrictEqual(
        triplets.map(({ is_last, is_whole, prompt, response }) => ({ is_last, is_whole, prompt, response })),
        [
          { is_last: false, is_whole: true, prompt: first, response: said("assistant", "the answer of resp_1") },
          {
            is_last: true,
            is_whole: true,
            prompt: [...first, said("assistant", "the answer of resp_1"), said("user", "two")],
            response: said("assistant", "the answer of resp_4")
          }
        ]
      )
    }))

  it.scopedLive("says who fetched it, and is the last answer of its session when examples are made of traffic", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const path = join(folder, "store.sqlite")
      yield* Effect.provide(
        Effect.gen(function*() {
          const base = toBaseUrl((yield* Proxy).origin, attribution)
          yield* post(base, { input: "one" })
          yield* get(base, "resp_1")
          const [call, fetched] = yield* finishedSpans(2)
          assert.include(
            tau(["span", call!.spanId, "--store", path]).stdout,
            `its answer was fetched by ${fetched!.spanId}`
          )
          const { status, stderr } = tau(["dataset", "build", "--store", path, "--out", join(folder, "dataset")])
          assert.strictEqual(status, 0, stderr)
        }),
        proxyAt(path, yield* server())
      )
      const example = JSON.parse(readFileSync(join(folder, "dataset", "dataset.jsonl"), "utf8")) as object
      assert.deepInclude(example, { prompt: "one", expected: "the answer of resp_1" })
    }))
})

/** Calls that are only recorded go nowhere. */
const nowhere = "http://127.0.0.1:9"
const bytesOf = (value: object) => Buffer.from(JSON.stringify(value))

/** How many lines a command writes while it has this much memory for objects, and its exit code. */
const linesWithin = (megabytes: number, args: ReadonlyArray<string>) =>
  Effect.promise(() =>
    new Promise<readonly [lines: number, code: number | null]>((resolve) => {
      const child = spawn(process.execPath, [`--max-old-space-size=${megabytes}`, `${root}dist/cli/main.js`, ...args], {
        stdio: ["ignore", "pipe", "ignore"],
        timeout: 60_000
      })
      let lines = 0
      child.stdout.on("data", (chunk: Buffer) => {
        for (const byte of chunk) if (byte === 10) lines += 1
      })
      child.on("close", (code) => resolve([lines, code]))
    })
  )

describe("the triplets of a conversation that the attempt made", { timeout: 60_000 }, () => {
  it.scopedLive("have what was put into it", () =>
    Effect.gen(function*() {
      const triplets = yield* afterAttempt(nowhere, ({ claim: { attemptId } }) =>
        Effect.gen(function*() {
          const record = (at: string, request: object, response: object, span: Partial<FinishedSpan> = {}) =>
            recordCall({ attemptId, path: `/v1/${at}`, request: bytesOf(request), response: bytesOf(response), span })
          yield* record("conversations", { items: [said("user", "I am Bo.")] }, { id: "c", object: "conversation" })
          const who = { conversation: "c", input: "Who?" }
          yield* record("responses", who, { error: { message: "slow down" } }, { statusCode: 429 })
          yield* record("responses", who, responseOf("r1", "completed"))
          yield* record("responses", { conversation: "c", input: "Sure?" }, {}, { state: "client_cancel" })
          yield* record("responses", { conversation: "c", input: "Really?" }, responseOf("r2", "completed"))
        }), tripletsIn)
      const asked = [said("user", "I am Bo."), said("user", "Who?")]
      assert.deepStrictEqual(triplets.map(({ is_last, is_whole, prompt }) => ({ is_last, is_whole, prompt })), [
        // A refusal adds nothing: the same was asked again.
        { is_last: false, is_whole: true, prompt: asked },
        // Nobody knows what came of a call that was cancelled.
        {
          is_last: true,
          is_whole: false,
          prompt: [...asked, said("assistant", "the answer of r1"), said("user", "Really?")]
        }
      ])
    }))
})

describe("the triplets of a long chain of Responses", { timeout: 120_000 }, () => {
  it.scopedLive("take no more memory than one of them", () =>
    Effect.gen(function*() {
      const told = yield* afterAttempt(nowhere, ({ claim: { attemptId } }) =>
        Effect.gen(function*() {
          for (let n = 0; n < 80; n++) {
            yield* recordCall({
              attemptId,
              path: "/v1/responses",
              request: bytesOf(
                n === 0 ? { input: "x".repeat(1e6) } : { input: "?", previous_response_id: `r${n - 1}` }
              ),
              response: bytesOf(responseOf(`r${n}`, "completed"))
            })
          }
        }), (path) => linesWithin(64, ["export", "triplets", "--store", path]))
      assert.deepStrictEqual(told, [80, 0])
    }))
})

describe("an export of what only runs have", { timeout: 60_000 }, () => {
  it.scopedLive("says of a store without runs why it is empty, and what to export instead", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* recordCall({
        attemptId: "r:attempt-1",
        request: bytesOf({ input: "one" }),
        response: bytesOf(responseOf("r1", "completed"))
      }).pipe(Effect.provide(proxyAt(join(folder, "captured.sqlite"), "http://127.0.0.1:9")))
      const exported = (what: string) => tau(["export", what, "--store=captured.sqlite"], {}, folder)
      for (const what of ["rollouts", "triplets", "events"]) {
        assert.deepStrictEqual(exported(what), {
          status: 0,
          stdout: "",
          stderr: `tau: no runs in captured.sqlite, and ${what} are those of runs; calls that a proxy recorded: `
            + "tau export spans --store captured.sqlite; examples of them: tau dataset build --store captured.sqlite\n"
        })
      }
      const spans = exported("spans")
      assert.strictEqual(spans.stderr, "")
      assert.notStrictEqual(spans.stdout, "")
    }))
})
