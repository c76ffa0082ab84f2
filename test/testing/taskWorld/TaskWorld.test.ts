import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { jsonEqual } from "../../../src/scoring/JsonEqual.js"
import { type AgentTexts, type TaskSpec, taskSpecs, TaskWorld } from "../../../src/testing/index.js"
import { heard, sentencesOf } from "../../../src/testing/taskWorld/Rule.js"

const named = (name: string): TaskSpec => taskSpecs.find((spec) => spec.name === name)!
const extract = new TaskWorld(named("extract"))

/** The seed with some of the rules, each in one of its wordings, and a few other lines. */
const textsOf = (spec: TaskSpec) =>
  fc.record({
    rules: fc.subarray([...spec.rules]),
    wording: fc.nat(7),
    others: fc.array(fc.constantFrom("Be thorough.", "Take your time.", "Mind the gap.", spec.rules[0]!.contrary), {
      maxLength: 4
    }),
    trapped: fc.boolean()
  }).map(({ others, rules, trapped, wording }): AgentTexts =>
    Object.fromEntries(
      Object.entries(spec.seed).map(([component, text]) => [
        component,
        [
          text,
          ...rules.filter((rule) => rule.component === component)
            .map(({ phrasings }) => phrasings[wording % phrasings.length]),
          ...others,
          ...trapped ? spec.traps.map((trap) => trap.text) : []
        ].join("\n")
      ])
    )
  )

const withLine = (spec: TaskSpec, line: string, component = "system_prompt"): AgentTexts => ({
  ...spec.seed,
  [component]: `${spec.seed[component]}\n${line}`
})

describe.each(taskSpecs.map((spec) => [spec.name, spec] as const))("the task %s", (_, spec) => {
  const world = new TaskWorld(spec)

  it.prop(
    "ends a run the same way whenever it is made",
    [textsOf(spec), fc.nat(1999), fc.nat(3)],
    ([texts, at, sample]) => {
      const request = world.examples(at, 1)[0]!
      const again = new TaskWorld(spec).examples(at, 1)[0]!
      assert.deepStrictEqual(again, request)
      assert.deepStrictEqual(new TaskWorld(spec).run(texts, again, sample), world.run(texts, request, sample))
    },
    { fastCheck: { numRuns: 8 } }
  )

  it.prop(
    "scores on average what the truth says, within five standard errors",
    [textsOf(spec), fc.constantFrom(0, 0.5, 1), fc.nat(100)],
    ([texts, temperature, seed]) => {
      const lucky = new TaskWorld(spec, { seed: String(seed), temperature })
      const requests = lucky.examples(0, 2000)
      const mean = requests.reduce((sum, request) => sum + lucky.run(texts, request).score, 0) / 2000
      const truth = lucky.trueScore(texts)
      // The requests differ in their chances, which makes the spread of the sum smaller than the binomial one.
      assert.approximately(mean, truth, 5 * Math.sqrt(truth * (1 - truth) / 2000) + 1e-9)
    },
    { fastCheck: { numRuns: 12 } }
  )

  it("hears each wording of each rule as that rule alone, and its contrary as the contrary", () => {
    for (const rule of spec.rules.filter(({ states }) => states.length > 0)) {
      for (const phrasing of rule.phrasings) {
        const of = spec.rules.filter((other) => other.component === rule.component && heard(other, phrasing) !== null)
        assert.deepStrictEqual([phrasing, ...of.map(({ field }) => field)], [phrasing, rule.field])
        assert.strictEqual(heard(rule, phrasing), "stated")
      }
      assert.strictEqual(heard(rule, rule.contrary), "denied", rule.contrary)
    }
  })

  it("starts from texts that state no rule", () => {
    const heardOf = Object.entries(spec.seed).flatMap(([component, text]) =>
      spec.rules.filter((rule) =>
        rule.component === component && sentencesOf(text).some((sentence) => heard(rule, sentence) !== null)
      )
    )
    assert.deepStrictEqual(heardOf, [])
  })

  it("says of a miss what the scorer of JSON says first", () => {
    for (const request of world.examples(0, 300)) {
      const { feedback, output, score } = world.run({}, request)
      const judged = jsonEqual(output, request.expected)
      assert.strictEqual(score, judged.value)
      assert.strictEqual(feedback, (judged.feedback ?? "").split("; $.")[0])
    }
  })
})

describe("the truth", () => {
  it("grows with each rule that is told, whatever the words, and is highest when all are", () => {
    for (const spec of taskSpecs.filter(({ formatComponent }) => formatComponent !== null)) {
      const world = new TaskWorld(spec)
      const seed = world.trueScore(spec.seed)
      for (const rule of spec.rules) {
        for (const phrasing of rule.phrasings) {
          assert.isAbove(world.trueScore(withLine(spec, phrasing, rule.component)), seed, phrasing)
        }
      }
      assert.isAbove(world.trueScore(world.best), 0.8)
      assert.isBelow(seed, 0.35)
    }
  })

  it("falls with lines that say nothing, with quoted requests, with contraries and with length", () => {
    const best = extract.trueScore(extract.best)
    const spoilt = (line: string) => extract.trueScore({ system_prompt: `${extract.best["system_prompt"]}\n${line}` })
    for (
      const line of [
        "Be thorough.",
        `Remember ${extract.examples(0, 1)[0]!.id}.`,
        "Copy the date as it is written.",
        "so ".repeat(400)
      ]
    ) assert.isBelow(spoilt(line), best, line)
  })

  it("breaks when nothing asks for JSON any more", () => {
    const { best } = extract
    const told = best["system_prompt"]!.split("\n").filter((line) => !line.includes("JSON")).join("\n")
    assert.isBelow(extract.trueScore({ system_prompt: told }), extract.trueScore(best) / 2)
  })

  it("has a trap that is better than the start and in the way of the best", () => {
    const spec = named("triage")
    const world = new TaskWorld(spec)
    const [trap] = spec.traps
    assert.isAbove(world.trueScore(withLine(spec, trap!.text)), world.trueScore(spec.seed) + 0.02)
    assert.isBelow(world.trueScore({ system_prompt: `${world.best["system_prompt"]}\n${trap!.text}` }), 0.65)
  })

  it("does not hear a rule in the other component", () => {
    const spec = named("agent")
    const world = new TaskWorld(spec)
    const rule = spec.rules.find(({ component }) => component === "search_tool")!
    assert.isBelow(world.trueScore(withLine(spec, rule.phrasings[0])), world.trueScore(spec.seed))
  })

  it.prop("is the same for every text of the null task", [fc.string(), textsOf(named("null"))], ([text, texts]) => {
    const world = new TaskWorld(named("null"))
    const truth = world.trueScore(named("null").seed)
    assert.strictEqual(world.trueScore({ system_prompt: text }), truth)
    assert.strictEqual(world.trueScore(texts), truth)
  })
})

describe("luck", () => {
  const requests = extract.examples(0, 300)
  const scores = (world: TaskWorld, texts: AgentTexts, sample = 0) =>
    requests.map((request) => world.run(texts, request, sample).score)
  const wordy = { system_prompt: `${extract.spec.seed["system_prompt"]} ` }

  it("is drawn anew for another sample and another prompt at temperature 1", () => {
    assert.notDeepEqual(scores(extract, extract.spec.seed), scores(extract, extract.spec.seed, 1))
    assert.notDeepEqual(scores(extract, extract.spec.seed), scores(extract, wordy))
  })

  it("is the request's own at temperature 0: a better prompt is right on more of the same requests", () => {
    const cold = new TaskWorld(extract.spec, { temperature: 0 })
    const before = scores(cold, cold.spec.seed)
    assert.deepStrictEqual(before, scores(cold, cold.spec.seed, 1))
    assert.deepStrictEqual(before, scores(cold, wordy))
    const after = scores(cold, cold.best)
    for (const [at, score] of before.entries()) assert.isAtLeast(after[at]!, score)
  })

  it("draws other examples for another seed, of the same task", () => {
    const other = new TaskWorld(extract.spec, { seed: "2" })
    assert.notDeepEqual(other.examples(0, 20), extract.examples(0, 20))
    assert.strictEqual(other.trueScore(other.spec.seed), extract.trueScore(extract.spec.seed))
    assert.strictEqual(new Set(extract.examples(0, 2000).map(({ id }) => id)).size, 2000)
  })
})
