import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { type Behaviour, loadBehaviour } from "../../src/testing/Behaviour.js"
import { questionModel } from "../../src/testing/QuestionModel.js"

const folder = mkdtempSync(join(tmpdir(), "tau-behaviour-"))
afterAll(() => rmSync(folder, { recursive: true }))

const write = (name: string, content: unknown): string => {
  const path = join(folder, name)
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content))
  return path
}

const pairs = Array.from(
  { length: 400 },
  (_, n) => ({ question: `How many is ${n} of them?`, answer: String(n), explanation: null })
)

const behaviour: Behaviour = {
  name: "count",
  pairs,
  accuracy: 0.35,
  format: "asked",
  rules: [
    { when: /step by step/i, accuracy: 0.85, format: null },
    { when: /number only/i, accuracy: null, format: "answer" },
    { when: /carelessly/i, accuracy: 0.1, format: null }
  ]
}

/** What these models do not look at. */
const plain = { temperature: 1, tools: [] }

const rightOnes = (system: string, seed = "1", draw = ""): ReadonlySet<string> => {
  const model = questionModel(behaviour, seed)
  return new Set(
    pairs.filter(({ answer, question }) =>
      model.answer({ system: `${system} Give the number only.`, question: `Q: ${question}\nA:`, draw, ...plain }) ===
        answer
    ).map(({ question }) => question)
  )
}

describe("questionModel", () => {
  it("is right as often as its rules say, the last matching rule deciding", () => {
    assert.approximately(rightOnes("Answer.").size / 400, 0.35, 0.08)
    assert.approximately(rightOnes("Think STEP BY STEP.").size / 400, 0.85, 0.06)
    assert.approximately(rightOnes("Think step by step, carelessly.").size / 400, 0.1, 0.06)
  })

  it.prop(
    "is right on a superset of the questions under a prompt of higher accuracy",
    [fc.string(), fc.constantFrom("", "7")],
    ([seed, draw]) => {
      const better = rightOnes("Think step by step.", seed, draw)
      for (const question of rightOnes("Answer.", seed, draw)) assert.isTrue(better.has(question))
    },
    { fastCheck: { numRuns: 10 } }
  )

  it("is right on other questions under another seed, and says the same under the same", () => {
    assert.deepStrictEqual(rightOnes("Answer.", "a"), rightOnes("Answer.", "a"))
    assert.notDeepEqual(rightOnes("Answer.", "a"), rightOnes("Answer.", "b"))
  })

  it("says so when it does not know a question", () => {
    const answer = questionModel(behaviour, "1").answer({ system: "", question: "Who are you?", draw: "", ...plain })
    assert.strictEqual(answer, "I do not know that question.")
  })
})

describe("loadBehaviour", () => {
  const good = { name: "gsm", pairs: "pairs.jsonl", question_field: "input", behaviour: { accuracy: 0.5 } }

  it("reads the pairs from the file it names, relative to itself", async () => {
    write(
      "pairs.jsonl",
      "{\"input\":\"a?\",\"answer\":\"1\",\"explanation\":\"So.\"}\n\n{\"input\":\"b?\",\"answer\":\"2\"}\n"
    )
    const rules = [{ when: "step by step", accuracy: 0.9, format: "marked" }]
    const loaded = await loadBehaviour(write("good.json", { ...good, behaviour: { accuracy: 0.5, rules } }))
    assert.deepStrictEqual(loaded, {
      name: "gsm",
      pairs: [{ question: "a?", answer: "1", explanation: "So." }, { question: "b?", answer: "2", explanation: null }],
      accuracy: 0.5,
      format: "asked",
      rules: [{ when: /step by step/i, accuracy: 0.9, format: "marked" }]
    })
  })

  it.each([
    ["not JSON", "{", "file: expected JSON"],
    ["an unknown key", { ...good, colour: 1 }, "file.colour: expected one of the keys name, pairs"],
    ["no name", { ...good, name: undefined }, "name: expected a text that is not empty, found nothing"],
    ["a name that is taken", { ...good, name: "arithmetic" }, "name: expected another name"],
    [
      "a missing file",
      { ...good, pairs: "none.jsonl" },
      "pairs: expected a file that can be read (no such file or folder)"
    ],
    [
      "an accuracy beyond 1",
      { ...good, behaviour: { accuracy: 2 } },
      "behaviour.accuracy: expected a number from 0 to 1, found 2"
    ],
    ["a bad pattern", {
      ...good,
      pairs: [{ input: "a", answer: "b" }],
      behaviour: { accuracy: 1, rules: [{ when: "(" }] }
    }, "behaviour.rules[0].when: expected a regular expression, found \"(\""],
    [
      "a pair without an answer",
      { ...good, pairs: [{ input: "a" }] },
      "pairs[0].answer: expected a text that is not empty, found nothing"
    ],
    ["no pairs", { ...good, pairs: [] }, "pairs: expected 1 to 100000 pairs, found 0"]
  ])("refuses %s and says where", async (_, content, message) => {
    const path = write("bad.json", content)
    const error = await loadBehaviour(path).then(() => null, (error: Error) => error)
    assert.isTrue(error?.message.startsWith(`${path}: ${message}`), error?.message)
  })
})
