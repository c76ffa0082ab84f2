import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { jsonEqual } from "../../src/scoring/JsonEqual.js"

/** What is said of two values that are compared as JSON; undefined when they are the same. */
const difference = (expected: unknown, got: unknown) =>
  jsonEqual(JSON.stringify(got), typeof expected === "string" ? JSON.stringify(expected) : expected).feedback ??
    undefined

/** The same value with the keys of every object the other way round. */
const turned = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(turned)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).toReversed().map(([key, item]) => [key, turned(item)]))
}

describe("json_equal", () => {
  it("reads the answer as a whole or from its last fence of JSON", () => {
    const reference = { a: [1, { b: null }], c: "x" }
    for (
      const output of [
        ` {"c": "x", "a": [1.0, {"b": null}]}\n`,
        "Here:\n```json\n{\"a\":[1,{\"b\":null}],\"c\":\"x\"}\n```\nDone.",
        "```\n{\"a\":0}\n```\nno, rather\n```JSON\n{\"a\":[1,{\"b\":null}],\"c\":\"x\"}\n```",
        "```{\"a\":[1,{\"b\":null}],\"c\":\"x\"}``` and ```python\nprint(1)\n```",
        "```json\n{\"a\":[1,{\"b\":null}],\"c\":\"x\"}\n"
      ]
    ) {
      assert.deepStrictEqual(jsonEqual(output, reference), { value: 1, feedback: null }, output)
    }
  })

  it("reads a reference text as JSON where it is JSON", () => {
    assert.strictEqual(jsonEqual(`{"a":1}`, `{ "a": 1 }`).value, 1)
    assert.strictEqual(jsonEqual(`"yes"`, "yes").value, 1)
    assert.strictEqual(jsonEqual("yes", "yes").value, 0)
  })

  it("names the first paths that differ", () => {
    assert.strictEqual(
      difference({ a: [1, { b: 2 }] }, { a: [1, { b: 3 }] }),
      "$.a[1].b differs: expected 2, got 3"
    )
    assert.strictEqual(difference([1, 2], [1]), "$[1] is missing: expected 2")
    assert.strictEqual(difference([1], [1, "x"]), `$[1] is not expected: got "x"`)
    assert.strictEqual(
      difference({ "a b": {} }, { "a b": [] }),
      `$["a b"] differs: expected an object with 0 fields, got a list of 0`
    )
    assert.strictEqual(difference({ a: {} }, 1), "$ differs: expected an object with 1 field, got 1")
    assert.strictEqual(difference({ a: 1 }, { b: 1 }), "$.a is missing: expected 1; $.b is not expected: got 1")
    assert.strictEqual(difference({}, JSON.parse(`{"__proto__":1}`)), "$.__proto__ is not expected: got 1")
    assert.strictEqual(difference(1, "1"), `$ differs: expected 1, got "1"`)
    assert.strictEqual(
      difference([1, 2, 3, 4], [0, 0, 0, 0]),
      "$[0] differs: expected 1, got 0; $[1] differs: expected 2, got 0; $[2] differs: expected 3, got 0; and more"
    )
  })

  it("says so when the answer is no JSON", () => {
    assert.match(jsonEqual("four", 4).feedback ?? "", /^the answer is not JSON, .*; got "four"$/)
  })

  it("tells whole numbers apart that no double holds", () => {
    const reference = "{\"id\": 12345678901234567890}"
    assert.strictEqual(jsonEqual("{\"id\": 12345678901234567890}", reference).value, 1)
    assert.strictEqual(
      jsonEqual("{\"id\": 12345678901234567891}", reference).feedback,
      "$.id differs: expected 12345678901234567890, got 12345678901234567891"
    )
    assert.strictEqual(jsonEqual("[9007199254740993]", [9007199254740992]).value, 0)
    assert.strictEqual(jsonEqual("[9007199254740992, -1e20]", "[9007199254740992.0, -100000000000000000000]").value, 1)
    assert.strictEqual(jsonEqual("[12345678901234567.0, -1e20]", "[12345678901234567, -1e20]").value, 1)
    assert.strictEqual(jsonEqual("[12345678901234567.1]", "[12345678901234567.2]").value, 1)
    assert.strictEqual(jsonEqual("9".repeat(400), "9".repeat(400)).value, 1)
    assert.strictEqual(jsonEqual("9".repeat(400), "8".repeat(400)).value, 0)
    const quotedId = "{\"a \\\" 12345678901234567890\": \"12345678901234567890\"}"
    assert.strictEqual(jsonEqual(quotedId, { "a \" 12345678901234567890": "12345678901234567890" }).value, 1)
    const backslashes = (id: string) => `["\\\\", "\\\\\\" ${id}", ${id}]`
    assert.strictEqual(
      jsonEqual(backslashes("12345678901234567"), backslashes("12345678901234568")).feedback,
      "$[1] differs: expected \"\\\\\\\" 12345678901234568\", got \"\\\\\\\" 12345678901234567\"; "
        + "$[2] differs: expected 12345678901234568, got 12345678901234567"
    )
    assert.strictEqual(jsonEqual("[12345678901234567e0]", "[12345678901234568]").value, 0)
    assert.strictEqual(jsonEqual("[-123456789012345670e-1]", "[-12345678901234567]").value, 1)
    assert.strictEqual(jsonEqual("[1.152921504606847e+18]", "[1152921504606846976]").value, 1)
    assert.strictEqual(jsonEqual("[1e23, 123456789012345678e-1]", [1e23, Number("12345678901234567.8")]).value, 1)
    assert.strictEqual(jsonEqual("{\"pi\": 3.14159265358979323846}", { pi: Math.PI }).value, 1)
  })

  it("takes backticks inside a string for what they are", () => {
    assert.strictEqual(jsonEqual("```json\n{\"code\": \"a ```fence``` b\"}\n```", { code: "a ```fence``` b" }).value, 1)
    assert.strictEqual(jsonEqual("The answer: ```4```.", 4).value, 1)
  })

  it("survives answers that nest deep or are full of fences", () => {
    const deep = "[".repeat(200_000) + "]".repeat(200_000)
    assert.match(jsonEqual(deep, []).feedback ?? "", /^\$\[0\] is not expected: got a list of/)
    assert.strictEqual(jsonEqual(deep, deep).value, 1)
    assert.strictEqual(jsonEqual("`".repeat(1_000_000), {}).value, 0)
  })

  it.prop(
    "ignores the order of keys and nothing else",
    [FastCheck.jsonValue(), FastCheck.jsonValue()],
    ([one, other]) => {
      assert.strictEqual(jsonEqual(`\`\`\`json\n${JSON.stringify(turned(one))}\n\`\`\``, JSON.stringify(one)).value, 1)
      const same = JSON.stringify(turned(turned(one))) === JSON.stringify(turned(turned(other)))
      if (same) assert.isUndefined(difference(one, other))
      assert.strictEqual(difference(one, other) === undefined, difference(other, one) === undefined)
      if (difference(one, other) === undefined) assert.deepEqual(plain(one), plain(other))
    }
  )
})

/** Without what JSON does not tell apart: 0 and -0. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
