import { assert, describe, it } from "@effect/vitest"
import { Conductor, type Done, type Work } from "../../src/optimizer/Conductor.js"
import {
  evaluate,
  keyOf,
  note,
  type Outcome,
  reflect,
  SearchStopped,
  type Steps,
  together,
  untilStopped
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

const iterationsOf = (works: ReadonlyArray<Work>) =>
  works.flatMap(({ asks }) => asks).flatMap((ask) =>
    ask._tag === "Note" && ask.event.type === "iteration" ? [ask.event.n] : []
  )

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
    assert.deepStrictEqual(iterationsOf(works), [1, 2, 3, 4, 5])
  })

  it("counts such iterations anew after one that asked for a rollout", () => {
    const { works } = run((function*() {
      try {
        for (let n = 1;; n += 1) {
          yield* note({ type: "iteration", n })
          if (n === 4) yield* evaluate(texts, "train", examples)
          yield* reflect(`iter/${n}`, "why?")
        }
      } catch {}
    })())
    assert.deepStrictEqual(iterationsOf(works), [1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it("spends its reflections to the last, and takes back those of a search that is stopped before them", () => {
    const asking = function*() {
      yield* reflect("a", "why?")
      yield* together(["b", "c", "d"].map((path) => reflect(path, "why?")))
    }
    assert.deepStrictEqual(run(asking(), { reflectionsMax: 4 }).spent, { rollouts: 0, reflections: 4 })
    assert.throws(() => run(asking(), { reflectionsMax: 3 }), "3 more reflections would exceed the budget of 3")
    const conductor = new Conductor(asking(), { ...limits, growthMax: 1 })
    const first = conductor.begin()
    if (first.done) return assert.fail()
    conductor.resume(outcomes(first.work))
    assert.throws(() => conductor.stop(new SearchStopped("usd", "dear")), "dear")
    assert.deepStrictEqual(conductor.spent, { rollouts: 0, reflections: 1 })
  })

  it("numbers its batches from where the search before it ended, and goes on with no batch that lacks an outcome", () => {
    const conductor = new Conductor(evaluate(texts, "train", examples), { ...limits, from: 7 })
    const turn = conductor.begin()
    if (turn.done) return assert.fail()
    assert.strictEqual(turn.work.n, 7)
    assert.throws(
      () => conductor.resume({ outcomes: new Map(), reflections: [], traces: new Map() }),
      /^no outcome for .*train-0/
    )
  })
})

describe("A search", () => {
  it("asks nothing about no examples", () => {
    assert.deepStrictEqual(run(evaluate(texts, "train", [])), {
      value: [],
      works: [],
      spent: { rollouts: 0, reflections: 0 }
    })
  })

  it("ends with what it has when it is told to, and with any other failure fails", () => {
    const found = { best: texts, mean: 0.5, reason: "usd" }
    const begun = () => {
      const conductor = new Conductor(
        untilStopped(
          (function*() {
            yield* evaluate(texts, "train", examples)
            return { ...found, reason: "finished" }
          })(),
          (reason) => ({ ...found, reason })
        ),
        limits
      )
      conductor.begin()
      return conductor
    }
    assert.deepStrictEqual(begun().stop(new SearchStopped("usd", "dear")), { done: true, value: found })
    assert.throws(() => begun().stop(new Error("disk full") as SearchStopped), "disk full")
  })

  it("takes texts with the same components in another order for the same", () => {
    assert.strictEqual(keyOf({ a: "1", b: "2" }), keyOf({ b: "2", a: "1" }))
    assert.notStrictEqual(keyOf({ a: "1", b: "2" }), keyOf({ a: "2", b: "1" }))
  })
})
