import { describe, expect, it } from "@effect/vitest"
import { chooseUpstream, providerNamed, providers } from "../../src/cli/Providers.js"

describe("chooseUpstream", () => {
  const groq = providerNamed("groq")
  const variable = { OPENAI_BASE_URL: "http://variable" }

  it("takes the flag, then the config, then OPENAI_BASE_URL, then the provider", () => {
    const sourceOf = (given: { flag?: string; config?: string }, environment = {}) => {
      const choice = chooseUpstream(given, groq, environment)
      return choice.kind === "url" ? [choice.url, choice.keyVariable] : choice.kind
    }
    expect(sourceOf({ flag: "http://flag", config: "http://config" }, variable)).toEqual([
      "http://flag",
      "GROQ_API_KEY"
    ])
    expect(sourceOf({ config: "http://config" }, variable)).toEqual(["http://config", "GROQ_API_KEY"])
    expect(sourceOf({}, variable)).toEqual(["http://variable", "OPENAI_API_KEY"])
    expect(sourceOf({})).toEqual(["https://api.groq.com/openai/v1", "GROQ_API_KEY"])
  })

  it("embeds the simulated provider unless a URL is given for it", () => {
    const sim = providerNamed("sim")
    expect(chooseUpstream({}, sim, variable)).toEqual({ kind: "embedded" })
    const choice = chooseUpstream({ flag: "http://127.0.0.1:1" }, sim, {})
    expect(choice).toMatchObject({ kind: "url" })
    expect(choice).not.toHaveProperty("keyVariable")
  })

  it("says where a bad URL came from", () => {
    expect(chooseUpstream({ config: "x" }, groq, {})).toMatchObject({
      kind: "invalid",
      message: expect.stringMatching(/^upstream_url: expected/)
    })
    expect(chooseUpstream({}, undefined, {})).toEqual({ kind: "none" })
  })

  it.each(providers)("knows a valid address of $name, or runs it itself", (provider) => {
    expect(chooseUpstream({}, provider, {}).kind).toBe(provider.name === "sim" ? "embedded" : "url")
  })
})
