import { expect, it } from "@effect/vitest"
import { problemsWith } from "../support/config.js"

/** An attempt that is scored against such a reference fails, each time it is tried: that is known before it is paid for. */
it.each<readonly [kind: string, reference: unknown, line: string]>([
  ["numeric", "four", "a number, or a text with a number in it, for the scorer \"numeric\", found \"four\""],
  [
    "contains",
    [],
    "a text that is not empty, or a list of such texts, for the scorer \"contains\", found an empty array"
  ],
  ["regex", 4, "a text that is not empty, the pattern to find, for the scorer \"regex\", found 4"],
  ["regex", "", "a text that is not empty, the pattern to find, for the scorer \"regex\", found \"\""]
])("refuses for the scorer %s the reference %j", (kind, reference, line) => {
  const validate = [{ prompt: "p", expected: "4" }, { prompt: "p", expected: reference }]
  expect(problemsWith({ validate, scoring: [{ kind }] }).join("\n")).toContain(
    `$.validate[1].expected: expected ${line}`
  )
})

it.each<readonly [kind: string, reference: unknown]>([
  ["numeric", "it is 1,234.5 km"],
  ["numeric", -3],
  ["contains", ["a", 4]],
  ["regex", "^a"],
  ["exact_match", ""],
  ["json_equal", null]
])("takes for the scorer %s the reference %j", (kind, reference) => {
  const examples = [{ prompt: "p", expected: reference }]
  expect(problemsWith({ optimize: examples, validate: examples, scoring: [{ kind }] })).toEqual([])
})

it("refuses a seed of an example that is no whole number", () => {
  const keys = { executor: { kind: "chat", seed_field: "draw" }, optimize: [{ prompt: "?", expected: "4", draw: 0.5 }] }
  expect(problemsWith(keys)).toEqual([
    "$.optimize[0].draw: expected the whole number that $.executor.seed_field names, found 0.5"
  ])
})
