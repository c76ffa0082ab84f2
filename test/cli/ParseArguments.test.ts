import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { commands } from "../../src/cli/commands.js"
import { rootFlags, variableOf } from "../../src/cli/flags.js"
import { parseArguments } from "../../src/cli/ParseArguments.js"
import { providers } from "../../src/cli/Providers.js"
import { controlVerbs } from "../../src/domain/Lifecycle.js"

const p = "--prompt-optimization"
const V = "TAU_PROMPT_OPTIMIZATION"
const optimize = ["--model", "openai/gpt-4o-mini", `${p}-config`, "c.json"]
const capture = [`${p}-proxy-server`, `${p}-proxy-upstream-url`, "http://127.0.0.1:1"]

const modeOf = (args: ReadonlyArray<string>, environment = {}) => {
  const parsed = parseArguments(args, environment)
  return parsed._tag === "mode" ? parsed.mode : parsed
}
const mistakeOf = (args: ReadonlyArray<string>, environment = {}) => {
  const parsed = parseArguments(args, environment)
  return parsed._tag === "mistake" ? parsed.message : parsed
}

/** What a command read from its arguments. */
const inputOf = (args: ReadonlyArray<string>, environment = {}) => {
  const mode = modeOf(args, environment)
  return mode._tag === "command" ? mode.input : mode
}
const allFlags = [...rootFlags, ...commands.flatMap(({ flags }) => flags)]

describe("modes", () => {
  it("fills in the defaults of an optimization", () => {
    expect(modeOf(optimize)).toEqual({
      _tag: "optimize",
      model: { provider: "openai", name: "gpt-4o-mini" },
      modelRef: "openai/gpt-4o-mini",
      configPath: "c.json",
      storePath: ".tau/training/store.sqlite",
      json: false,
      dryRun: false,
      force: false,
      drainMs: 10_000,
      proxy: { bind: { host: "127.0.0.1", port: 0 } }
    })
  })

  it("takes everything an optimization can be told", () => {
    expect(modeOf([
      "--model=openrouter/meta/llama-3:free",
      `${p}-config=c.json`,
      `${p}-store-sqlite=s`,
      `${p}-json`,
      `${p}-proxy-bind=[::1]:9`,
      `${p}-proxy-upstream-url=http://h/v1`,
      `${p}-proxy-timeout-ms=1`
    ])).toEqual({
      _tag: "optimize",
      model: { provider: "openrouter", name: "meta/llama-3:free" },
      modelRef: "openrouter/meta/llama-3:free",
      configPath: "c.json",
      storePath: "s",
      json: true,
      dryRun: false,
      force: false,
      drainMs: 10_000,
      proxy: { bind: { host: "::1", port: 9 }, upstreamUrl: "http://h/v1", timeoutMs: 1 }
    })
  })

  it("fills in the defaults of a capture", () => {
    expect(modeOf(capture)).toEqual({
      _tag: "proxy",
      bind: { host: "127.0.0.1", port: 8788 },
      upstreamUrl: "http://127.0.0.1:1",
      stateDir: ".tau",
      storePath: ".tau/training/store.sqlite",
      timeoutMs: 30_000,
      recordPolicy: "required",
      onDisconnect: "cancel",
      streamUsage: "as-sent",
      limits: {},
      storeBytesMax: null,
      payloads: true,
      redactDefaults: true,
      requireKey: false,
      upstreamKey: null,
      upstreamKeyAlways: false,
      allowedHosts: [],
      allowedOrigins: []
    })
  })

  it("asks the flag, then OPENAI_BASE_URL, then the provider for the upstream of a capture", () => {
    const environment = { OPENAI_BASE_URL: "http://variable/v1" }
    const model = ["--model", "groq/llama"]
    expect(modeOf([...capture, ...model], environment)).toMatchObject({ upstreamUrl: "http://127.0.0.1:1" })
    expect(modeOf([`${p}-proxy-server`, ...model], environment)).toMatchObject({ upstreamUrl: "http://variable/v1" })
    expect(modeOf([`${p}-proxy-server`, ...model])).toMatchObject({ upstreamUrl: "https://api.groq.com/openai/v1" })
    expect(mistakeOf([`${p}-proxy-server`])).toContain("needs an upstream")
    expect(mistakeOf([`${p}-proxy-server`], { OPENAI_BASE_URL: "" })).toContain("needs an upstream")
    expect(mistakeOf([`${p}-proxy-server`], { OPENAI_BASE_URL: "nowhere" })).toMatch(/^OPENAI_BASE_URL: expected a URL/)
  })

  it("keeps the simulated provider off the network", () => {
    const mode = modeOf([`${p}-proxy-server`, "--model", "sim/any"], { OPENAI_BASE_URL: "http://variable" })
    expect(mode).toMatchObject({ _tag: "proxy", model: { provider: "sim", name: "any" } })
    expect(mode).not.toHaveProperty("upstreamUrl")
  })

  it.each(controlVerbs)("has the control verb %s", (verb) => {
    const args = verb === "rollback" ? [`${p}-control-rollback`, "p.json"] : [`${p}-control-${verb}`]
    expect(modeOf(args)).toMatchObject({
      _tag: "control",
      verb,
      stateDir: ".tau/training",
      json: false,
      principal: expect.stringMatching(/^local:./),
      rbacPolicyPath: ".tau/security/rbac.json",
      ...(verb === "rollback" && { checkpoint: "p.json" })
    })
  })

  it("leaves an empty principal to the policy", () => {
    expect(modeOf([`${p}-control-status`, `${p}-control-principal`, ""])).toMatchObject({ principal: "" })
  })

  it("has the simulated server", () => {
    expect(inputOf(["simulate"])).toEqual({
      bind: { host: "127.0.0.1", port: 8789 },
      seed: 1,
      latencyMs: 0
    })
    expect(inputOf(["simulate", "--bind=localhost:0", "--seed=7", "--answers", "a", "--log=l", "--latency-ms", "5"]))
      .toEqual({
        bind: { host: "localhost", port: 0 },
        seed: 7,
        answersPath: "a",
        logPath: "l",
        latencyMs: 5
      })
    expect(mistakeOf(["simulate", "--model", "sim/x"])).toContain("unknown flag \"--model\"")
  })

  it("tells an empty command line from one whose quotes are open", () => {
    const given = (line: string) => mistakeOf(["dataset", "build", "--command", line])
    for (const line of ["", " "]) expect(given(line)).toBe("--command: expected a command line, found an empty one")
    expect(given("python3 'a")).toBe("--command: expected a command line whose quotes are closed")
  })

  it("asks for nothing without a mode", () => {
    for (const args of [[], ["--"]]) {
      expect(parseArguments(args, { TAU_MODEL: "openai/x" })).toEqual({ _tag: "nothing" })
    }
  })
})

describe("modes do not mix", () => {
  const switches = [
    [`${p}-config`, "c.json"],
    [`${p}-proxy-server`],
    ...controlVerbs.map((verb) => verb === "rollback" ? [`${p}-control-${verb}`, "x"] : [`${p}-control-${verb}`])
  ]
  it.prop(
    "any two flags that choose a mode are a mistake that names both",
    [FastCheck.shuffledSubarray(switches, { minLength: 2, maxLength: 2 })],
    ([pair]) => {
      const message = mistakeOf(["--model=openai/x", ...pair.flat()])
      for (const [flag] of pair) expect(message).toContain(flag)
    }
  )

  it("refuses flags of another mode", () => {
    expect(mistakeOf([...capture, `${p}-json`])).toBe(`${p}-json needs ${p}-config`)
    expect(mistakeOf([`${p}-store-sqlite`, "s"])).toBe(`${p}-store-sqlite needs ${p}-config`)
    expect(mistakeOf([...optimize, `${p}-proxy-record=full`])).toBe(`${p}-proxy-record needs ${p}-proxy-server`)
    expect(mistakeOf([`${p}-control-status`, `${p}-proxy-bind=h:1`])).toBe(
      `${p}-proxy-bind means nothing to a control verb`
    )
    expect(mistakeOf([...optimize, `${p}-control-json`])).toContain(`${p}-control-json needs a control verb`)
    expect(mistakeOf([`${p}-json=false`])).toBe(`${p}-json needs ${p}-config`)
  })

  it("refuses flags of a list where a command shows something else", () => {
    for (const flag of ["--limit=5", "--after=3"]) {
      expect(inputOf(["resources", flag])).toMatchObject({ version: null })
      expect(mistakeOf(["resources", "latest", flag])).toContain("is for the list: tau resources without a version")
    }
    expect(inputOf(["resources", "1"], { TAU_RESOURCES_LIMIT: "5" })).toMatchObject({ version: 1 })
    expect(inputOf(["audit", "list", "--limit=5"])).toMatchObject({ limit: 5 })
    expect(mistakeOf(["audit", "verify", "--limit=5"])).toContain("--limit is for tau audit list")
  })

  it("take a switch that is off for none, and it beats its variable", () => {
    const environment = { TAU_PROMPT_OPTIMIZATION_PROXY_SERVER: "1" }
    const off = `${p}-proxy-server=false`
    expect(parseArguments([off], environment)).toEqual({ _tag: "nothing" })
    expect(modeOf([off, `${p}-control-status`], environment)).toMatchObject({ _tag: "control", verb: "status" })
    expect(modeOf([...optimize, `${p}-control-status=0`, off], environment)).toMatchObject({ _tag: "optimize" })
    expect(mistakeOf([off, `${p}-proxy-bind=h:1`], environment)).toContain(`${p}-proxy-bind needs`)
    expect(mistakeOf([...optimize, `${p}-proxy-server=maybe`])).toContain(`${p}-proxy-server: expected 1, true`)
  })
})

describe("mistakes", () => {
  it.each<readonly [ReadonlyArray<string>, string]>([
    [["--bogus"], "unknown flag \"--bogus\""],
    [["-m"], "unknown flag \"-m\""],
    [["--prompt-optimization-confg", "x"], `did you mean ${p}-config?`],
    [["--Model", "openai/x"], "did you mean --model?"],
    [["--config", "x"], `unknown flag "--config"; did you mean ${p}-config?`],
    [["--upstream-url=http://h"], `did you mean ${p}-proxy-upstream-url?`],
    [["--json"], `did you mean ${p}-json or ${p}-control-json?`],
    [["--__proto__", "x"], "unknown flag \"--__proto__\""],
    [["--no-model"], "unknown flag"],
    [["--model"], "--model needs a value"],
    [["--model", `${p}-json`], "--model needs a value, found"],
    [[...optimize, "--model=openai/y"], "--model is given twice"],
    [[...optimize, `${p}-json`, `${p}-json=false`], `${p}-json is given twice`],
    [["stray"], "unknown command \"stray\"; see tau --help"],
    [["Simulate"], "unknown command \"Simulate\"; did you mean tau simulate?"],
    [["bench"], "unknown command \"bench\"; did you mean tau benchmark?"],
    [["export", "trip"], "found \"trip\"; did you mean triplets?"],
    [["benchmark"], "tau benchmark needs run|significance|stability|proof|publish|archive|purge"],
    [["simulate", "--por=3"], "unknown flag \"--por\"; see tau simulate --help"],
    [["spans", "--since=999999999d"], "--since: expected a date such as"],
    [["simulate", "stray"], "unexpected argument \"stray\"; see tau simulate --help"],
    [[...optimize, "--", "stray"], "unexpected argument \"stray\""],
    [[...optimize, `${p}-json`, "true"], `${p}-json=true`],
    [["--model", "openai/x", "simulate"], "simulate must be the first argument"],
    [["--model", "openai/x"], "--model needs a mode; see tau --help"],
    [[`${p}-proxy-server`, `${p}-store-sqlite=x`], `the store of a proxy is chosen by ${p}-proxy-state-dir`],
    [[`${p}-control-status`, `${p}-store-sqlite=x`], `the store of a control verb is chosen by ${p}-control-state-dir`],
    [[`${p}-config=c`, `${p}-proxy-state-dir=x`], `the store of a run is chosen by ${p}-store-sqlite`],
    [["benchmark", "foo"], "tau benchmark: expected <action>, found \"foo\"; see tau benchmark --help"],
    [["benchmark", "run"], "tau benchmark run needs --suite, --model, --resources and --report-kind"],
    [["benchmark", "stability", "x"], "tau benchmark stability takes further reports in pairs, baseline and trained"],
    [["resources", "latest", "--text="], "--text: expected NAME, found \"\""],
    [["keys", "create", "--name", "x".repeat(201)], "--name: expected at most 200 characters, found 201"],
    [["--help=1"], "--help takes no value"],
    [["runs", "--version=x"], "--version takes no value"],
    [["keys", "foo"], "tau keys: expected create|list|revoke, found \"foo\""],
    [[`${p}-config`, "c"], "--model is required"],
    [[`${p}-config=c`, "--model=gpt-4o"], "--model: expected provider/model"],
    [[`${p}-config=c`, "--model=openai/"], "--model: expected provider/model"],
    [[`${p}-config=c`, "--model=opnai/x"], "did you mean openai?"],
    [[`${p}-config=c`, "--model=nobody/x"], providers.map(({ name }) => name).join(", ")],
    [[`${p}-config=`, "--model=openai/x"], `${p}-config: expected a path`],
    [[...optimize, `${p}-json=maybe`], `${p}-json: expected 1, true`],
    [[...capture, `${p}-proxy-bind=8788`], "expected host:port"],
    [[...capture, `${p}-proxy-bind=:8788`], "expected host:port"],
    [[...capture, `${p}-proxy-bind=h:65536`], "expected host:port"],
    [[...capture, `${p}-proxy-bind=::1:80`], "expected host:port"],
    [[...capture, `${p}-proxy-bind=[1.2.3.4]:80`], "expected host:port"],
    [[`${p}-proxy-server`, `${p}-proxy-upstream-url=ftp://h`], `${p}-proxy-upstream-url: expected a URL`],
    ...["0", "-1", "1.5", "1e3", "x", "", "2147483648", "0x10"].map((value) =>
      [[...capture, `${p}-proxy-timeout-ms=${value}`], `${p}-proxy-timeout-ms: expected a whole number`] as const
    )
  ])("%j is one line that says %s", (args, text) => {
    const message = mistakeOf(args)
    expect(message).toContain(text)
    expect(message).not.toContain("\n")
  })

  it("never shows the password of a URL", () => {
    expect(mistakeOf([`${p}-proxy-server`, `${p}-proxy-upstream-url=http://me:secret@h`])).not.toContain("secret")
  })

  it.prop("never throws, and a mistake is one line", [FastCheck.array(FastCheck.oneof(
    FastCheck.constantFrom("--", ...commands.map(({ name }) => name), ...allFlags.map(({ name }) => `--${name}`)),
    FastCheck.string(),
    FastCheck.string().map((text) => `--model=${text}`)
  ))], ([args]) => {
    const parsed = parseArguments(args, {})
    if (parsed._tag === "mistake") expect(parsed.message).toMatch(/^[^\n\r]+$/)
  })
})

describe("variables", () => {
  it("can say everything that flags say", () => {
    expect(modeOf([], {
      TAU_MODEL: "openai/x",
      [`${V}_CONFIG`]: "c.json",
      [`${V}_JSON`]: "YES",
      [`${V}_PROXY_TIMEOUT_MS`]: "5"
    })).toMatchObject({ _tag: "optimize", configPath: "c.json", json: true, proxy: { timeoutMs: 5 } })
    expect(inputOf(["simulate"], { TAU_SIMULATE_SEED: "9" })).toMatchObject({ seed: 9 })
  })

  it("has every command that looks at a store look at that of TAU_STORE, unless a flag names another place", () => {
    const benchmark = ["benchmark", "run", "--report-kind=trained", "--model=sim/x", "--suite=s", "--resources=1"]
    const folders = { audit: ["verify"], inspect: ["tree"], keys: ["list"], dashboard: [] }
    const withFolder = Object.entries(folders).map(([name, operands]) => [name, ...operands])
    for (const args of [["runs"], ["span", "x"], ["export", "spans"], benchmark, ...withFolder]) {
      expect(inputOf(args, { TAU_STORE: "a/s.sqlite" })).toMatchObject({ storePath: "a/s.sqlite" })
      expect(inputOf([...args, "--store=b"], { TAU_STORE: "a/s.sqlite" })).toMatchObject({ storePath: "b" })
    }
    for (const args of withFolder) {
      expect(inputOf([...args, "--state-dir=c"], { TAU_STORE: "a" })).toMatchObject({
        storePath: args[0] === "keys" ? "c/training/store.sqlite" : "c/store.sqlite"
      })
      expect(mistakeOf([...args, "--state-dir=c", "--store=b"])).toContain("--store and --state-dir do not go together")
    }
  })

  it("tell of a run whose store nobody chose that commands which read look elsewhere", () => {
    const TAU_STORE = "a/s.sqlite"
    expect(modeOf(optimize, { TAU_STORE })).toMatchObject({
      storePath: ".tau/training/store.sqlite",
      storeElsewhere: TAU_STORE
    })
    expect(modeOf([...optimize, `${p}-store-sqlite=b`], { TAU_STORE })).not.toHaveProperty("storeElsewhere")
    expect(modeOf(optimize, { TAU_STORE, [`${V}_STORE_SQLITE`]: "b" })).not.toHaveProperty("storeElsewhere")
    for (const same of ["", ".tau/training/store.sqlite", "./.tau/training/../training/store.sqlite"]) {
      expect(modeOf(optimize, { TAU_STORE: same })).not.toHaveProperty("storeElsewhere")
    }
  })

  it("yield to flags", () => {
    expect(modeOf([...optimize, `${p}-json=off`], { TAU_MODEL: "groq/y", [`${V}_JSON`]: "1" }))
      .toMatchObject({ modelRef: "openai/gpt-4o-mini", json: false })
    expect(modeOf([`${p}-control-status`], { [`${V}_CONFIG`]: "c", [`${V}_CONTROL_PAUSE`]: "1" }))
      .toMatchObject({ verb: "status" })
  })

  it("of other modes are not looked at", () => {
    expect(modeOf(optimize, {
      [`${V}_PROXY_SERVER`]: "perhaps",
      [`${V}_PROXY_STATE_DIR`]: "d",
      [`${V}_CONTROL_JSON`]: "perhaps",
      TAU_SIMULATE_BIND: "nowhere"
    })).toMatchObject({ _tag: "optimize" })
  })

  it("that choose two modes are a mistake that names both", () => {
    const message = mistakeOf([], { TAU_MODEL: "openai/x", [`${V}_CONFIG`]: "c", [`${V}_PROXY_SERVER`]: "1" })
    expect(message).toContain(`${V}_CONFIG and ${V}_PROXY_SERVER`)
  })

  it("name themselves when they are wrong", () => {
    expect(mistakeOf(optimize, { [`${V}_JSON`]: "perhaps" })).toMatch(new RegExp(`^${V}_JSON: expected 1, true`))
    expect(mistakeOf([], { [`${V}_PROXY_SERVER`]: "2" })).toMatch(new RegExp(`^${V}_PROXY_SERVER: `))
    expect(mistakeOf(capture, { [`${V}_PROXY_BIND`]: "x" })).toMatch(new RegExp(`^${V}_PROXY_BIND: expected host:port`))
    expect(mistakeOf([`${p}-config=c`], { TAU_MODEL: "x" })).toMatch(/^TAU_MODEL: /)
  })

  it.each(["0", "false", "no", "off", ""])("turn a switch off with %j", (word) => {
    expect(modeOf(optimize, { [`${V}_JSON`]: word })).toMatchObject({ json: false })
    expect(parseArguments([], { [`${V}_PROXY_SERVER`]: word })).toEqual({ _tag: "nothing" })
  })

  it("have names of their own", () => {
    // Those that several commands share say so.
    const names = allFlags.filter(({ variable }) => variable === undefined).map(variableOf)
    expect(new Set(names).size).toBe(names.length)
    expect(names).toContain("TAU_PROMPT_OPTIMIZATION_PROXY_UPSTREAM_URL")
  })
})
