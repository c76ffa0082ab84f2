import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { parseJson } from "../../src/domain/JsonText.js"

const mayParse = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const where = (text: string) => {
  const parsed = parseJson(text)
  return parsed._tag === "syntax" ? `${parsed.line}:${parsed.column} ${parsed.text}` : "no syntax error"
}

describe("parseJson", () => {
  it.prop("reads what JSON.parse reads", [FastCheck.jsonValue(), FastCheck.boolean()], ([value, pretty]) => {
    const text = JSON.stringify(value, null, pretty ? 2 : 0)
    // The generator likes `__proto__`, which is reported instead.
    FastCheck.pre(!text.includes("__proto__"))
    expect(parseJson(text)).toEqual({ _tag: "value", value: JSON.parse(text), problems: [] })
  })

  it.prop("accepts what JSON.parse accepts and nothing else, wherever a character is changed", [
    FastCheck.json(),
    FastCheck.nat(),
    FastCheck.constantFrom(
      "",
      "\"",
      "\\",
      ",",
      ":",
      "{",
      "}",
      "[",
      "]",
      "0",
      "-",
      ".",
      "e",
      "t",
      " ",
      "\n",
      "\u0000",
      "\\u12",
      "1e5"
    )
  ], ([json, position, character]) => {
    const at = position % (json.length + 1)
    const text = json.slice(0, at) + character + json.slice(at + 1)
    FastCheck.pre(!/\d[eE]\+?\d{3}/.test(text))
    expect(parseJson(text)._tag).toBe(mayParse(text) ? "value" : "syntax")
  })

  it.each([
    ["{\n  \"a\": 1,\n}", "3:1 expected a key in double quotes, found \"}\"; JSON allows no comma after the last one"],
    ["[1,]", "1:4 expected a value, found \"]\"; JSON allows no comma after the last one"],
    ["{\"a\" 1}", "1:6 expected \":\", found \"1}\""],
    ["{\r\n\"a\": tru}", "2:6 expected a value, found \"tru}\""],
    ["// no\n{}", "1:1 expected a value, found \"//\"; JSON has no comments"],
    ["{'a':1}", "1:2 expected a key in double quotes, found \"'a':1}\"; JSON takes double quotes"],
    ["{\"a\":01}", "1:6 expected a value, found \"01}\""],
    ["{} {}", "1:4 expected the end of the file, found \"{}\""],
    ["{\"a\":1", "1:7 expected \",\" or \"}\", found the end of the file"],
    ["[\"a", "1:2 expected a string that ends, found the end of the file"],
    ["[\"\\x\"]", "1:3 expected an escape such as \\n or \\u00e9, found \"\\\\x\""],
    ["[\"\t\"]", "1:3 expected a string on one line, found the control character \"\\t\""],
    ["{\"a\": [1e999]}", "1:8 expected a smaller number at $.a[0], found 1e999"],
    ["[NaN]", "1:2 expected a value, found \"NaN]\""],
    ["[\r1,\r\n\nx]", "4:1 expected a value, found \"x]\""],
    ["[1.]", "1:2 expected a value, found \"1.]\""],
    ["[/* no */]", "1:2 expected a value, found \"/*\"; JSON has no comments"],
    ["{\n# no\n}", "2:1 expected a key in double quotes, found \"#\"; JSON has no comments"],
    ["[1, x]", "1:5 expected a value, found \"x]\""],
    ["{\"a\": \u00a0}", "1:7 expected a value, found \"\u00a0\""],
    ["[0, [], 1e999]", "1:9 expected a smaller number at $[2], found 1e999"]
  ])("says where %j is wrong", (text, message) => {
    expect(where(text)).toBe(message)
  })

  it("takes an escape whose digits are of either case", () => {
    expect(parseJson("\"\\u00E9\\u00e9\"")).toEqual({ _tag: "value", value: "éé", problems: [] })
  })

  it("places what is wrong with a line of a file where it is in the file", () => {
    expect(parseJson("[1,", 7)).toEqual({
      _tag: "syntax",
      line: 7,
      column: 4,
      text: "expected a value, found the end of the line"
    })
    expect(parseJson("{\"a\":1,\"a\":2}", 7)).toMatchObject({
      problems: [{ text: "expected each key once, found \"a\" again at line 7, column 8" }]
    })
  })

  it("reports whole numbers that would lose their last digits, and no others", () => {
    const parsed = parseJson(`{"id": 9007199254740993, "ok": [9007199254740991, 9007199254740992, 1e300, 0.1, -7]}`)
    expect(parsed).toMatchObject({
      problems: [{
        path: "$.id",
        text: "expected a number that can be read as it is written, found 9007199254740993, which would be "
          + "9007199254740992; write it as a text"
      }]
    })
    for (const lossy of ["9007199254740993e0", "90071992547409930e-1", "-12345678901234567.0"]) {
      expect(parseJson(lossy)).toMatchObject({ problems: [{ path: "$" }] })
    }
    for (const read of ["1e23", "1234567890123456e1", "1.2345678901234567e+123", "0.1234567890123456789", "0e99999"]) {
      expect(parseJson(read)).toMatchObject({ value: Number(read), problems: [] })
    }
  })

  it("reports keys that come twice and keys that would change an object's prototype", () => {
    const parsed = parseJson("{\"a\": {\"b\": 1,\n\"b\": 2}, \"x y\": [{\"__proto__\": {}}]}")
    expect(parsed).toMatchObject({
      problems: [
        { path: "$.a.b", text: "expected each key once, found \"b\" again at line 2, column 1" },
        { path: "$[\"x y\"][0].__proto__", text: "unknown key \"__proto__\"" }
      ]
    })
  })

  it("stops at a nesting that would exhaust the stack", () => {
    expect(where("[".repeat(1_000_000))).toContain("levels of nesting")
    const nested = (depth: number) => "[".repeat(depth) + "0" + "]".repeat(depth)
    expect(parseJson(nested(500))).toEqual({ _tag: "value", value: JSON.parse(nested(500)), problems: [] })
    expect(where(nested(501))).toBe("1:502 expected at most 500 levels of nesting, found more")
  })

  it("reads a string of 20 MB", () => {
    const text = JSON.stringify("a\\n".repeat(7_000_000))
    expect(parseJson(text)._tag).toBe("value")
  })
})
