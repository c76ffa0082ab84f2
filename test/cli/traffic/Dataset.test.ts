import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { datasetOf, type DatasetRules } from "../../../src/cli/traffic/Dataset.js"
import { type Session, Sessions } from "../../../src/cli/traffic/Sessions.js"
import { AttemptId, RolloutId, SpanId } from "../../../src/domain/Ids.js"
import { Span } from "../../../src/domain/Span.js"
import { conversationOf } from "../../../src/openai/Conversation.js"

let count = 0

const capture = { rolloutId: "capture-20261125T200000-a1b2c3", attemptId: "capture-20261125T200000-a1b2c3:attempt-1" }

const span = (attributes: Record<string, unknown> = {}, whose: { rolloutId: string; attemptId: string } = capture) => {
  count += 1
  return new Span({
    spanId: SpanId.make(`span-${count}`),
    traceId: "t",
    parentId: null,
    runId: null,
    rolloutId: RolloutId.make(whose.rolloutId),
    attemptId: AttemptId.make(whose.attemptId),
    sequenceId: count,
    name: "chat m",
    kind: "llm",
    state: "done",
    method: "POST",
    path: "/v1/chat/completions",
    statusCode: 200,
    model: "m",
    inputTokens: 1,
    outputTokens: 1,
    attributes,
    events: [],
    startTimeUs: count,
    endTimeUs: count,
    resourcesVersion: null,
    requestBytes: 1,
    responseBytes: 1,
    requestSha256: null,
    responseSha256: null,
    answerSha256: null,
    retriedBy: null
  })
}

const user = (content: unknown) => ({ role: "user", content })
const assistant = (content: string) => ({ role: "assistant", content })
const toolCall = {
  role: "assistant",
  content: null,
  tool_calls: [{ id: "c", function: { name: "find", arguments: "{}" } }]
}
const toolResult = { role: "tool", tool_call_id: "c", content: "found" }

/** A chat call, and the message that answers it. */
const said = (messages: ReadonlyArray<object>, answer: object) =>
  conversationOf({ messages: [{ role: "system", content: `It is ${count} o'clock.` }, ...messages] }, {
    choices: [{ finish_reason: "stop", message: answer }]
  })

const told = (sessions: Sessions) => sessions.all.map(({ answer, input, spanIds }) => [input, answer, spanIds.length])

describe("sessions", () => {
  it("of a capture that names none are the calls which repeat a history and go on from it", () => {
    const sessions = new Sessions()
    sessions.add(span(), said([user("One?")], toolCall))
    sessions.add(span(), said([user("Two?")], assistant("2")))
    sessions.add(span(), said([user("One?"), toolCall, toolResult], assistant("1")))
    sessions.add(span(), said([user("One?")], assistant("1, again")))
    sessions.add(span(), said([user("Two?"), assistant("2"), user("And?")], assistant("3")))
    assert.deepStrictEqual(told(sessions), [["One?", "1", 2], ["Two?", "3", 2], ["One?", "1, again", 1]])
  })

  it("are the agent's own, or its attempt, where it says so", () => {
    const sessions = new Sessions()
    for (const [name, question] of [["a", "A?"], ["b", "B?"], ["a", "More?"]] as const) {
      sessions.add(span({ "gen_ai.conversation.id": name }), said([user(question)], assistant(`${name}!`)))
    }
    const attempt = { rolloutId: "r1", attemptId: "r1:attempt-1" }
    sessions.add(span({}, attempt), said([user("C?")], toolCall))
    sessions.add(span({}, attempt), said([user("Compacted.")], assistant("c!")))
    for (const rolloutId of ["r2", "r3"]) {
      sessions.add(span({}, { rolloutId, attemptId: "1" }), said([user(`${rolloutId}?`)], assistant("d!")))
    }
    assert.deepStrictEqual(told(sessions), [
      ["A?", "a!", 2],
      ["B?", "b!", 1],
      ["C?", "c!", 2],
      ["r2?", "d!", 1],
      ["r3?", "d!", 1]
    ])
    assert.deepStrictEqual(sessions.all.slice(2).map(({ id }) => id), ["r1:attempt-1", "r2 1", "r3 1"])
  })

  it("go on from the answer that a call names", () => {
    const sessions = new Sessions()
    sessions.add(span({ "gen_ai.response.id": "resp-1" }), said([user("One?")], toolCall))
    sessions.add(span({ "tau.linked_response_id": "resp-1" }), said([user("now")], assistant("1")))
    assert.deepStrictEqual(told(sessions), [["One?", "1", 2]])
  })

  it("have no input or answer that is not all words", () => {
    const sessions = new Sessions()
    const image = [{ type: "text", text: "What?" }, { type: "image_url", image_url: { url: "data:" } }]
    sessions.add(span(), said([user(image)], assistant("A cat")))
    sessions.add(span(), said([user([{ type: "text", text: "In" }, { type: "text", text: "parts" }])], toolCall))
    assert.deepStrictEqual(told(sessions), [[null, "A cat", 1], ["In\nparts", null, 1]])
  })

  it("are examples unless something was taken out of the input or the answer, or was not recorded", () => {
    const sessions = new Sessions()
    const redacted = { "tau.redacted": 1 }
    const gone = { ...toolResult, content: "booked for [REDACTED]" }
    // What a tool gave, and what was said in between, is in no example.
    sessions.add(span(redacted), said([user("One?")], { ...toolCall, content: "Of [REDACTED]?" }))
    sessions.add(span(redacted), said([user("One?"), toolCall, gone], assistant("1")))
    sessions.add(span(redacted), said([user("Of [REDACTED]?")], toolCall))
    sessions.add(span(redacted), said([user("Of [REDACTED]?"), toolCall, toolResult], assistant("2")))
    sessions.add(span(redacted), said([user("Three?")], assistant("[REDACTED]")))
    sessions.add(span({ "tau.unrecorded": "request: too long" }), said([user("Four?")], assistant("4")))
    // The user's own words.
    sessions.add(span(), said([user("What is [REDACTED]?")], assistant("A gap")))
    const { examples, skipped } = datasetOf(sessions.all, rules)
    assert.deepStrictEqual(examples.map(({ answer, prompt }) => [prompt, answer]), [
      ["One?", "1"],
      ["What is [REDACTED]?", "A gap"]
    ])
    assert.strictEqual(skipped.impaired, 3)
  })
})

const rules: DatasetRules = { inputCharsMin: 1, answerCharsMin: 1, fraction: 0.3, seed: 1, limit: 1_000 }

const session = (input: string | null, answer: string | null, isImpaired = false): Session => ({
  id: "s",
  firstSpanId: "a",
  lastSpanId: "b",
  input,
  answer,
  model: "m",
  spanIds: ["a", "b"],
  instructions: "",
  isImpaired,
  isAnswerRedacted: false
})

describe("a data set", () => {
  it("has each input once, with its newest answer, and says what it left out", () => {
    const { examples, skipped } = datasetOf([
      session("One  more?", "old"),
      session("Two?", "two"),
      session("One\nmore?", "new"),
      session(null, "x"),
      session("Three?", null),
      session("Four?", "4", true),
      session("5", "five"),
      session("Six?", "6"),
      session("", "x"),
      session("Seven?", "")
    ], { ...rules, inputCharsMin: 2, answerCharsMin: 2, limit: 1 })
    assert.deepStrictEqual(examples.map(({ answer, prompt }) => [prompt, answer]), [["One\nmore?", "new"]])
    assert.deepStrictEqual(skipped, {
      no_input: 2,
      no_answer: 2,
      impaired: 1,
      short: 2,
      duplicate: 1,
      beyond_limit: 1
    })
  })

  const inputs = fc.uniqueArray(fc.integer({ min: 0, max: 1e6 }), { minLength: 1, maxLength: 60 })

  it.prop("splits an example by nothing but itself and the seed", [inputs, inputs, fc.nat(9)], ([one, other, seed]) => {
    const splits = (numbers: ReadonlyArray<number>) =>
      new Map(
        datasetOf(numbers.map((n) => session(`question ${n}`, "x")), { ...rules, seed }).examples
          .map(({ prompt, split }) => [prompt, split])
      )
    const both = splits([...other, ...one])
    for (const [prompt, split] of splits(one)) assert.strictEqual(both.get(prompt), split)
  })

  it("splits in about the share that is asked for, and in another way with another seed", () => {
    const sessions = Array.from({ length: 2_000 }, (_, n) => session(`question ${n}`, "x"))
    const validated = (more: Partial<DatasetRules>) =>
      datasetOf(sessions, { ...rules, limit: 5_000, ...more }).examples.filter(({ split }) => split === "validate")
        .map(({ prompt }) => prompt)
    // Six standard deviations of a binomial with n = 2000 and p = 0.3.
    assert.closeTo(validated({}).length, 600, 123)
    assert.notDeepEqual(validated({}), validated({ seed: 2 }))
    assert.lengthOf(validated({ fraction: 0 }), 0)
    assert.lengthOf(validated({ fraction: 1 }), 2_000)
  })
})
