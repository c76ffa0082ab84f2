import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import {
  reflection,
  type ReflectorStrength,
  reflectorStrengths,
  type TaskRequest,
  taskSpecs,
  TaskWorld
} from "../../../src/testing/index.js"
import { heard, sentencesOf, type TaskSpec } from "../../../src/testing/taskWorld/Rule.js"
import { cpuMs } from "../../support/cpu.js"

const named = (name: string): TaskSpec => taskSpecs.find((spec) => spec.name === name)!

/** Failing runs as any reflection prompt shows them. */
const runsOf = (world: TaskWorld, texts = world.spec.seed, from = 0): string =>
  world.examples(from, 40).map((request: TaskRequest) => [request, world.run(texts, request)] as const)
    .filter(([, { score }]) => score === 0).slice(0, 6)
    .map(([{ input }, { feedback, output }], n) =>
      `# Run ${n + 1}\n## Inputs\n${input}\n## Generated Outputs\n${output}\n## Feedback\n${feedback}`
    ).join("\n\n")

const asking = {
  edits: (text: string, runs: string) =>
    `Change as little as needed.\n<current name="system_prompt">\n${text}\n</current>\n<runs>\n${runs}\n</runs>\nReturn JSON: {"edits": []}`,
  rewrite: (text: string, runs: string) =>
    `Your agent was given this:\n\`\`\`\n${text}\n\`\`\`\nWhat came of it:\n${runs}\nWrite a new instruction within \`\`\` blocks.`,
  critique: (text: string, runs: string) =>
    `<current name="a">\n${text}\n</current>\n${runs}\nWhat is wrong with it? Do not write the new text yet.`
}

const extract = new TaskWorld(named("extract"))
const seedText = extract.spec.seed["system_prompt"]!

interface Edits {
  readonly hypotheses: ReadonlyArray<{ readonly cause: string }>
  readonly edits: ReadonlyArray<{ readonly op: string; readonly text?: string; readonly find?: string }>
}

const editsOf = (answer: string): Edits["edits"] => {
  try {
    return (JSON.parse(answer) as Edits).edits
  } catch {
    return []
  }
}

const states = (spec: TaskSpec, text: string): boolean =>
  sentencesOf(text).some((sentence) => spec.rules.some((rule) => heard(rule, sentence) === "stated"))

/** Share of 400 reflections that do something. */
const share = (does: (draw: string) => boolean): number =>
  Array.from({ length: 400 }, (_, n) => does(String(n))).filter(Boolean).length / 400

const findsRule = (strength: ReflectorStrength) =>
  share((draw) =>
    editsOf(
      reflection(
        strength,
        "1",
        asking.edits(seedText, runsOf(extract, extract.spec.seed, 40 * Number(draw) % 1900)),
        draw
      )
    )
      .some(({ text }) => text !== undefined && states(extract.spec, text))
  )

describe("a simulated reflector", () => {
  it("finds rules the more often the stronger it is", () => {
    const [weak, medium, strong] = reflectorStrengths.map(findsRule)
    assert.isAbove(weak!, 0.15)
    assert.isAbove(medium!, weak! + 0.15)
    assert.isAbove(strong!, medium! + 0.1)
  })

  it("finds no rule that nothing points to", () => {
    const world = new TaskWorld(named("null"))
    const prompt = asking.edits(world.spec.seed["system_prompt"]!, runsOf(world))
    assert.strictEqual(
      share((draw) =>
        taskSpecs.some((spec) =>
          states(spec, editsOf(reflection("strong", "1", prompt, draw)).map(({ text }) => text).join("\n"))
        )
      ),
      0
    )
  })

  it("answers the same when asked the same, and otherwise at another draw or seed", () => {
    const prompt = asking.edits(seedText, runsOf(extract))
    const answers = (seed: string) =>
      Array.from({ length: 20 }, (_, n) => reflection("medium", seed, prompt, String(n)))
    assert.deepStrictEqual(answers("1"), answers("1"))
    assert.notDeepEqual(answers("1"), answers("2"))
    assert.isAbove(new Set(answers("1")).size, 5)
  })

  it("keeps the text when it writes it anew, save for lines it forgets", () => {
    const long = [seedText, ...extract.spec.rules.slice(0, 5).map(({ phrasings }) => phrasings[0])].join("\n")
    const prompt = asking.rewrite(long, runsOf(extract, { system_prompt: long }))
    const lines = (strength: ReflectorStrength) =>
      Array.from({ length: 200 }, (_, n) => reflection(strength, "1", prompt, String(n)).split("```")[1] ?? "")
        .reduce((sum, text) => sum + long.split("\n").filter((line) => text.includes(line)).length, 0) / 200 / 7
    assert.isAbove(lines("strong"), 0.93)
    assert.isBelow(lines("weak"), lines("medium"))
    assert.isAbove(lines("weak"), 0.6)
  })

  it("gives an opinion when no text is asked for, and follows one that it is given", () => {
    const critique = reflection("strong", "1", asking.critique(seedText, runsOf(extract)), "3")
    assert.notInclude(critique, "```")
    const rule = extract.spec.rules[0]!
    const told = `The text lacks a rule. ${rule.phrasings[1]}`
    assert.isAbove(
      share((draw) => reflection("weak", "1", asking.rewrite(seedText, told), draw).includes(rule.phrasings[1]!)),
      0.7
    )
  })

  it("falls for the trap, and takes it out again when it sees the harm", () => {
    const world = new TaskWorld(named("triage"))
    const [trap] = world.spec.traps
    const seed = world.spec.seed["system_prompt"]!
    const caught = `${seed}\n${trap!.text}`
    const falls = share((draw) =>
      reflection("medium", "1", asking.edits(seed, runsOf(world)), draw).includes(trap!.text)
    )
    assert.isAbove(falls, 0.02)
    const prompt = asking.edits(caught, "## Feedback\n$.severity differs: expected \"low\", got \"high\"")
    const escapes = (strength: ReflectorStrength) =>
      share((draw) =>
        editsOf(reflection(strength, "1", prompt, draw)).some(({ find, op }) => op === "delete" && find === trap!.text)
      )
    assert.isAbove(escapes("strong"), escapes("medium") + 0.15)
    assert.isAbove(escapes("medium"), escapes("weak") + 0.05)
  })

  it.prop(
    "has an answer to anything",
    [fc.constantFrom(...reflectorStrengths), fc.string({ maxLength: 400 }), fc.string()],
    ([strength, prompt, draw]) => assert.isString(reflection(strength, "1", prompt, draw))
  )

  it("reads a prompt of a megabyte of fences and tags in no time", () => {
    for (const piece of ["```\n", "<current", "<text>", "$.date ", "# current\n"]) {
      const tookMs = cpuMs(() => reflection("strong", "1", piece.repeat(1_000_000 / piece.length), ""))
      assert.isBelow(tookMs, 5_000, piece)
    }
  })
})
