import { describe, expect, it } from "@effect/vitest"
import { problemsWith } from "../support/config.js"

describe("problems of rewrite", () => {
  const resources = { system_prompt: "Be kind.", tools: { a: 1 } }
  const problems = (...rewrite: ReadonlyArray<object>) => problemsWith({ resources, rewrite })
  const system = (how: object) => ({ component: "system_prompt", where: { kind: "system", ...how } })

  it("are none of rules that can be meant", () => {
    expect(problems(
      system({ equal: "a" }),
      system({ containing: "a" }),
      system({ matching: "a+", flags: "i" }),
      { component: "system_prompt", where: { kind: "instructions", equal: "a" } },
      { component: "system_prompt", where: { kind: "tool_description", tool: "find" } }
    )).toEqual([])
  })

  it("name the rule and the key", () => {
    const one = "expected one of \"equal\", \"containing\" and \"matching\""
    expect(problems(
      { component: "system_promt", where: { kind: "system", equal: "a" } },
      { component: "tools", where: { kind: "system", equal: "a" } },
      { component: "toString", where: { kind: "system", equal: "a" } },
      system({}),
      system({ equal: "a", matching: "b" }),
      system({ equal: "a", flags: "i" })
    )).toEqual([
      "$.rewrite[0].component: expected the name of a text in \"resources\", found \"system_promt\"; did you mean \"system_prompt\"?",
      "$.rewrite[1].component: expected the name of a text in \"resources\", found \"tools\"",
      "$.rewrite[2].component: expected the name of a text in \"resources\", found \"toString\"",
      `$.rewrite[3].where: ${one}, found none`,
      `$.rewrite[4].where: ${one}, found "equal" and "matching"`,
      "$.rewrite[5].where.flags: expected flags beside \"matching\", found \"equal\""
    ])
    expect(problems(
      { component: "system_prompt", where: { kind: "sytem", equal: "a" } },
      { component: "system_prompt", where: { kind: "tool_description" } },
      { component: "system_prompt" },
      system({ equal: "" })
    )).toEqual([
      "$.rewrite[0].where.kind: expected one of \"system\", \"instructions\", \"tool_description\", found \"sytem\"; did you mean \"system\"?",
      "$.rewrite[1].where.tool: expected a non empty string, found nothing",
      "$.rewrite[2].where: expected an object, found nothing",
      "$.rewrite[3].where.equal: expected a non empty string, found \"\""
    ])
  })

  it("name the flags where they are what is wrong", () => {
    expect(problems(system({ matching: "a", flags: "g" }), system({ matching: "a", flags: "uu" }))).toEqual([
      "$.rewrite[0].where.flags: expected flags among i, m, s and u, each once, found \"g\"",
      "$.rewrite[1].where.flags: expected flags among i, m, s and u, each once, found \"uu\""
    ])
  })

  it("leave the texts to the store where the config has none", () => {
    expect(problemsWith({ resources: undefined, rewrite: [system({ equal: "a" })] })).toEqual([])
  })

  it("tell a pattern that does not compile, matches nothing, or takes for ever", () => {
    const [syntax, empty, slow] = problems(
      system({ matching: "(" }),
      system({ matching: "a*" }),
      system({ matching: "^(a+)+$" })
    )
    expect(syntax).toMatch(/^\$\.rewrite\[0\]\.where\.matching: .*Unterminated group/)
    expect(empty).toBe(
      "$.rewrite[1].where.matching: expected a pattern that does not match the empty text, found one that does"
    )
    expect(slow).toMatch(/decided within 100 ms/)
  })
})
