import { assert, describe, it } from "@effect/vitest"
import { inheritedEnvironment, workingDirectory } from "../../src/process/Environment.js"

describe("Environment", () => {
  it("passes on where programs and networks are, and no key of any provider", () => {
    const kept = {
      PATH: "/bin",
      HOME: "/root",
      LC_ALL: "C",
      LANG: "C",
      TZ: "UTC",
      https_proxy: "http://p",
      NO_PROXY: "*"
    }
    const dropped = {
      OPENAI_API_KEY: "sk-1",
      ANTHROPIC_API_KEY: "sk-2",
      OPENAI_BASE_URL: "https://api.example",
      AWS_SECRET_ACCESS_KEY: "x",
      GITHUB_TOKEN: "x",
      NODE_OPTIONS: "--inspect",
      LD_PRELOAD: "x.so",
      TAU_MODEL: "x",
      home_proxy: "x"
    }
    assert.deepStrictEqual(inheritedEnvironment({ ...kept, ...dropped, USER: undefined }), kept)
  })

  it("finds the working directory from the config's folder", () => {
    assert.strictEqual(workingDirectory("/configs/a", undefined), "/configs/a")
    assert.strictEqual(workingDirectory("/configs/a", "../agents"), "/configs/agents")
    assert.strictEqual(workingDirectory("/configs/a", "/agents"), "/agents")
  })
})
