import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { checkConfig, configBytesMax, loadConfig, problemsMax } from "../../src/cli/ConfigFile.js"
import { configHash } from "../../src/cli/ConfigHash.js"
import { shapeProblems } from "../../src/cli/ConfigShape.js"
import { RunConfig } from "../../src/domain/RunConfig.js"

const folder = mkdtempSync(join(tmpdir(), "tau-config-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const example = { prompt: "What is 2 + 2?", expected: "4" }

/** The problems of a config, as the lines a person sees. */
const problemsOf = (config: unknown): ReadonlyArray<string> => {
  const checked = checkConfig(typeof config === "string" ? config : JSON.stringify(config))
  return checked._tag === "valid" ? [] : checked.problems.map(({ path, text }) => `${path}: ${text}`)
}
/** Of a config that is right but for these keys. */
const problemsWith = (keys: object) => problemsOf({ optimize: [example], ...keys })

const load = (name: string, content?: string | Uint8Array) => {
  const file = join(folder, name)
  if (content !== undefined) writeFileSync(file, content)
  return Effect.runPromise(Effect.either(loadConfig(file)))
}

describe("a config that is right", () => {
  it("gets its defaults", () => {
    expect(checkConfig(JSON.stringify({ optimize: [example] }))).toEqual({
      _tag: "valid",
      config: {
        optimize: [example],
        validate: [],
        worker_count: 2,
        poll_interval_ms: 50,
        heartbeat_interval_ms: 1000,
        completion_poll_interval_ms: 60,
        completion_timeout_secs: 30,
        executor: { kind: "chat" },
        optimizer: { algorithm: "evaluate", seed: 1, max_rollouts: 600, stallLimit: 40 },
        gate: {
          alpha: 0.05,
          fraction: 0.4,
          min_reward_delta: 0,
          samples: 1,
          tokens_ratio_max: 1.2,
          tokens_rise_allowed: 500,
          failure_rate_rise_max: 0.02,
          slice_loss_max: 0.05,
          slice_examples_min: 30
        },
        resume: { replay: "after-crash" },
        max_attempts: 3,
        attempt_timeout_secs: 120
      }
    })
  })

  it("may use the old names", () => {
    expect(checkConfig(JSON.stringify({ train: [example], val: [example] }))).toMatchObject({
      _tag: "valid",
      config: { optimize: [example], validate: [example] }
    })
  })

  it("may name servers as executor and scorer", () => {
    const url = "http://127.0.0.1:8000/run?team=a"
    const headers = { "x-team": "a" }
    const keys = { executor: { kind: "http", url, headers }, scoring: [{ kind: "http", url: "https://judge.example" }] }
    expect(checkConfig(JSON.stringify({ optimize: [{}], ...keys }))).toMatchObject({
      _tag: "valid",
      config: {
        executor: { kind: "http", url, headers },
        scoring: [{ kind: "http", url: "https://judge.example", weight: 1, expected: "expected", timeout_secs: 60 }]
      }
    })
  })

  it("may start with a byte order mark", async () => {
    expect(await load("bom.json", `\uFEFF${JSON.stringify({ validate: [example] })}`)).toMatchObject({
      _tag: "Right",
      right: { path: join(folder, "bom.json"), folder }
    })
  })
})

describe("a file that is no config", () => {
  const problemsOfFile = async (name: string, content?: string | Uint8Array) => {
    const loaded = await load(name, content)
    return loaded._tag === "Left" ? loaded.left.message : "loaded"
  }
  const utf16 = Uint8Array.from(Buffer.from("{\"a\":1}", "utf16le"))

  it("is refused with its name and the reason", async () => {
    expect(await problemsOfFile("none.json")).toBe(
      `${join(folder, "none.json")}: expected a config file, found no such file`
    )
    mkdirSync(join(folder, "folder"))
    expect(await problemsOfFile("folder")).toContain("found a directory")
    expect(await problemsOfFile("none.json/x")).toContain("found no such file")
    expect(await problemsOfFile("empty.json", " \n")).toContain("found an empty file")
    expect(await problemsOfFile("empty.json/x")).toContain("/x: cannot be read: a file stands where a folder was exp")
    expect(await problemsOfFile("16.json", utf16)).toContain("UTF-16")
    expect(await problemsOfFile("16bom.json", Uint8Array.from([0xff, 0xfe, ...utf16]))).toContain("UTF-16")
    expect(await problemsOfFile("latin1.json", Uint8Array.from([0x22, 0xe9, 0x22]))).toContain("not UTF-8")
    expect(await problemsOfFile("list.json", "[]")).toContain("$: expected a JSON object, found an empty array")
    expect(await problemsOfFile("bad.json", "{\n\"a\":}")).toMatch(/line 2, column 5: expected a value(?!.*; a config)/)
    expect(await problemsOfFile("a.yaml", "optimize:\n")).toMatch(/line 1, column 1: .*; a config is JSON$/m)
  })

  it("does not hang the command when it never ends", async () => {
    execFileSync("mkfifo", [join(folder, "fifo")])
    expect(await problemsOfFile("fifo")).toContain("expected a regular file")
    expect(await Effect.runPromise(Effect.flip(loadConfig("/dev/zero")))).toMatchObject({
      problems: ["expected a regular file, found a pipe, socket or device"]
    })
  })

  it("is not read when it is too large", async () => {
    writeFileSync(join(folder, "large.json"), "")
    truncateSync(join(folder, "large.json"), configBytesMax + 1)
    expect(await problemsOfFile("large.json")).toContain(`expected at most ${configBytesMax} bytes`)
  })

  it("is described in a limited number of lines", async () => {
    const keys = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`key${n}`, 1]))
    const lines = (await problemsOfFile("many.json", JSON.stringify(keys))).split("\n")
    expect(lines).toHaveLength(problemsMax + 1)
    expect(lines.at(-1)).toContain("and 80 more")
  })
})

const interval = "expected a whole number of milliseconds from 1 to 2147483647"
const seconds = "expected a whole number of seconds from 1 to 2147483"
const scoringTooLong = `$.scoring[0].timeout_secs: ${seconds}, found 2147484`

describe("problems", () => {
  it.each([
    [{ worker_count: 0 }, "$.worker_count: expected a whole number of workers from 1 to 1000, found 0"],
    [{ worker_count: 100_000 }, "$.worker_count: expected a whole number of workers from 1 to 1000, found 100000"],
    [{ poll_interval_ms: -5 }, `$.poll_interval_ms: ${interval}, found -5`],
    [{ heartbeat_interval_ms: 1.5 }, `$.heartbeat_interval_ms: ${interval}, found 1.5`],
    [{ completion_poll_interval_ms: "60" }, `$.completion_poll_interval_ms: ${interval}, found "60"`],
    [{ completion_poll_interval_ms: 2 ** 31 }, `$.completion_poll_interval_ms: ${interval}, found 2147483648`],
    // Longer than any timer waits: it would be no limit at all.
    [{ attempt_timeout_secs: 2_147_484 }, `$.attempt_timeout_secs: ${seconds}, found 2147484`],
    [{ scoring: [{ kind: "http", url: "http://h", timeout_secs: 2_147_484 }] }, scoringTooLong],
    [{ scoring: [{ kind: "command", command: ["s"], timeout_secs: 2_147_484 }] }, scoringTooLong],
    [{ scoring: [{ kind: "judge", rubric: "r", timeout_secs: 2_147_484 }] }, scoringTooLong],
    [
      { completion_timeout_secs: null },
      "$.completion_timeout_secs: expected a whole number of seconds greater than 0, found null"
    ],
    [{ max_attempts: 1e300 }, "$.max_attempts: expected a whole number of attempts greater than 0, found 1e+300"],
    [{ wroker_count: 1 }, "$.wroker_count: unknown key \"wroker_count\"; did you mean \"worker_count\"?"],
    [
      { constructor: 1 },
      `$.constructor: unknown key "constructor"; known are ${Object.keys(RunConfig.fields).join(", ")}`
    ],
    [{ train: [] }, "$.train: expected either \"train\" or \"optimize\", found both"],
    [{ val: [3] }, "$.val[0]: expected an object, found 3"],
    [{ validate: {} }, "$.validate: expected an array of objects, found an object"],
    [{ resources: [] }, "$.resources: expected an object, found an empty array"],
    [
      { resume: { replay: "sometimes" } },
      "$.resume.replay: expected one of \"after-crash\", \"always\", \"never\", found \"sometimes\""
    ],
    [
      { optimizer: { algorithm: "rgpa" } },
      "$.optimizer.algorithm: expected one of \"evaluate\", \"apo\", \"gepa\", \"rgepa\", found \"rgpa\"; did you mean \"rgepa\"?"
    ],
    [{ resume: { reply: "never" } }, "$.resume.reply: unknown key \"reply\"; did you mean \"replay\"?"],
    [
      { executor: { kind: "docker" } },
      "$.executor.kind: expected one of \"chat\", \"command\", \"http\", found \"docker\""
    ],
    [{ executor: {} }, "$.executor.kind: expected one of \"chat\", \"command\", \"http\", found nothing"],
    [{ executor: "chat" }, "$.executor: expected an object with a kind, found \"chat\""],
    [{ executor: { kind: "chat", usr: "x" } }, "$.executor.usr: unknown key \"usr\"; did you mean \"user\"?"],
    [
      { executor: { kind: "command" } },
      "$.executor.command: expected an array of strings that is not empty, found nothing"
    ],
    [
      { executor: { kind: "command", command: ["a", ""] } },
      "$.executor.command[1]: expected a non empty string, found \"\""
    ],
    [
      { executor: { kind: "command", command: ["a"], output: "tty" } },
      "$.executor.output: expected one of \"stdout\", \"file\", found \"tty\""
    ],
    [{ executor: { kind: "command", command: ["a"], env: { A: 1 } } }, "$.executor.env.A: expected a string, found 1"],
    [{ executor: { kind: "http" } }, "$.executor.url: expected a non empty string, found nothing"],
    [
      { executor: { kind: "http", url: "localhost:8000" } },
      "$.executor.url: expected a URL that starts with http:// or https://, found \"localhost:8000\""
    ],
    [
      { executor: { kind: "http", url: "ftp://localhost" } },
      "$.executor.url: expected a URL that starts with http:// or https://, found \"ftp://localhost\""
    ],
    [
      { executor: { kind: "http", url: "http://me:secret@localhost" } },
      "$.executor.url: expected a URL without a user name or password, found one with them"
    ],
    [
      { executor: { kind: "http", url: "http://localhost/#a" } },
      "$.executor.url: expected a URL without a fragment (#…), found one"
    ],
    [
      { executor: { kind: "http", url: "http://h", headers: { "x-a": 1 } } },
      "$.executor.headers[\"x-a\"]: expected a string, found 1"
    ],
    [
      { executor: { kind: "http", url: "http://h", headers: { "x a": "1" } } },
      "$.executor.headers[\"x a\"]: expected the name of a header, found \"x a\""
    ],
    [
      { executor: { kind: "http", url: "http://h", headers: { "Content-Type": "text/plain" } } },
      "$.executor.headers[\"Content-Type\"]: expected a header that is not tau's own, found \"Content-Type\""
    ],
    [
      { executor: { kind: "http", url: "http://h", timeout_secs: 1 } },
      "$.executor.timeout_secs: unknown key \"timeout_secs\"; known are kind, url, headers"
    ],
    [
      { scoring: [{ kind: "contains" }, { kind: "http", url: "judge" }] },
      "$.scoring[1].url: expected a URL that starts with http:// or https://, found \"judge\""
    ],
    [
      { scoring: [{ kind: "http", url: "http://h", headers: { "x-a": "secret\n" } }] },
      "$.scoring[0].headers[\"x-a\"]: expected the value of a header, found line breaks or characters outside Latin-1"
    ],
    [{ scoring: [{ kind: "judge", rubric: "r", timeout_secs: 0 }] }, `$.scoring[0].timeout_secs: ${seconds}, found 0`],
    [{ scoring: [] }, "$.scoring: expected an array of objects that is not empty, found an empty array"],
    [
      { scoring: [{ kind: "judge" }] },
      "$.scoring[0].rubric: expected a non empty string, found nothing"
    ],
    [
      { scoring: [{ kind: "judge", rubric: "x", scale: [5, 1] }] },
      "$.scoring[0].scale: expected two numbers, the lowest score and a higher one, found an array"
    ],
    [
      { scoring: [{ kind: "judge", rubric: "x", model: "gpt" }] },
      "$.scoring[0].model: expected provider/model such as openai/gpt-4o-mini, found \"gpt\""
    ],
    [
      { scoring: [{ kind: "judge", rubric: "x", model: "opnai/gpt" }] },
      "$.scoring[0].model: expected a provider of openai, anthropic, openrouter, groq, together, fireworks, deepseek, mistral, xai, gemini, ollama, lmstudio, vllm, llamacpp, sim, found \"opnai\"; did you mean \"openai\"?"
    ],
    [
      { scoring: [{ kind: "judge", rubric: "x", parameters: { messages: [] } }] },
      "$.scoring[0].parameters.messages: expected a parameter that is not tau's own, found \"messages\""
    ],
    [
      { scoring: [{ kind: "exact" }] },
      "$.scoring[0].kind: expected one of \"exact_match\", \"contains\", \"regex\", \"numeric\", \"json_equal\", \"command\", \"http\", \"judge\", found \"exact\"; did you mean \"exact_match\"?"
    ],
    [{ scoring: [{ kind: "numeric", weight: -1 }] }, "$.scoring[0].weight: expected a weight of 0 or more, found -1"],
    [{ scoring: [{ kind: "numeric", weight: 0 }] }, "$.scoring: expected at least one weight above 0, found none"],
    [
      { scoring: [{ kind: "contains" }, { kind: "contains" }] },
      "$.scoring[1].name: expected a name of its own, found \"contains\" as in $.scoring[0]; give one of them another \"name\""
    ],
    [
      { scoring: [{ kind: "regex", pattern: "(" }] },
      "$.scoring[0].pattern: expected a regular expression, found \"(\" (Unterminated group)"
    ],
    [
      { scoring: [{ kind: "regex", flags: "ii" }] },
      "$.scoring[0].flags: expected flags of a regular expression such as \"i\", found \"ii\""
    ],
    [
      { validate: [{ prompt: "p", expected: "[" }], scoring: [{ kind: "regex" }] },
      "$.validate[0].expected: expected a regular expression, found \"[\" (Unterminated character class)"
    ],
    [
      { scoring: [{ kind: "exact_match", expected: "answer" }] },
      "$.optimize[0]: expected the field \"answer\" to score an answer by, found none"
    ],
    [
      { validate: [{ prompt: "p" }], scoring: [{ kind: "regex", pattern: "." }, { kind: "numeric" }] },
      "$.validate[0]: expected the field \"expected\" to score an answer by, found none"
    ],
    [
      { scoring: [{ kind: "judge", rubric: "x", expected: "gold" }] },
      "$.optimize[0]: expected the field \"gold\" to score an answer by, found none"
    ],
    [
      { upstream_url: "localhost:1" },
      "$.upstream_url: expected a URL that starts with http:// or https://, found \"localhost:1\""
    ],
    [
      { validate: [example, { question: "?" }] },
      "$.validate[1]: expected a \"prompt\", or \"messages\", found only \"question\"; " +
      "a template in $.executor.user may name other fields"
    ],
    [{ val: [{ messages: [] }] }, "$.val[0].messages: expected an array of messages, found an empty array"],
    [
      { executor: { kind: "chat", seed_field: "draw" }, validate: [{ prompt: "?", draw: 7 }] },
      "$.optimize[0].draw: expected the whole number that $.executor.seed_field names, found nothing"
    ],
    [
      { executor: { kind: "chat", seed_field: "draw" }, optimize: [{ prompt: "?", draw: "7" }] },
      "$.optimize[0].draw: expected the whole number that $.executor.seed_field names, found \"7\""
    ],
    [
      { executor: { kind: "chat", user: "{{ prompt }} {{topic}}" } },
      "$.optimize[0]: expected the field \"topic\" that $.executor.user names, found only \"prompt\", \"expected\""
    ],
    [
      { resources: { tool_text: "t" }, executor: { kind: "chat", tools: [{ d: "{{resources.tool_txt}}" }] } },
      "$.executor.tools[0].d: expected the name of a resource in \"resources\", found \"tool_txt\"; did you mean \"tool_text\"?"
    ]
  ])("of %j", (keys, line) => {
    expect(problemsWith(keys)).toEqual([line])
  })

  it("name the field of a field that a template asks for", () => {
    const executor = { kind: "chat", user: "{{q.text}} {{resources.style}} {not one} \\{{kept}}" }
    const resources = { style: "short", system_prompt: "Be {{resources.style}}, {{name}}." }
    expect(problemsOf({ optimize: [{ q: { text: "?" } }], executor, resources })).toEqual([])
    expect(problemsOf({ optimize: [{ q: {} }], executor, resources })).toEqual([
      "$.optimize[0]: expected the field \"q.text\" that $.executor.user names, found only \"q\""
    ])
    expect(problemsWith({ resources: { system_prompt: "{{resources.stile}}" } })).toEqual([
      "$.resources.system_prompt: expected the name of a resource in \"resources\", found \"stile\""
    ])
  })

  it("are told all at once", () => {
    expect(problemsWith({ worker_count: 0, gat: {}, scoring: [{ kind: "numeric", tolerance: -1 }] })).toHaveLength(3)
  })

  it("of a config without examples", () => {
    for (const config of [{}, { optimize: [], validate: [] }, { train: [] }]) {
      expect(problemsOf(config)).toEqual([
        "$: expected at least one example in \"optimize\" or \"validate\", found none"
      ])
    }
  })

  it("of a key that is given twice", () => {
    expect(problemsOf("{\"optimize\":[{\"prompt\":\"a\"}],\n\"optimize\":[]}")).toEqual([
      "$.optimize: expected each key once, found \"optimize\" again at line 2, column 1"
    ])
  })

  it("never repeat a password or more than a line", () => {
    for (
      const upstream_url of ["http://me:secret@host", "http:/me:secret@host", "host?key=secret", "http://h:x/#secret"]
    ) {
      expect(problemsWith({ upstream_url }).join()).not.toContain("secret")
    }
    // As long as the list of the known keys.
    for (const line of problemsWith({ "a\nb": 1, optimizer: { algorithm: "x\n".repeat(1000) } })) {
      expect(line).toMatch(/^[^\n]{1,400}$/)
    }
  })

  it("are the same with a message list or a template instead of a prompt", () => {
    expect(problemsOf({ optimize: [{ messages: [{ role: "user", content: "hi" }] }] })).toEqual([])
    expect(problemsOf({ optimize: [{ q: 1 }], executor: { kind: "chat", user: "{{q}}" } })).toEqual([])
    expect(problemsOf({ optimize: [{}], executor: { kind: "command", command: ["x"] } })).toEqual([])
  })
})

describe("the check and the schema", () => {
  const encoded = Arbitrary.make(Schema.encodedSchema(RunConfig))
  const mutated = FastCheck.tuple(
    encoded,
    FastCheck.constantFrom(...Object.keys(RunConfig.fields)),
    FastCheck.jsonValue()
  )
    .map(([config, key, value]) => ({ ...config, [key]: value }))
  const decodes = Schema.is(Schema.encodedBoundSchema(RunConfig))

  it.prop("agree on what is a config", [FastCheck.oneof(encoded, mutated)], ([config]) => {
    const found = shapeProblems(RunConfig.ast, config, "$")
    expect(found.length === 0).toBe(decodes(config, { onExcessProperty: "error" }))
  })
})

describe("configHash", () => {
  const hash = (keys: object, model = "openai/x", folder = "/agents/a") => {
    const checked = checkConfig(JSON.stringify({ optimize: [example], ...keys }))
    return checked._tag === "valid" ? configHash(checked.config, model, folder) : "invalid"
  }
  const same = hash({})

  it("does not change with the order of keys, defaults that are written out, or how fast the run goes", () => {
    expect(same).toMatch(/^[0-9a-f]{64}$/)
    for (
      const keys of [
        { optimize: [{ expected: "4", prompt: "What is 2 + 2?" }] },
        { executor: { kind: "chat" }, max_attempts: 3 },
        { worker_count: 9, poll_interval_ms: 9, upstream_url: "http://elsewhere", attempt_timeout_secs: 9 }
      ]
    ) expect(hash(keys)).toBe(same)
  })

  it("changes with what decides the results", () => {
    const others = [
      hash({}, "openai/y"),
      hash({ optimize: [example, example] }),
      hash({ optimize: [], validate: [example] }),
      hash({ resources: {} }),
      hash({ executor: { kind: "chat", user: "{{prompt}}" } }),
      hash({ scoring: [{ kind: "exact_match" }] }),
      hash({ resources: { a: "x" } }),
      hash({ resources: { a: "x" }, rewrite: [{ component: "a", where: { kind: "system", equal: "x" } }] }),
      hash({ max_attempts: 4 })
    ]
    const command = { executor: { kind: "command", command: ["./agent"] } }
    expect(hash(command, "openai/x", "/agents/b")).not.toBe(hash(command))
    expect(hash({}, "openai/x", "/agents/b")).toBe(same)
    expect(new Set([same, ...others]).size).toBe(others.length + 1)
    expect(others).not.toContain("invalid")
  })
})
