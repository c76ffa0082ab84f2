import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { RunConfig } from "../../../src/domain/RunConfig.js"
import { searchExamples, seedOf } from "../../../src/optimizer/run/SearchTask.js"

const config = (keys: typeof RunConfig.Encoded) => Schema.decodeSync(RunConfig)(keys)

describe("The task of a search", () => {
  it("names examples by what they say: moved or joined by others they keep their ids", () => {
    const [a, b, c] = [{ prompt: "a" }, { expected: "2", prompt: "b" }, { prompt: "c" }]
    const ids = (...validate: ReadonlyArray<object>) =>
      searchExamples(config({ validate: validate as ReadonlyArray<Record<string, unknown>> }), {}).validate.map((
        { id }
      ) => id)
    const [first, second] = ids(a, b)
    assert.deepStrictEqual(ids(c, b, a).slice(1), [second, first])
    assert.deepStrictEqual(ids({ prompt: "b", expected: "2" }), [second])
    assert.deepStrictEqual(ids(a, a), [first, `${first}-2`])
  })

  it("shows the optimizer what the agent is asked, never the reference", () => {
    const inputs = (keys: Partial<typeof RunConfig.Encoded>, example: Record<string, unknown>) => {
      const [one] = searchExamples(config({ optimize: [example], ...keys }), {}).train
      return [one!.input, one!.expected]
    }
    assert.deepStrictEqual(inputs({}, { prompt: "2 + 2?", expected: "4" }), ["2 + 2?", "4"])
    assert.deepStrictEqual(
      inputs({ executor: { kind: "chat", user: "Add {{a}}." }, scoring: [{ kind: "numeric", expected: "sum" }] }, {
        a: "1, 2",
        sum: 3
      }),
      ["Add 1, 2.", "3"]
    )
    const command = { executor: { kind: "command" as const, command: ["agent"] as const } }
    assert.deepStrictEqual(inputs(command, { input: "hello", expected: "x", split: "test", id: "7" }), ["hello", "x"])
    assert.deepStrictEqual(inputs(command, { date: "today", n: 2 }), ["{\"date\":\"today\",\"n\":2}", null])
  })

  it("searches over the prompt, over what is named, or over every text", () => {
    const seed = (components: ReadonlyArray<string> | undefined, resources: Record<string, unknown>) => {
      const found = seedOf(
        config({ optimizer: { algorithm: "rgepa", ...(components && { components: components as [string] }) } }),
        resources
      )
      return Either.isRight(found) ? found.right : found.left.message
    }
    assert.deepStrictEqual(seed(undefined, { system_prompt: "a", tool: "b" }), { system_prompt: "a" })
    assert.deepStrictEqual(seed(["tool"], { system_prompt: "a", tool: "b" }), { tool: "b" })
    assert.deepStrictEqual(seed(undefined, { one: "a", two: "b", n: 3 }), { one: "a", two: "b" })
    assert.match(seed(undefined, { n: 3 }) as string, /^there is no text to optimize/)
    assert.match(seed(["n"], { a: "x", n: 3 }) as string, /names "n", which is no text among the resources: "a"$/)
  })
})
