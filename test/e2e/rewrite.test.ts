import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { startTau, tau } from "../support/command.js"
import { roomsModel } from "../support/roomsModel.js"
import { scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

const agent = join(import.meta.dirname, "../../examples/agents/rooms_agent.py")

const own = "You book meeting rooms.\nLook rooms up before you answer, and name the smallest that fits."

const config = (resources: Readonly<Record<string, string>>) => ({
  optimize: [
    { prompt: "A room for 3", expected: "Ada" },
    { prompt: `A room for 12. "${own}"`, expected: "Alan" }
  ],
  resources,
  rewrite: [
    { component: "system_prompt", where: { kind: "system", equal: own } },
    { component: "find_rooms_description", where: { kind: "tool_description", tool: "find_rooms" } },
    { component: "tone", where: { kind: "system", containing: "Be polite." } }
  ],
  executor: { kind: "command", command: ["python3", agent] }
})

const toneless = (resources: object | undefined) => ({
  ...config({}),
  resources,
  rewrite: config({}).rewrite.filter(({ component }) => component !== "tone")
})

const runArgs = (name: string, url: string) => [
  "--model=openai/gpt-4o-mini",
  `--prompt-optimization-config=${name}`,
  `--prompt-optimization-proxy-upstream-url=${url}`
]

/** What the agent of these texts sends: the bytes of Python's `json`. */
const sentWith = (body: string, prompt: string, description: string) => {
  const escaped = (text: string) => JSON.stringify(text).slice(1, -1)
  return body.replace(escaped(own), () => escaped(prompt)).replace(
    "Lists rooms \\u2013 with at least so many seats.",
    () => escaped(description)
  )
}

interface Summary {
  readonly run_id: string
  readonly scores: ReadonlyArray<object>
}

describe("an agent that knows nothing of tau", { timeout: 180_000 }, () => {
  it.scopedLive("is sent on with each candidate's texts in place of its own, every other byte as it was", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* roomsModel
      const folder = yield* scratchFolder
      const candidates = [
        { system_prompt: "Book “rooms”.\tNow.", find_rooms_description: "Rooms by seats.", tone: "Be brief." },
        { system_prompt: own, find_rooms_description: "All rooms \\o/", tone: "Be brief." }
      ]
      for (const [index, candidate] of candidates.entries()) {
        writeFileSync(join(folder, `${index}.json`), JSON.stringify(config(candidate)))
        asked.length = 0
        const command = yield* startTau(folder, [...runArgs(`${index}.json`, url), "--prompt-optimization-json"], {
          OPENAI_API_KEY: "k"
        })
        assert.strictEqual(yield* command.exit, 0, command.stderr())
        const summary = JSON.parse(command.stdout()) as Summary
        assert.deepInclude(summary as object, {
          succeeded: 2,
          calls: 4,
          rewrites: [
            { rule: 0, component: "system_prompt", matched: 4, missed: 0 },
            { rule: 1, component: "find_rooms_description", matched: 4, missed: 0 },
            { rule: 2, component: "tone", matched: 0, missed: 4 }
          ]
        })
        assert.deepInclude(summary.scores[0]!, { mean: 1 })
        assert.include(command.stderr(), "rewrite[2] (tone) has found its text in none of 4 calls")
        const store = new Sqlite(join(folder, ".tau/training/store.sqlite"), { readonly: true })
        const calls = store.prepare(
          `SELECT span_id AS id, CAST(sent.content AS TEXT) AS sent, CAST(own.content AS TEXT) AS own FROM spans
           JOIN payloads sent ON sent.sha256 = request_sha256
           JOIN payloads own ON own.sha256 = attributes ->> '$."tau.rewrite.original_sha256"' WHERE run_id = ?`
        ).all(summary.run_id) as ReadonlyArray<{ readonly id: string; readonly sent: string; readonly own: string }>
        store.close()
        assert.lengthOf(calls, 4)
        assert.sameMembers(calls.map(({ sent }) => sent), asked)
        for (const { own: original, sent } of calls) {
          assert.strictEqual(
            sent,
            sentWith(original, candidate.system_prompt, candidate.find_rooms_description)
          )
          assert.notStrictEqual(sent, original)
        }
        const raw = yield* tau(folder, ["span", calls[0]!.id, "--raw=original"])
        assert.strictEqual(raw.stdout, calls[0]!.own)
        const shown = yield* tau(folder, ["span", calls[0]!.id])
        assert.match(shown.stdout, /rewrite +system_prompt, find_rooms_description in place of the agent's own\n/)
        assert.match(shown.stdout, /rewrite +no text found for rewrite\[2\]\n/)
        assert.include(shown.stdout, `tau span ${calls[0]!.id} --raw request|response|answer|original\n`)
      }
    }))

  it.scopedLive("is sent on with the latest texts in the store where the config has none, once there are such", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* roomsModel
      const folder = yield* scratchFolder
      const seed = { system_prompt: "Book rooms.", find_rooms_description: "Rooms." }
      writeFileSync(join(folder, "seed.json"), JSON.stringify(toneless(seed)))
      writeFileSync(join(folder, "latest.json"), JSON.stringify(toneless(undefined)))
      const run = (name: string) => tau(folder, runArgs(name, url), { OPENAI_API_KEY: "k" })
      const refused = yield* run("latest.json")
      assert.strictEqual(refused.code, 2)
      assert.include(
        refused.stderr,
        "$.rewrite[0].component: expected the name of a text in \"resources\", or in the latest version of them in "
          + ".tau/training/store.sqlite, found \"system_prompt\""
      )
      assert.lengthOf(asked, 0)
      assert.strictEqual((yield* run("seed.json")).code, 0)
      const sent = asked.splice(0)
      const { code, stderr } = yield* run("latest.json")
      assert.strictEqual(code, 0, stderr)
      assert.deepStrictEqual(asked.toSorted(), sent.toSorted())
      assert.include(asked[0]!, "Book rooms.")
    }))

  it.scopedLive("is resumed with the texts that its run was begun with, whatever is the latest since", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const waits =
        "const fs = require('fs'); fs.writeFileSync('begun', ''); setInterval(() => fs.existsSync('go') && process.exit(), 20)"
      const one = {
        optimize: [{ prompt: "?", expected: "" }],
        executor: { kind: "command", command: ["node", "-e", waits] }
      }
      const rewrite = config({}).rewrite.slice(0, 1)
      const put = (name: string, value: object) =>
        writeFileSync(join(folder, name), JSON.stringify({ ...one, ...value }))
      put("seed.json", { resources: { system_prompt: own }, executor: { kind: "chat" } })
      put("latest.json", { rewrite })
      put("other.json", { resources: { tone: "Be brief." }, executor: { kind: "chat" } })
      const args = (name: string) => ["--model=sim/arithmetic", `--prompt-optimization-config=${name}`]
      assert.strictEqual((yield* tau(folder, args("seed.json"))).code, 0)
      const killed = yield* startTau(folder, args("latest.json"))
      yield* eventually("an agent", Effect.sync(() => existsSync(join(folder, "begun")) ? true : undefined))
      killed.process.kill("SIGKILL")
      yield* killed.exit
      assert.strictEqual((yield* tau(folder, args("other.json"))).code, 0)
      writeFileSync(join(folder, "go"), "")
      const { code, stderr, stdout } = yield* tau(folder, args("latest.json"))
      assert.strictEqual(code, 0, stderr)
      assert.include(stderr, "resuming run run-0002-")
      assert.include(stdout, "under resources version 1\n")
      // A new run has the latest.
      assert.include((yield* tau(folder, args("latest.json"))).stderr, "found \"system_prompt\"")
    }))
})
