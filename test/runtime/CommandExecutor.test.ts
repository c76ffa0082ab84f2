import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import { CommandExecutorConfig } from "../../src/domain/RunConfig.js"
import * as CommandExecutor from "../../src/runtime/CommandExecutor.js"
import type { Assignment } from "../../src/runtime/Executor.js"
import { setVariables, withVariables } from "../support/environment.js"
import { alive, eventually } from "../support/processes.js"
import { assignment, execute } from "./assignments.js"

let dir: string
let restore: () => void
beforeAll(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), "tau-command-")))
  mkdirSync(join(dir, "agents"))
  // The attempts' folders go where nobody else's do.
  mkdirSync(join(dir, "tmp"))
  restore = setVariables({ TMPDIR: join(dir, "tmp") })
})
afterAll(() => {
  restore()
  rmSync(dir, { recursive: true, force: true })
})

const decode = Schema.decodeSync(CommandExecutorConfig)
type Config = Partial<Parameters<typeof decode>[0]>

/** Runs JavaScript as the agent; `fs`, `env` and `input` (its standard input) are there. */
const agent = (body: string, config: Config = {}, more: Partial<Assignment> = {}) => {
  const script = `const fs = require("node:fs"); const env = process.env;
    const input = fs.readFileSync(0, "utf8"); ${body}`
  return command([process.execPath, "-e", script], config, more)
}
const command = (argv: readonly [string, ...Array<string>], config: Config = {}, more: Partial<Assignment> = {}) =>
  execute(more).pipe(
    Effect.provide(CommandExecutor.layer(decode({ kind: "command", command: argv, ...config }), dir))
  )
const report = (expression: string, config: Config = {}, more: Partial<Assignment> = {}) =>
  Effect.map(
    agent(`console.log(JSON.stringify(${expression}))`, config, more),
    ({ output }): unknown => JSON.parse(output)
  )

const fileDetail = (body: string) =>
  Effect.map(
    Effect.flip(agent(body, { output: "file", output_bytes_max: 5 })),
    (error) => `${error.reason}: ${error.detail}`
  )

describe("CommandExecutor", () => {
  it.live("hands the example over on standard input and in a file, and takes standard output for the answer", () =>
    Effect.gen(function*() {
      const { example } = assignment()
      assert.deepStrictEqual(
        yield* report("[JSON.parse(input), JSON.parse(fs.readFileSync(env.TAU_EXAMPLE_FILE))]"),
        [example, example]
      )
    }))

  it.live("trims one newline at the end and nothing else", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* agent(`process.stdout.write(" a\\n\\n")`)).output, " a\n")
      assert.strictEqual((yield* agent(`process.stdout.write("ä\\r\\n")`)).output, "ä")
      assert.strictEqual((yield* agent("")).output, "")
    }))

  it.live("replaces bytes that are no UTF-8", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* agent("process.stdout.write(Buffer.from([0x61, 0xc3]))")).output, "a\uFFFD")
    }))

  it.live("sets the variables that lead an agent to its model, over those of the config", () =>
    Effect.gen(function*() {
      const { apiKey, baseUrl } = assignment()
      const env = yield* report("env", {
        env: { OPENAI_API_KEY: "sk-config", NO_PROXY: "internal", GREETING: "hello" }
      }) as Effect.Effect<Record<string, string>>
      assert.deepInclude(env, {
        OPENAI_BASE_URL: baseUrl,
        OPENAI_API_BASE: baseUrl,
        OPENAI_API_KEY: apiKey,
        TAU_MODEL: "gpt-4o-mini",
        TAU_ROLLOUT_ID: "rollout-1",
        TAU_ATTEMPT_ID: "rollout-1:attempt-1",
        GREETING: "hello",
        NO_PROXY: "internal,127.0.0.1",
        no_proxy: "internal,127.0.0.1",
        TAU_RESOURCE_SYSTEM_PROMPT: "Answer with a number."
      })
      assert.strictEqual(env["PATH"], process.env["PATH"])
    }))

  it.scopedLive("keeps the keys of our own environment from the agent", () =>
    Effect.gen(function*() {
      yield* withVariables({ ANTHROPIC_API_KEY: "sk-ours", SOME_TOKEN: "sk-ours" })
      const env = yield* report("env")
      assert.notInclude(JSON.stringify(env), "sk-ours")
    }))

  it.live("gives every resource as a file and, where one can hold it, as a variable", () =>
    Effect.gen(function*() {
      const long = "x".repeat(100_001)
      const [files, variables] = (yield* report(
        `[Object.fromEntries(fs.readdirSync(env.TAU_RESOURCES_DIR).map((name) =>
            [name, fs.readFileSync(env.TAU_RESOURCES_DIR + "/" + name, "utf8")])),
          Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith("TAU_RESOURCE_")))]`,
        {},
        { resources: { "few-shot.v2": [1], toolHint: "ü", long, nul: "a\0b" } }
      )) as [unknown, unknown]
      assert.deepStrictEqual(files, { "few-shot.v2": "[1]", toolHint: "ü", long, nul: "a\0b" })
      assert.deepStrictEqual(variables, { TAU_RESOURCE_FEW_SHOT_V2: "[1]", TAU_RESOURCE_TOOL_HINT: "ü" })
    }))

  it.live("refuses resource names that are no file names or share a variable", () =>
    Effect.gen(function*() {
      for (const name of ["../../x", "/etc/x", "a/b", "a\\b", "", ".", "..", "a\0b", "a\nb", "x".repeat(4096)]) {
        const error = yield* Effect.flip(agent("", {}, { resources: { [name]: "x" } }))
        assert.match(error.detail, /cannot be a file name/, name)
        assert.isTrue(error.permanent)
      }
      const error = yield* Effect.flip(agent("", {}, { resources: { "a-b": "", a_b: "" } }))
      assert.match(error.detail, /a-b and a_b would share the variable TAU_RESOURCE_A_B/)
    }))

  it.live("reads the answer from TAU_OUTPUT_FILE when told to, whatever standard output says", () =>
    Effect.gen(function*() {
      const { output } = yield* agent(
        `fs.writeFileSync(env.TAU_OUTPUT_FILE, "from the file\\n"); console.log("x".repeat(1000))`,
        { output: "file", output_bytes_max: 20 }
      )
      assert.strictEqual(output, "from the file")
    }))

  it.live("accepts no output file that is missing, large, a link or a pipe", () =>
    Effect.gen(function*() {
      writeFileSync(join(dir, "secret"), "secret")
      assert.strictEqual(yield* fileDetail(""), "output: the agent wrote nothing to TAU_OUTPUT_FILE")
      assert.match(yield* fileDetail(`fs.writeFileSync(env.TAU_OUTPUT_FILE, "123456")`), /more than 5 bytes/)
      assert.match(
        yield* fileDetail(`fs.symlinkSync(${JSON.stringify(join(dir, "secret"))}, env.TAU_OUTPUT_FILE)`),
        /unreadable/
      )
      assert.match(yield* fileDetail("fs.mkdirSync(env.TAU_OUTPUT_FILE)"), /no regular file/)
      assert.match(
        yield* fileDetail(`require("node:child_process").execFileSync("mkfifo", [env.TAU_OUTPUT_FILE])`),
        /no regular file/
      )
    }))

  it.live("takes along what the agent reports in TAU_SAFETY_EVENTS_FILE, and fails when it cannot be read", () =>
    Effect.gen(function*() {
      const reporting = (text: string, padding = 0) =>
        agent(
          `fs.writeFileSync(env.TAU_SAFETY_EVENTS_FILE, ${
            JSON.stringify(text)
          } + " ".repeat(${padding})); console.log("done")`
        )
      const events = "{\"reason_codes\":[\"tone.rude\"]}\n\n{\"blocked\":true,\"note\":1}\n{}"
      assert.deepStrictEqual(yield* reporting(events), {
        output: "done",
        safetyEvents: [
          { reasonCodes: ["tone.rude"], blocked: false },
          { reasonCodes: [], blocked: true },
          { reasonCodes: [], blocked: false }
        ]
      })
      for (const text of ["", "\n"]) assert.deepStrictEqual(yield* reporting(text), { output: "done" })
      for (
        const text of ["rude", "[]", "{\"blocked\":1}", "{\"reason_codes\":[\"\"]}"]
      ) {
        const error = yield* Effect.flip(reporting(text))
        assert.deepInclude(error, { reason: "output", permanent: false })
        assert.include(error.detail, "TAU_SAFETY_EVENTS_FILE")
      }
      assert.match((yield* Effect.flip(reporting("{}", 1_048_577))).detail, /TAU_SAFETY_EVENTS_FILE/)
    }))

  it.live("gives each attempt a private folder that is gone afterwards", () =>
    Effect.gen(function*() {
      const [mode, path] = (yield* report(
        `[fs.statSync(require("node:path").dirname(env.TAU_EXAMPLE_FILE)).mode & 0o777, env.TAU_OUTPUT_FILE]`
      )) as [number, string]
      assert.strictEqual(mode, 0o700)
      assert.isFalse(existsSync(dirname(path)))
    }))

  it.live("starts where the config says, without a shell", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* report("process.cwd()"), dir)
      assert.strictEqual(yield* report("process.cwd()", { cwd: "agents" }), join(dir, "agents"))
      const { output } = yield* command(["/bin/echo", "$HOME; rm -rf x `id`"])
      assert.strictEqual(output, "$HOME; rm -rf x `id`")
    }))

  it.live("fails with code or signal and the end of standard error, without the key", () =>
    Effect.gen(function*() {
      const exited = yield* Effect.flip(agent(`console.error("key " + env.OPENAI_API_KEY); process.exit(137)`))
      assert.strictEqual(exited.reason, "exit-code")
      assert.strictEqual(exited.detail, "the agent exited with code 137")
      assert.strictEqual(exited.stderrTail, "key [key]\n")
      assert.isFalse(exited.permanent)
      const killed = yield* Effect.flip(agent("process.kill(process.pid, 'SIGKILL')"))
      assert.strictEqual(killed.reason, "signal")
      assert.strictEqual(killed.detail, "the agent was ended by SIGKILL")
    }))

  it.live("fails when the agent prints more than allowed", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(command(["head", "-c", "50000000", "/dev/zero"]))
      assert.strictEqual(error.reason, "output")
      assert.match(error.detail, /more than 1048576 bytes/)
    }))

  it.live("fails for good when the command is not there", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(command(["no-such-agent"]))
      assert.deepInclude(error, { reason: "unstarted", permanent: true })
      assert.match(error.detail, /command not found: no-such-agent/)
    }))

  it.live("lets whoever stops an agent hear what it wrote last to standard error, without the key", () =>
    Effect.gen(function*() {
      let lastWords = (): string => ""
      const fiber = yield* Effect.fork(
        command(["/bin/sh", "-c", `echo "key $OPENAI_API_KEY" >&2; exec sleep 300`], {}, {
          onSpeech: (ask) => {
            lastWords = ask
          }
        })
      )
      yield* Effect.promise(() => eventually("a word", () => lastWords() || undefined))
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(lastWords(), "key [key]\n")
    }))

  it.live("stops an agent that ignores SIGTERM, and its children, when interrupted", () =>
    Effect.gen(function*() {
      const pids = join(dir, "pids")
      const fiber = yield* Effect.fork(
        command([
          "/bin/sh",
          "-c",
          `trap '' TERM; sleep 300 & (sleep 300 & echo $! >> ${pids}); echo $! $$ >> ${pids}; while :; do sleep 0.05; done`
        ])
      )
      const started = yield* Effect.promise(() =>
        eventually("three processes", () => {
          const found = existsSync(pids) ? readFileSync(pids, "utf8").split(/\s+/).filter(Boolean).map(Number) : []
          return found.length === 3 && found
        })
      )
      assert.isTrue(started.every(alive))
      assert.lengthOf(scratchFolders(), 1)
      yield* Fiber.interrupt(fiber)
      for (const pid of started) yield* Effect.promise(() => eventually("its end", () => !alive(pid)))
      assert.deepStrictEqual(scratchFolders(), [])
    }))
})

const scratchFolders = () => readdirSync(tmpdir()).filter((name) => name.startsWith("tau-attempt-"))
