import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { renderResources } from "../../../src/domain/Template.js"
import { proxyAt } from "../../support/proxy.js"
import { recordCall } from "../../support/recordedCall.js"
import { scratchFolder } from "../../support/store.js"
import { tau } from "../tau.js"

interface Call {
  readonly system?: string
  /** What was sent in its place. */
  readonly promoted?: string
  readonly user: string
  readonly answer?: string
  readonly model?: string
  readonly tool?: string
  readonly upstream?: string
}

interface Config {
  readonly optimize: ReadonlyArray<object>
  readonly validate: ReadonlyArray<object>
  readonly executor: object
  readonly completion_timeout_secs: number
  readonly resources?: Readonly<Record<string, string>>
  readonly scoring?: ReadonlyArray<object>
}

interface Built {
  readonly status: number | null
  readonly stderr: string
  readonly stdout: string
  readonly config: () => Config
  readonly lines: () => ReadonlyArray<object>
}

/** Builds in a folder whose store has these calls, each of an attempt of its own; `built` gives what was said and written. */
const withCalls = <E, R>(
  calls: ReadonlyArray<Call>,
  test: (built: (...args: ReadonlyArray<string>) => Built) => Effect.Effect<void, E, R>
) =>
  Effect.gen(function*() {
    const folder = yield* scratchFolder
    const path = join(folder, "store.sqlite")
    const built = (...args: ReadonlyArray<string>): Built => {
      const out = args.find((arg) => arg.startsWith("--out="))?.slice("--out=".length) ?? "dataset"
      const { status, stderr, stdout } = tau(["dataset", "build", "--store=store.sqlite", ...args], {}, folder)
      const read = (file: string) => readFileSync(join(folder, out, file), "utf8")
      return {
        status,
        stderr,
        stdout,
        config: () => JSON.parse(read("config.json")) as Config,
        lines: () => read("dataset.jsonl").trimEnd().split("\n").map((line) => JSON.parse(line) as object)
      }
    }
    yield* Effect.gen(function*() {
      for (const [index, { answer = "yes", model = "m", promoted, system, tool, upstream, user }] of calls.entries()) {
        const tools = tool === undefined ? {} : {
          tools: [{ type: "function", function: { name: "find", description: tool } }]
        }
        const requestWith = (system: string | undefined) => {
          const messages = [
            ...(system === undefined ? [] : [{ role: "system", content: system }]),
            { role: "user", content: user }
          ]
          return Buffer.from(JSON.stringify({ model, messages, ...tools }))
        }
        yield* recordCall({
          attemptId: `r:attempt-${index + 1}`,
          request: requestWith(promoted ?? system),
          ...(promoted !== undefined && { original: requestWith(system) }),
          response: Buffer.from(JSON.stringify({
            object: "chat.completion",
            model,
            choices: [{ index: 0, message: { role: "assistant", content: answer }, finish_reason: "stop" }]
          })),
          span: { spanId: spanIdOf(index + 1), ...(upstream !== undefined && { upstreamUrl: upstream }) }
        })
      }
      yield* test(built)
    }).pipe(Effect.provide(proxyAt(path, "http://127.0.0.1:9")))
  })

const spanIdOf = (n: number) => String(n).padStart(16, "0")

const questions = (count: number): ReadonlyArray<Call> =>
  Array.from({ length: count }, (_, index) => ({ user: `question ${index + 1}` }))

describe("tau dataset build", { timeout: 60_000 }, () => {
  it.scopedLive("runs the agent where its command was typed, and gives a run a minute for each example, an hour at least", () =>
    withCalls(questions(61), (built) =>
      Effect.sync(() => {
        const command = ["node", "agent.mjs"]
        const agent = ["--command=node agent.mjs"]
        const deep = built(...agent, "--out=a/b")
        assert.strictEqual(deep.status, 0, deep.stderr)
        assert.deepInclude(deep.config(), {
          executor: { kind: "command", command, cwd: "../.." },
          completion_timeout_secs: 3_660
        })
        assert.include(deep.stdout, "The agent gave no text that could be a component.\n")
        assert.notInclude(deep.stdout, "several agents")
        assert.notProperty(deep.config(), "rewrite")
        const here = built(...agent, "--out=.", "--limit=60")
        assert.strictEqual(here.status, 0, here.stderr)
        assert.deepInclude(here.config(), {
          executor: { kind: "command", command, cwd: "." },
          completion_timeout_secs: 3_600
        })
      })))

  it.scopedLive("keeps what looks like a placeholder the text that it was to the agent", () =>
    Effect.gen(function*() {
      const system =
        "Say {{resources.name}}, {{ resources.name }}, \\{{resources.name}} and {{prompt}}, not {{resources.}} " +
        "or {{resources.a b}}."
      yield* withCalls([{ system, user: "one" }], (built) =>
        Effect.sync(() => {
          const { config, status, stderr } = built()
          assert.strictEqual(status, 0, stderr)
          const prompt = config().resources!["system_prompt"]!
          assert.deepStrictEqual(renderResources(prompt, {}), Either.right(system))
        }))
    }))

  it.scopedLive("takes an agent for one whatever was put in the place of its text, and finds it by that text", () => {
    const system = "You add numbers."
    const calls = [
      { system, user: "one" },
      { system, promoted: "Give a sum, and only that.", user: "two" },
      { system: "You translate into French.", promoted: "You add numbers.", user: "three" }
    ]
    return withCalls(calls, (built) =>
      Effect.sync(() => {
        const all = built("--out=all")
        assert.include(all.stdout, "  2  You add numbers.\n  1  You translate into French.\n")
        const adder = built("--system=add", "--out=adder", "--command=node agent.mjs")
        assert.include(adder.stdout, "of 2 sessions")
        assert.notInclude(adder.stdout, "several agents")
        assert.deepStrictEqual(adder.config().resources, { system_prompt: system })
      }))
  })

  it.scopedLive("lists ten agents, the most frequent first, by how their system messages begin, and none that is rare", () => {
    const words = (n: number) => Array.from({ length: 30 }, (_, at) => `w${n}x${at}`).join(" ")
    const agents = [
      ...Array<string>(10).fill("Add up."),
      ...Array.from({ length: 9 }, (_, n) => [`Agent ${n}\n of ${words(n)}`, `Agent ${n}\n of ${words(n)}`]).flat(),
      ...Array<undefined>(3).fill(undefined),
      "Seldom used.",
      ...Array.from({ length: 2 }, () => words(99))
    ]
    return withCalls(
      agents.map((system, n) => ({ user: `q${n}`, ...(system !== undefined && { system }) })),
      (built) =>
        Effect.sync(() => {
          const { stderr, stdout } = built()
          assert.strictEqual(stderr, "")
          const listed = stdout.split("\n").filter((line) => line.startsWith("  "))
          assert.deepStrictEqual(listed.slice(0, 3), [
            "  10  Add up.",
            "   3  (none)",
            `   2  ${`Agent 0 of ${words(0)}`.slice(0, 60)}…`
          ])
          assert.lengthOf(listed, 10)
          const told = JSON.parse(built("--json", "--force").stdout) as { readonly agents: ReadonlyArray<object> }
          assert.deepStrictEqual([told.agents.length, told.agents[1]], [12, { sessions: 3, system: "" }])
          const none = built("--system=Spanish", "--out=none")
          assert.include(
            none.stderr,
            "none of 34 sessions has \"Spanish\" in its system message; they have \"Add up.\" (10), "
          )
          assert.lengthOf([...none.stderr.matchAll(/ \(\d+\)/g)], 5)
        })
    )
  })

  it.scopedLive("says where each example is from, and what was written where", () =>
    withCalls([...questions(2), { user: "question 1", answer: "no", model: "other" }], (built) =>
      Effect.sync(() => {
        const { config, lines, stdout } = built("--json", "--fraction=0", "--answer=reference")
        assert.deepStrictEqual(JSON.parse(stdout), {
          schema_version: 1,
          store_path: "store.sqlite",
          sessions: 3,
          optimize: 2,
          validate: 0,
          components: [],
          skipped: { no_input: 0, no_answer: 0, impaired: 0, short: 0, duplicate: 1, beyond_limit: 0 },
          agents: [{ sessions: 3, system: "" }],
          dataset_path: "dataset/dataset.jsonl",
          config_path: "dataset/config.json"
        })
        assert.deepStrictEqual(lines(), [
          {
            prompt: "question 2",
            reference: "yes",
            split: "optimize",
            session: "r:attempt-2",
            span_id: spanIdOf(2),
            model: "m"
          },
          {
            prompt: "question 1",
            reference: "no",
            split: "optimize",
            session: "r:attempt-3",
            span_id: spanIdOf(3),
            model: "other"
          }
        ])
        assert.deepStrictEqual(config(), {
          optimize: [{ prompt: "question 2", reference: "yes" }, { prompt: "question 1", reference: "no" }],
          validate: [],
          executor: { kind: "chat" },
          completion_timeout_secs: 3_600
        })
      })))

  it.scopedLive("says which fraction is enough for a gate, where the split has too few for one and the traffic has enough", () =>
    withCalls(questions(80), (built) =>
      Effect.sync(() => {
        const pattern = /^A search has no gate with fewer than 50 to validate on: --fraction (0\.\d+) does\.$/m
        const [, fraction = ""] = pattern.exec(built().stdout) ?? []
        const again = built(`--fraction=${fraction}`, "--force")
        assert.notMatch(again.stdout, /no gate/)
        assert.isAtLeast(again.config().validate.length, 50)
        const less = built(`--fraction=${(Number(fraction) - 0.01).toFixed(2)}`, "--force")
        assert.match(less.stdout, pattern)
        assert.isBelow(less.config().validate.length, 50)
        for (const args of [["--limit=60"], ["--fraction=0"]]) {
          assert.notMatch(built(...args, "--force").stdout, /no gate/)
        }
      })))

  it.scopedLive("asks a model with what its agent was told, never with what a tool does", () =>
    Effect.gen(function*() {
      const tool = "Finds a room of a size."
      yield* withCalls([{ user: "one", tool }, { user: "two", tool, system: "Book." }], (built) =>
        Effect.sync(() => {
          assert.deepStrictEqual(built().config().resources, { system_prompt: "Book." })
        }))
      yield* withCalls([{ user: "one", tool }], (built) =>
        Effect.sync(() => assert.notProperty(built().config(), "resources")))
    }))

  it.scopedLive("names the provider where one answered all, and scores numbers as numbers where all are", () =>
    Effect.gen(function*() {
      const upstream = "https://api.openai.com"
      const numbers = [{ user: "one", answer: "-1.5" }, { user: "two", answer: "20" }].map((call) => ({
        ...call,
        upstream
      }))
      yield* withCalls(numbers, (built) =>
        Effect.sync(() => {
          const { config, stdout } = built()
          assert.include(stdout, "To run it: tau --model openai/m --prompt-optimization-config dataset/config.json\n")
          assert.deepStrictEqual(config().scoring, [{ kind: "numeric" }])
        }))
      yield* withCalls([...numbers, { user: "three", answer: "3." }], (built) =>
        Effect.sync(() => {
          const { config, stdout } = built()
          assert.include(stdout, "To run it: tau --model PROVIDER/m ")
          assert.deepStrictEqual(config().scoring, [{ kind: "exact_match" }])
        }))
    }))

  it.scopedLive("writes no config that a run would refuse", () =>
    withCalls(questions(1), (built) =>
      Effect.sync(() => {
        const { lines, status, stderr } = built("--command=''")
        assert.strictEqual(status, 1)
        assert.match(stderr, /^tau: the config cannot be run: \$\.executor\.command\[0\]: .*; nothing was written$/m)
        assert.throws(lines, /ENOENT/)
      })))

  it.scopedLive("replaces only what is certain of a text that a secret was taken out of, and says so", () =>
    withCalls(
      [{ system: "The key is [REDACTED].\nYou are a careful assistant.", user: "One?", answer: "1" }],
      (built) =>
        Effect.sync(() => {
          const { config, stderr, stdout } = built("--fraction=0", "--command=node agent.mjs")
          assert.strictEqual(stderr, "")
          assert.include(
            stdout.replaceAll("\n", " "),
            "A secret was taken out of system_prompt before it was stored: only"
          )
          assert.deepStrictEqual(config().resources, { system_prompt: "You are a careful assistant." })
        })
    ))
})
