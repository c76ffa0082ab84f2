import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { Chance } from "../../src/optimizer/Chance.js"
import { evaluation } from "../../src/optimizer/Evaluation.js"
import { gepa } from "../../src/optimizer/Gepa.js"
import { rgepa } from "../../src/optimizer/Rgepa.js"
import { type Found, keyOf, SearchStopped, type Steps, type Task } from "../../src/optimizer/Search.js"
import { apo } from "../../src/optimizer/TextualGradient.js"
import { ruleLine, ruleWorld } from "../support/ruleWorld.js"
import { emptyJournal, examplesOf, search, type Searched, taskOf, type World } from "../support/search.js"

type Algorithm = (task: Task) => Steps<Found>

/** Every algorithm, and every option that changes the order of what it asks. */
const algorithms: ReadonlyArray<readonly [name: string, run: Algorithm]> = [
  ["evaluate", (task) => evaluation(task, { samples: 2 })],
  ["apo", (task) => apo(task)],
  ["apo with a bandit", (task) => apo(task, { bandit: "ucb", beamRounds: 2 })],
  ["gepa", (task) => gepa(task)],
  [
    "gepa with merges, 2 x 2 proposals, the best of them",
    (task) =>
      gepa(task, { merge: true, proposals: { parents: 2, perParent: 2 }, selection: "best", componentSelector: "all" })
  ],
  ["gepa with Python's draws", (task) => gepa(task, { rng: "python", merge: true, acceptance: ">=" })],
  ["rgepa", (task) => rgepa(task)],
  [
    "rgepa with a lag and everything on",
    (task) => rgepa(task, { lag: 2, proposals: 2, corpusPass: true, patchMerge: true, tieBreakSamples: 1, pPrune: 0.5 })
  ]
]
const searching = algorithms.filter(([name]) => name !== "evaluate")

const twoComponents = { system_prompt: "Answer.\nBe brief.", tool: "Looks things up." }
const task = (given: Parameters<typeof taskOf>[0] = {}) => taskOf({ seed: twoComponents, ...given })
const limits = { rolloutsMax: 400, reflectionsMax: 100 }

const traceOf = ({ events, found, spent, works }: Searched) => ({
  events,
  found,
  spent,
  asked: works.map(({ asks, rollouts }) => [asks, rollouts.map(({ key }) => key)])
})

const typesOf = ({ events }: Searched, type: string) => events.filter((event) => event.type === type)

/** What the reflector is asked, where it has no answer. */
const promptsFor = (run: (task: Task) => Steps<Found>, rollout: World["rollout"]): ReadonlyArray<string> => {
  const prompts: Array<string> = []
  search(run(task()), {
    rollout,
    reflect: (prompt) => {
      prompts.push(prompt)
      return { failure: "enough" }
    }
  }, limits)
  return prompts
}

describe.each(algorithms)("%s", (_, run) => {
  it("makes the same search of the same answers, in whatever order they come", () => {
    const plain = traceOf(search(run(task()), ruleWorld(), limits))
    const mixed = search(run(task()), ruleWorld(), {
      ...limits,
      order: (rollouts) => new Chance(5).shuffled(`${rollouts.length}`, rollouts)
    })
    assert.deepStrictEqual(traceOf(mixed), plain)
  })

  it("goes on after a crash at any batch as if there had been none, and runs nothing twice", () => {
    const whole = search(run(task()), ruleWorld(), limits)
    const points = new Chance(3).shuffled("points", [...whole.works.keys()]).slice(0, 8)
    for (const crashAt of points) {
      const journal = emptyJournal()
      const before = search(run(task()), ruleWorld(), { ...limits, journal, crashAt })
      const after = search(run(task()), ruleWorld(), { ...limits, journal })
      assert.deepStrictEqual(traceOf(after), traceOf(whole))
      assert.strictEqual(before.carriedOut.rollouts + after.carriedOut.rollouts, whole.spent.rollouts)
      assert.strictEqual(before.carriedOut.reflections + after.carriedOut.reflections, whole.spent.reflections)
    }
  })

  it("finds the same where it begins with few rollouts at a time", () => {
    const [whole, growing] = [{}, { growthMax: 4 }].map((more) =>
      search(run(task()), ruleWorld(), { ...limits, ...more })
    )
    for (const  of of["events", "found", "spent"] as const) assert.deepStrictEqual(growing![of], whole![of])
    let before = 0
    for (const { rollouts } of growing!.works) {
      assert.isAtMost(rollouts.length, Math.max(1, 4 * before))
      before += rollouts.length
    }
  })

  it("never exceeds its budget, and ends with the best it knows", () => {
    const budget = fc.record({
      rolloutsMax: fc.integer({ min: 0, max: 300 }),
      reflectionsMax: fc.integer({ min: 0, max: 20 })
    })
    fc.assert(
      fc.property(budget, fc.nat(9), (limits, seed) => {
        const ended = search(run(task({ chanceSeed: seed })), ruleWorld({ seed }), limits)
        assert.isAtMost(ended.carriedOut.rollouts, limits.rolloutsMax)
        assert.isAtMost(ended.carriedOut.reflections, limits.reflectionsMax)
        const incumbent = ended.events.findLast((event) => event.type === "incumbent")
        if (incumbent === undefined) {
          assert.deepStrictEqual([ended.found!.best, ended.found!.mean], [twoComponents, null])
        } else assert.deepStrictEqual([ended.found!.best, ended.found!.mean], [incumbent.candidate, incumbent.mean])
      }),
      { numRuns: 12 }
    )
  })

  it("looks at no example of the gate, and evaluates no selection example as a training one", () => {
    const { works } = search(run(task()), ruleWorld(), limits)
    const rollouts = works.flatMap((work) => work.rollouts)
    assert.isNotEmpty(rollouts)
    for (const { example, split } of rollouts) {
      assert.include(["train", "selection"], split)
      assert.isTrue(example.id.startsWith(split))
    }
  })

  it("ends when it is told to, wherever it is", () => {
    const whole = search(run(task()), ruleWorld(), limits).works.length
    for (const at of [0, 1, 2, 5, 9].filter((n) => n < whole)) {
      const stopped = search(run(task()), ruleWorld(), {
        ...limits,
        stop: ({ n }) => n === at ? new SearchStopped("seconds", "time is up") : null
      })
      assert.strictEqual(stopped.found!.reason, "seconds")
      assert.strictEqual(stopped.works.length, at + 1)
    }
    assert.isAbove(whole, 1)
  })

  it("does without selection examples, training examples or components", () => {
    for (const given of [{ selection: [] }, { train: [] }, { seed: {} }]) {
      const { found } = search(run(task(given)), ruleWorld(), limits)
      if ("selection" in given) assert.isNull(found!.mean)
      assert.isNotEmpty(found!.reason)
    }
  })
})

const worldWith = (reflect: World["reflect"]): World => ({ ...ruleWorld(), reflect })

describe.each(searching)("%s", (_, run) => {
  it("stops at once when all selection examples are perfect", () => {
    const { found, spent } = search(run(task()), { ...ruleWorld(), rollout: () => ({ score: 1 }) }, limits)
    assert.strictEqual(found!.reason, "perfect")
    assert.strictEqual(found!.mean, 1)
    assert.deepStrictEqual(spent, { rollouts: 20, reflections: 0 })
  })

  it.each<readonly [string, World["reflect"]]>([
    ["says the same for ever", (_, __, { json }) => ({
      text: json ? `{"edits":[{"op":"add","text":"Try harder."}]}` : "```\nTry harder.\n```"
    })],
    ["fails", () => ({ failure: "503 from upstream" })],
    ["refuses", () => ({ text: "I cannot help with that." })],
    ["answers nothing", () => ({ text: "" })],
    [
      "repeats the text it was given",
      (prompt) => ({ text: `\`\`\`\n${/<current[^>]*>\n([^]*?)\n<\/current>/.exec(prompt)![1]}\n\`\`\`` })
    ],
    ["writes garbage", (_, path) => ({ text: `{"edits": [{"op": ${path.repeat(50)}` })]
  ])("ends with the incumbent when the reflector %s", (_, reflect) => {
    const ended = search(run(task()), worldWith(reflect), { rolloutsMax: 2_000, reflectionsMax: 300 })
    assert.include(["stalled", "reflections", "rollouts", "finished"], ended.found!.reason)
    assert.isNotNull(ended.found!.mean)
    assert.isBelow(ended.works.length, 5_000)
  })

  it("says why nothing came of a reflection", () => {
    const failed = search(run(task()), worldWith(() => ({ failure: "503 from upstream" })), limits)
    assert.isNotEmpty(typesOf(failed, "rejected"))
    for (const event of failed.events) {
      if (event.type === "rejected") {
        assert.deepStrictEqual([event.reason, event.detail], ["reflection", "503 from upstream"])
      }
    }
    assert.deepStrictEqual(failed.found!.best, twoComponents)
  })

  it("shows the reflector what a failed rollout failed of", () => {
    const prompts = promptsFor(run, () => ({
      score: 0,
      failed: true,
      feedback: "the agent failed: out of memory",
      trace: "called search()"
    }))
    assert.isNotEmpty(prompts)
    for (const prompt of prompts) {
      assert.include(prompt, "the agent failed: out of memory")
      assert.include(prompt, "called search()")
    }
  })

  it("teaches the reflector nothing of what an outage broke", () => {
    const isBroken = ({ id }: { readonly id: string }) => Number(id.split("-")[1]) % 2 === 1
    const prompts = promptsFor(run, (_texts, example) =>
      isBroken(example)
        ? { score: 0, failed: true, isBroken: true, feedback: "broken off" }
        : { score: 0, feedback: "wrong" })
    assert.isNotEmpty(prompts)
    for (const prompt of prompts) {
      assert.notInclude(prompt, "broken off")
      assert.include(prompt, "wrong")
    }
  })

  it("changes every component in its turn", () => {
    const { events } = search(run(task()), ruleWorld(), limits)
    const changed = events.flatMap((event) => event.type === "proposed" ? event.change.component.split(", ") : [])
    assert.deepStrictEqual(new Set(changed), new Set(Object.keys(twoComponents)))
    for (const event of events) {
      if (event.type === "proposed") assert.deepStrictEqual(Object.keys(event.candidate), Object.keys(twoComponents))
    }
  })

  it("asks at no place twice", () => {
    const { works } = search(run(task()), ruleWorld(), limits)
    const paths = works.flatMap(({ reflections }) => reflections.map(({ path }) => path))
    assert.isNotEmpty(paths)
    assert.strictEqual(new Set(paths).size, paths.length)
  })

  it("tells of a candidate before it takes it in or turns it down, and of the incumbent whenever it changes", () => {
    const { events, found } = search(run(task({ chanceSeed: 2 })), ruleWorld({ insight: 1 }), {
      ...limits,
      rolloutsMax: 900
    })
    const proposed = new Set([keyOf(twoComponents)])
    let best = -1
    for (const event of events) {
      if (event.type === "proposed") proposed.add(keyOf(event.candidate))
      if (event.type === "accepted") assert.isTrue(proposed.has(keyOf(event.candidate)))
      if (event.type === "rejected" && event.candidate !== null) assert.isTrue(proposed.has(keyOf(event.candidate)))
      if (event.type !== "incumbent") continue
      assert.isTrue(event.low <= event.mean && event.mean <= event.high)
      best = event.mean
    }
    assert.strictEqual(found!.mean, best)
    assert.isAbove(typesOf({ events } as Searched, "incumbent").length, 1)
  })
})

describe.each<readonly [string, (task: Task, target: number) => Steps<Found>]>([
  ["apo", (task, target) => apo(task, { target })],
  ["gepa", (task, target) => gepa(task, { target })],
  ["rgepa", (task, target) => rgepa(task, { target })]
])("%s", (_, run) => {
  it("ends at its target", () => {
    const world = ruleWorld({ rules: 3, insight: 1, skill: 0.95 })
    const seed = { system_prompt: "Answer." }
    const reached = search(run(task({ seed }), 0.7), world, { rolloutsMax: 3_000, reflectionsMax: 500 })
    assert.strictEqual(reached.found!.reason, "target")
    assert.isAtLeast(reached.found!.mean!, 0.7)
    const at = search(run(task({ seed: { system_prompt: [0, 1, 2].map(ruleLine).join("\n") } }), 0.7), world, limits)
    assert.deepStrictEqual([at.found!.reason, at.spent], ["target", { rollouts: 20, reflections: 0 }])
  })
})

describe("evaluate", () => {
  it("takes the mean of an example's samples for one", () => {
    const world: World = {
      ...ruleWorld(),
      rollout: (_, { id }, sample) => ({ score: sample === 0 || id.endsWith("1") ? 1 : 0 })
    }
    const measured = search(evaluation(taskOf({ selection: examplesOf("selection", 2) }), { samples: 4 }), world)
    assert.deepStrictEqual(measured.found, { best: { system_prompt: "Answer." }, mean: 0.625, reason: "finished" })
    assert.strictEqual(measured.spent.rollouts, 8)
    assert.deepStrictEqual(measured.events.map(({ type }) => type), ["accepted", "incumbent"])
  })
})

describe("apo", () => {
  it("turns down what a round has already, and measures it once", () => {
    const same: World = { ...ruleWorld(), reflect: () => ({ text: "```\nTry harder.\n```" }) }
    const { events } = search(apo(task({ seed: { system_prompt: "Answer." } }), { beamRounds: 2 }), same, limits)
    const [first, second] = [1, 2].map((n) => {
      const from = events.findIndex((event) => event.type === "iteration" && event.n === n)
      const to = events.findIndex((event) => event.type === "iteration" && event.n === n + 1)
      const round = { events: events.slice(from, to === -1 ? undefined : to) } as unknown as Searched
      return { proposed: typesOf(round, "proposed").length, rejected: typesOf(round, "rejected") }
    })
    assert.isAbove(first!.proposed, 1)
    assert.strictEqual(first!.rejected.length, first!.proposed - 1)
    assert.strictEqual(second!.rejected.length, second!.proposed)
    for (const event of [...first!.rejected, ...second!.rejected]) assert.propertyVal(event, "reason", "seen")
  })
})
