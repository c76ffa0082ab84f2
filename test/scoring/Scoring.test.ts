import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { readFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { AttemptId, RolloutId } from "../../src/domain/Ids.js"
import { Scorer } from "../../src/domain/Reward.js"
import type { Example } from "../../src/domain/Rollout.js"
import { ScorerConfig } from "../../src/domain/RunConfig.js"
import * as Scoring from "../../src/scoring/Scoring.js"
import { withVariables } from "../support/environment.js"

const decode = Schema.decodeSync(Schema.Array(ScorerConfig))
type Configs = Parameters<typeof decode>[0]

const score = (scoring: Configs | undefined, example: Example, output: string) =>
  Effect.flatMap(Scorer, (scorer) =>
    scorer.score({
      rolloutId: RolloutId.make("rollout-1"),
      attemptId: AttemptId.make("rollout-1:attempt-1"),
      example,
      output
    })).pipe(
      Effect.provide(
        Scoring.layer({ scoring: scoring === undefined ? undefined : decode(scoring), baseDir: tmpdir() })
      )
    )
const values = (rewards: ReadonlyArray<{ readonly name: string; readonly value: number }>) =>
  rewards.map(({ name, value }) => [name, value] as const)

/** A scorer in JavaScript: `input` is what it was asked. */
const program = (body: string, more: { readonly timeout_secs?: number } = {}): Configs => [{
  kind: "command",
  command: [
    process.execPath,
    "-e",
    `const input = JSON.parse(require("node:fs").readFileSync(0, "utf8")); ${body}`
  ],
  ...more
}]
const detail = (scoring: Configs, example: Example = {}, output = "") =>
  Effect.map(Effect.flip(score(scoring, example, output)), ({ message }) => message)

describe("Scoring", () => {
  it.effect("rewards exact_match when nothing is configured and the example has a text to expect", () =>
    Effect.gen(function*() {
      const right = yield* score(undefined, { prompt: "2 + 2?", expected: "4" }, " 4\n")
      assert.deepStrictEqual(values(right.rewards), [["exact_match", 1]])
      assert.strictEqual(right.score, 1)
      const wrong = yield* score(undefined, { expected: "4" }, "5")
      assert.strictEqual(wrong.score, 0)
      assert.match(wrong.rewards[0]?.feedback ?? "", /expected "4", got "5"/)
      for (const example of [{}, { expected: 4 }, { expected: null }]) {
        assert.deepStrictEqual(yield* score(undefined, example, "4"), { rewards: [], score: null })
      }
    }))

  it.effect("keeps every reward by its name and scores their weighted mean", () =>
    Effect.gen(function*() {
      const { rewards, score: mean } = yield* score(
        [
          { kind: "exact_match", weight: 1 },
          { kind: "contains", name: "city", weight: 3, expected: "city", ignore_case: true },
          { kind: "contains", weight: 0, expected: "city" },
          { kind: "contains", weight: 0, expected: "land" },
          { kind: "contains", weight: 0, expected: "city", ignore_case: true },
          { kind: "regex", weight: 0, pattern: "^p", flags: "i" },
          { kind: "numeric", weight: 0, expected: "zip" },
          { kind: "json_equal", weight: 0, expected: "zip" }
        ],
        { expected: "paris", city: "paris", land: "France", zip: 75_000 },
        "PARIS 75,000"
      )
      assert.deepStrictEqual(values(rewards), [
        ["exact_match", 0],
        ["city", 1],
        ["contains", 0],
        ["contains_2", 0],
        ["contains_3", 1],
        ["regex", 1],
        ["numeric", 1],
        ["json_equal", 0]
      ])
      assert.strictEqual(mean, 0.75)
      for (const { feedback, value } of rewards) assert.strictEqual(feedback === null, value === 1)
    }))

  it.effect("reads numbers as its config says", () =>
    Effect.gen(function*() {
      const german = { kind: "numeric", thousands_separator: ".", tolerance: 0.5 } as const
      assert.strictEqual((yield* score([german], { expected: 75_000 }, "75.000,2")).score, 1)
      assert.strictEqual((yield* score([{ kind: "numeric" }], { expected: 75_000 }, "75.000")).score, 0)
    }))

  it.effect("rounds no score that has few digits", () =>
    Effect.gen(function*() {
      const brevity = { kind: "command", name: "brevity", command: ["echo", "0.5"] } as const
      for (const weight of [3, 7, 15, 1e300]) {
        const scored = yield* score([{ kind: "contains", weight }, brevity], { expected: "4" }, "4")
        assert.strictEqual(scored.score, (weight + 0.5) / (weight + 1))
      }
    }))

  it.effect("has no score when nothing weighs, and survives huge weights", () =>
    Effect.gen(function*() {
      const example = { expected: "4" }
      assert.isNull((yield* score([{ kind: "exact_match", weight: 0 }], example, "4")).score)
      const heavy = { kind: "exact_match", weight: Number.MAX_VALUE } as const
      assert.strictEqual((yield* score([heavy, heavy, heavy], example, "4")).score, 1)
    }))

  it.effect("fails, rather than scoring 0, when the example lacks the reference or it cannot be used", () =>
    Effect.gen(function*() {
      for (const kind of ["exact_match", "contains", "regex", "numeric", "json_equal"] as const) {
        assert.strictEqual(
          yield* detail([{ kind, name: "mine", expected: "gold" }], { expected: "4" }),
          `scorer mine failed: the example has no field "gold" to compare with`
        )
        assert.match(yield* detail([{ kind, expected: "toString" }]), /has no field "toString" to compare with/)
      }
      assert.match(yield* detail([{ kind: "regex" }], { expected: 4 }), /must be a text/)
      assert.match(yield* detail([{ kind: "regex" }], { expected: "(" }), /Invalid regular expression/)
      assert.match(yield* detail([{ kind: "numeric" }], { expected: "four" }), /must be a number/)
      assert.match(yield* detail([{ kind: "contains" }], { expected: [] }), /empty list/)
      assert.match(yield* detail([{ kind: "regex", pattern: "^(a+)+$" }], {}, `${"a".repeat(60)}!`), /backtracks/)
    }))
})

describe("docs/scorers.md", () => {
  const page = readFileSync(new URL("../../docs/scorers.md", import.meta.url), "utf8")
  const examples: ReadonlyArray<readonly [config: string, expected: unknown, output: string]> = [
    [`{"kind": "exact_match"}`, "4", "It is 4."],
    [`{"kind": "contains", "ignore_case": true}`, ["Paris", "France"], "PARIS"],
    [String.raw`{"kind": "regex", "pattern": "^\\d{4}$", "flags": "m"}`, undefined, "in 1990"],
    [`{"kind": "numeric", "tolerance": 0.01}`, 3.14, "Pi is about 3."],
    [`{"kind": "json_equal"}`, { city: "Paris", zip: [75_000] }, `{"zip": [75001], "city": "Paris"}`]
  ]
  it.effect.each(examples)("shows the feedback that %s gives", ([config, expected, output]) =>
    Effect.gen(function*() {
      const { rewards } = yield* score([JSON.parse(config)], { expected }, output)
      assert.include(page, `\`${config}\``)
      assert.include(page, `answer \`${output}\` → 0:\n\`${rewards[0]?.feedback}\``)
    }))
})

describe("docs/scorers.md, its configs", () => {
  it("can be used as they are", () => {
    const page = readFileSync(new URL("../../docs/scorers.md", import.meta.url), "utf8")
    const configs = [...page.matchAll(/```json\n([^]*?)```/g)].map(([, json = ""]) => JSON.parse(json))
      .filter((value) => Object.hasOwn(value, "scoring"))
    assert.isAtLeast(configs.length, 3)
    for (const { scoring } of configs) decode(scoring)
  })
})

describe("command scorer", () => {
  it.live("hears example, output and rollout and prints a score with feedback", () =>
    Effect.gen(function*() {
      const { rewards, score: mean } = yield* score(
        program("console.log(JSON.stringify({ score: 0.25, feedback: JSON.stringify(input) }, null, 2))"),
        { prompt: "2 + 2?" },
        "4"
      )
      assert.strictEqual(mean, 0.25)
      assert.deepStrictEqual(JSON.parse(rewards[0]?.feedback ?? ""), {
        example: { prompt: "2 + 2?" },
        output: "4",
        rollout_id: "rollout-1"
      })
    }))

  it.live("may print a bare number, after other lines", () =>
    Effect.gen(function*() {
      const { rewards } = yield* score(program("console.log('loading…'); console.log(1)"), {}, "")
      assert.deepStrictEqual(rewards.map(({ feedback, value }) => [value, feedback]), [[1, null]])
    }))

  it.scopedLive("sees no key of ours", () =>
    Effect.gen(function*() {
      yield* withVariables({ OPENAI_API_KEY: "sk-secret" })
      const { rewards } = yield* score(
        program("console.log(JSON.stringify({ score: 0, feedback: JSON.stringify(process.env) }))"),
        {},
        ""
      )
      assert.include(rewards[0]?.feedback ?? "", "PATH")
      assert.notInclude(rewards[0]?.feedback ?? "", "sk-secret")
    }))

  it.live("bounds its feedback", () =>
    Effect.gen(function*() {
      const { rewards } = yield* score(
        program("console.log(JSON.stringify({ score: 0, feedback: 'x'.repeat(100000) }))"),
        {},
        ""
      )
      assert.strictEqual(rewards[0]?.feedback?.length, 2000)
    }))

  it.live("fails clearly on anything that is no score from 0 to 1", () =>
    Effect.gen(function*() {
      for (
        const printed of ["", "good", "1.5", "-1", "NaN", "1e999", "true", `{"score":2}`, `{"feedback":"x"}`, "[1]"]
      ) {
        assert.match(
          yield* detail(program(`console.error("oh"); process.stdout.write(${JSON.stringify(printed)})`)),
          /^scorer command failed: it must print a number from 0 to 1, or .*; its standard error ends: oh$/,
          printed
        )
      }
    }))

  it.live("fails clearly when the program fails, is late or is not there", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* detail(program("console.log(1); console.error('boom'); process.exit(3)")),
        "scorer command failed: it exited with code 3; its standard error ends: boom"
      )
      assert.strictEqual(
        yield* detail(program(`console.error("no such key: sk-" + "a".repeat(40)); process.exit(3)`)),
        "scorer command failed: it exited with code 3; its standard error ends: no such key: [REDACTED]"
      )
      assert.match(yield* detail(program("process.kill(process.pid, 'SIGKILL')")), /it was ended by SIGKILL/)
      assert.match(
        yield* detail(program("setInterval(() => {}, 1000)", { timeout_secs: 1 })),
        /it ran for longer than 1 s and was stopped/
      )
      assert.match(
        yield* detail([{ kind: "command", command: ["no-such-scorer"] }]),
        /command not found: no-such-scorer/
      )
    }))
})
