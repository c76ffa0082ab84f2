import { assert, describe, it } from "@effect/vitest"
import { Conductor, type Done, type Work } from "../../src/optimizer/Conductor.js"
import {
  evaluate,
  note,
  type Outcome,
  reflect,
  SearchStopped,
  type Steps,
  together
} from "../../src/optimizer/Search.js"
import { examplesOf } from "../support/search.js"

const examples = examplesOf("train", 3)
const texts = { system_prompt: "x" }
const limits = { rolloutsMax: 100, reflectionsMax: 100, stallMax: 5 }

const outcomes = (work: Work): Done => ({
  outcomes: new Map(
    work.rollouts.map(({ example, key, sample }): [string, Outcome] => [
      key,
      { example, score: sample / 10, failed: false, feedback: "", output: null, trace: null, tokens: 1 }
    ])
  ),
  reflections: work.reflections.map(({ path }) => ({ text: path })),
  traces: new Map(work.traces.map((key) => [key, "what it did"]))
})

const run = <A>(steps: Steps<A>, options: Partial<ConstructorParameters<typeof Conductor>[1]> = {}) => {
  const conductor = new Conductor(steps, { ...limits, ...options })
  const works: Array<Work> = []
  let turn = conductor.begin()
  while (!turn.done) {
    works.push(turn.work)
    turn = conductor.resume(outcomes(turn.work))
  }
  return { value: turn.value, works, spent: conductor.spent }
}

describe("The conductor", () => {
  it("asks for no rollout twice, and for a trace only once", () => {
    const { value, works } = run((function*() {
      yield* evaluate(texts, "train", examples.slice(0, 2))
      yield* evaluate(texts, "train", examples, { withTraces: true })
      return yield* evaluate(texts, "train", examples, { withTraces: true })
    })())
    assert.deepStrictEqual(works.map(({ rollouts, traces }) => [rollouts.length, traces.length]), [[2, 0], [1, 3], [
      0,
      0
    ]])
    assert.deepStrictEqual(value.map(({ trace }) => trace), ["what it did", "what it did", "what it did"])
  })

  it("draws afresh whenever it is asked where it keeps nothing", () => {
    const { value, spent } = run(
      (function*() {
        const first = yield* evaluate(texts, "train", examples)
        const second = yield* evaluate(texts, "train", examples)
        return [first, second].map((answers) => answers.map(({ score }) => score))
      })(),
      { cached: false }
    )
    assert.deepStrictEqual(value, [[0, 0, 0], [0.1, 0.1, 0.1]])
    assert.strictEqual(spent.rollouts, 6)
  })

  it("begins with one rollout and one reflection, and goes on with few, where what they take is yet to show", () => {
    const steps = function*() {
      yield* evaluate(texts, "train", examplesOf("train", 30))
      const [answers, ...reflections] = yield* together<unknown>([
        evaluate({ system_prompt: "y" }, "train", examplesOf("train", 30), { withTraces: true }),
        ...["a", "b", "c", "d", "e", "f"].map((path) => reflect(path, "Why?"))
      ])
      return { answers, reflections }
    }
    const { spent, value, works } = run(steps(), { growthMax: 4 })
    assert.deepStrictEqual(
      works.map(({ asks, n, reflections, rest, rollouts, traces }) => [
        n,
        asks.length,
        rollouts.length,
        rest.rollouts,
        reflections.length,
        rest.reflections,
        traces.length
      ]),
      [
        [0, 1, 1, 29, 0, 0, 0],
        [1, 0, 4, 25, 0, 0, 0],
        [2, 0, 20, 5, 0, 0, 0],
        [3, 0, 5, 0, 0, 0, 0],
        [4, 7, 30, 0, 1, 5, 0],
        [5, 0, 0, 0, 4, 1, 0],
        [6, 0, 0, 0, 1, 0, 30]
      ]
    )
    assert.deepStrictEqual(value, run(steps()).value)
    assert.deepStrictEqual(spent, { rollouts: 60, reflections: 6 })

    const conductor = new Conductor(steps(), { ...limits, growthMax: 4 })
    conductor.begin()
    const second = conductor.resume(outcomes(works[0]!))
    assert.isFalse(second.done)
    assert.throws(() => conductor.stop(new SearchStopped("usd", "dear")), "dear")
    assert.deepStrictEqual(conductor.spent, { rollouts: 1, reflections: 0 })
  })

  it("refuses a batch that would overshoot as a whole, and counts it as not spent", () => {
    const { value, spent } = run(
      (function*() {
        try {
          yield* evaluate(texts, "train", examples.slice(0, 2))
          yield* evaluate(texts, "train", examples, { sample: 1 })
          return "went on"
        } catch (error) {
          return (error as Error).message
        }
      })(),
      { rolloutsMax: 4 }
    )
    assert.strictEqual(value, "3 more rollouts would exceed the budget of 4")
    assert.strictEqual(spent.rollouts, 2)
  })

  it("stops a search that has nothing new to ask", () => {
    const { value, works } = run((function*() {
      try {
        yield* evaluate(texts, "train", examples)
        for (let n = 1;; n += 1) {
          yield* note({ type: "iteration", n })
          yield* reflect(`iter/${n}`, "why?")
        }
      } catch (error) {
        return (error as Error).message
      }
    })())
    assert.strictEqual(value, "5 iterations in a row asked for nothing new")
    assert.isBelow(works.length, 15)
  })
})
