import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import { spawn, spawnSync } from "node:child_process"
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { root, tau } from "./tau.js"

/** What a terminal must not be told, in what an agent was asked. */
const hostile = "\u001B[2J\u202Eevil\u0007"

const config = (systemPrompt: string) => ({
  optimize: [
    { prompt: "What is 2 + 2?", expected: "4" },
    { prompt: `What is 3 + 4? ${hostile}`, expected: "7" },
    { prompt: "What is the capital of France?", expected: "Paris" }
  ],
  validate: [{ prompt: "What is 5 + 5?", expected: "10" }],
  resources: { system_prompt: systemPrompt, style: "plain" },
  worker_count: 1
})

const prompts = [
  "You are a calculator.\nBe polite.\nSay how you came to it.",
  "You are a calculator.\nBe polite.\nReply with only the final number, no explanation."
] as const

let folder = ""
const read = (...args: ReadonlyArray<string>) => tau(args, {}, folder)
const json = (...args: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = read(...args, "--json")
  assert.strictEqual(status, 0, stderr)
  return JSON.parse(stdout) as { readonly [key: string]: ReadonlyArray<Row>; readonly next: never }
}
interface Row {
  readonly id: string
  readonly run_id: string
  readonly span_id: string
  readonly ordinal: number
  readonly mode: string
  readonly state: string
  readonly score: number
}
const lines = (text: string) => text.trimEnd().split("\n")
const jsonLines = (text: string) => lines(text).map((line) => JSON.parse(line) as Record<string, unknown>)

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tau-test-"))
  for (const [index, prompt] of prompts.entries()) {
    writeFileSync(join(folder, `${index}.json`), JSON.stringify(config(prompt)))
    const { status, stderr } = read("--model=sim/arithmetic", `--prompt-optimization-config=${index}.json`)
    assert.strictEqual(status, 0, stderr)
  }
}, 120_000)
// Commands are waited for synchronously: in between, the test runner has its turn.
afterEach(() => new Promise<void>((resolve) => void setImmediate(resolve)))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

// Each test starts several processes.
describe("reading a store from the command line", { timeout: 120_000 }, () => {
  it("lists runs, and what their rollouts came to", () => {
    const { stdout } = read("runs")
    assert.match(stdout, /^run +state +rollouts +score +model +made$/m)
    assert.match(stdout, /^run-0002-\w{6}  completed +4\/4  0\.750  sim\/arithmetic +(now|\d+ (s|min) ago)$/m)
    const { next, runs } = json("runs", "--limit", "1")
    assert.deepInclude(runs![0]! as object, {
      ordinal: 2,
      state: "completed",
      total: 4,
      succeeded: 4,
      mean_score: 0.75,
      crashed: false
    })
    assert.strictEqual(json("runs", "--after", next).runs![0]!.ordinal, 1)
    assert.strictEqual(read("runs", "--state", "failed").stdout, "No run of .tau/training/store.sqlite is failed.\n")
  })

  it("promotes nothing of a run that is not there, or that searched nothing, and makes no store for it", () => {
    assert.deepInclude(read("promote", "none", "--force"), {
      status: 1,
      stderr: "tau: there is no run none in .tau/training/store.sqlite; tau runs lists them\n"
    })
    const { id } = json("runs")["runs"]![0]!
    assert.deepInclude(read("promote", id, "--force"), {
      status: 1,
      stderr: `tau: run ${id} has no search that has ended; tau report ${id} says how it stands\n`
    })
    assert.match(read("promote", id, "--force", "--store=away.sqlite").stderr, /no store at away\.sqlite in \S+tau-/)
    assert.notInclude(readdirSync(folder), "away.sqlite")
  })

  it("lists the rollouts of the last run, or of another, as filters say", () => {
    const all = json("rollouts")["rollouts"]!
    assert.deepStrictEqual(all.map(({ mode, score }) => [mode, score]), [
      ["train", 1],
      ["train", 1],
      ["train", 0],
      ["val", 1]
    ])
    const wrong = json("rollouts", "--max-score", "0.5", "--mode", "train")["rollouts"]!
    assert.deepStrictEqual(wrong.map(({ id }) => id), [all[2]!.id])
    const other = json("runs")["runs"]![1]!.id
    assert.strictEqual(json("rollouts", "--run", other)["rollouts"]![0]!.run_id, other)
    const { stdout } = read("rollouts", "--limit", "2")
    assert.include(stdout, `More: tau rollouts --run ${all[0]!.run_id} --limit 2 --after ${all[1]!.id}\n`)
    const stderr = "tau: there is no run none in .tau/training/store.sqlite; tau runs lists them\n"
    for (const list of ["rollouts", "spans"]) {
      assert.deepStrictEqual(read(list, "--run", "none", "--json"), { status: 1, stdout: "", stderr })
    }
  })

  it("says what there is not yet, and how to make it, in 80 columns", () => {
    assert.strictEqual(read("keys", "create", "--state-dir", "bare").status, 0)
    for (const args of [["runs"], ["rollouts"], ["spans"]]) {
      const { status, stdout } = read(...args, "--store", "bare/training/store.sqlite")
      assert.match(`${status} ${stdout}`, /^0 No (runs|calls) in .* yet\. .*:\n {2}tau --\S+/)
      assert.deepStrictEqual(lines(stdout).filter((line) => line.length > 80), [])
    }
    const last = json("runs")["runs"]!.at(-1)!.id
    assert.match(read("runs", "--after", last).stdout, /^Nothing that fits comes after run-/)
    assert.deepStrictEqual(lines(read("audit", "list").stdout).filter((line) => line.length > 80), [])
  })

  it("says of a run that searched nothing where its results are", () => {
    const { id } = json("runs")["runs"]![0]!
    assert.deepInclude(read("report"), {
      status: 1,
      stderr:
        `tau: run ${id} only evaluated its texts, and searched for none; what came of it: tau rollouts --run ${id}\n`
    })
  })

  it("shows a rollout with its rewards and its calls along their time, and every id can be pasted", () => {
    const { id } = json("rollouts")["rollouts"]![2]!
    const { stdout } = read("rollout", id)
    assert.match(stdout, /^run-0002-\w{6}-train-0003  succeeded$/m)
    assert.match(stdout, /^ {2}prompt: What is the capital of France\?$/m)
    assert.match(stdout, /^ {2}reward {4}exact_match {2}0\.000 {2}expected "Paris", got/m)
    const [, span = ""] =
      /^ {2}([0-9a-f]{16}) {2}chat sim\/arithmetic +200 +\d+ → \d+ +[\d.]+ m?s {2}·*█+·*$/m.exec(stdout) ?? []
    assert.match(read("span", span).stdout, /^user\n {2}What is the capital of France\?$/m)
    assert.include(read("rollout", `${id}:attempt-1`).stdout, span)
    assert.deepStrictEqual(stdout.split("\n").filter((line) => line.length > 80), [])
    const missing = read("rollout", "none", "--store", ".tau/training/../training/store.sqlite")
    assert.match(missing.stderr, /; tau rollouts --store (\S+) and tau spans --store \1 list what there is\n/)
  })

  it("tells what was cancelled, handed back or replayed from what was done, failed or paid for", () => {
    const copy = join(folder, "stopped.sqlite")
    const original = new Sqlite(join(folder, ".tau/training/store.sqlite"))
    original.exec(`VACUUM INTO '${copy}'`)
    original.close()
    const [first, second, third] = json("rollouts")["rollouts"]!
    const store = new Sqlite(copy)
    for (
      const { name } of store.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'").all() as {
        name: string
      }[]
    ) {
      store.exec(`DROP TRIGGER ${name}`)
    }
    store.exec("UPDATE runs SET model_ref = 'openrouter/someone/large'")
    store.exec("UPDATE run_counts SET succeeded = succeeded - 2, failed = 1, cancelled = 1 WHERE mode = 'train'")
    const end = store.prepare("UPDATE attempts SET status = 'failed', error = ? WHERE rollout_id = ?")
    end.run("the run was cancelled", first!.id)
    end.run("handed back before it finished; not counted as a failure", second!.id)
    store.prepare(
      "UPDATE spans SET attributes = json_set(attributes, '$.\"tau.replayed\"', json('true'), '$.\"tau.replay_of\"', 'abc') WHERE rollout_id = ?"
    ).run(third!.id)
    store.close()
    const told = (...args: ReadonlyArray<string>) => read(...args, "--store=stopped.sqlite").stdout
    assert.match(told("runs"), /^run-0002-\w{6} +completed +3\/4 +1 +[\d.]+ +openrouter/m)
    assert.deepStrictEqual(lines(told("runs")).filter((line) => line.length > 80), [])
    assert.match(told("rollout", first!.id), /:attempt-1 {2}cancelled$/m)
    assert.match(told("rollout", second!.id), /:attempt-1 {2}handed back$/m)
    assert.match(told("rollout", third!.id), /^ +replayed: the answer of abc, not paid for again$/m)
    assert.match(told("spans", "--rollout", third!.id), /^[0-9a-f]{16} .*  200 replayed  /m)
    assert.notInclude(told("spans", "--rollout", first!.id), "replayed")
  })

  it("shows what others wrote without letting it act on the terminal", () => {
    const { id } = json("rollouts")["rollouts"]![1]!
    const span = json("spans", "--rollout", id)["spans"]![0]!.span_id
    // oxlint-disable-next-line no-control-regex -- what must not be there
    const acting = /[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/
    for (
      const args of [["rollout", id], ["span", span], ["span", span, "--json"], ["span", span, "--curl"], ["rollouts"]]
    ) {
      const { status, stdout } = read(...args)
      assert.strictEqual(status, 0)
      assert.notMatch(stdout, acting, args.join(" "))
    }
    assert.include(read("rollout", id).stdout, "What is 3 + 4? \\u{1b}[2J\\u{202e}evil\\u{7}")
  })

  it("gives the exact bytes of a call, and a curl command that sends them again", () => {
    const span = json("spans", "--limit", "1")["spans"]![0]!.span_id
    const body = read("span", span, "--raw", "request").stdout
    assert.deepInclude(JSON.parse(body) as object, { model: "sim/arithmetic" })
    const { stdout } = read("span", span, "--curl")
    assert.include(stdout, "-H \"Authorization: Bearer $OPENAI_API_KEY\"")
    const shown = spawnSync("sh", ["-c", stdout.replace(/^curl /, "printf '%s\\n' ")], { encoding: "utf8" })
    assert.include(lines(shown.stdout), body)
    assert.include(lines(shown.stdout), "http://127.0.0.1:8788/v1/chat/completions")
    assert.strictEqual(read("span", span, "--curl", "--json").status, 2)
  })

  it("filters recorded calls", () => {
    assert.strictEqual(json("spans")["spans"]!.length, 8)
    assert.strictEqual(
      json("spans", "--role", "main", "--since", "1h", "--model", "sim/arithmetic")["spans"]!.length,
      8
    )
    assert.strictEqual(json("spans", "--until", "1h")["spans"]!.length, 0)
    assert.include(read("spans", "--failed").stdout, "No recorded call fits")
    const run = json("runs")["runs"]![1]!.id
    assert.isTrue(json("spans", "--run", run)["spans"]!.every(({ run_id }) => run_id === run))
  })

  it("makes examples of a run's calls only where the run is named, and says which model answered", () => {
    const unasked = read("dataset", "build", "--out", "unasked")
    assert.strictEqual(unasked.status, 1)
    assert.include(unasked.stderr, "none of 0 captured sessions")
    assert.include(unasked.stderr, "--run")
    const run = json("runs")["runs"]![0]!.id
    const { status, stderr, stdout } = read("dataset", "build", "--run", run, "--out", "asked")
    assert.strictEqual(status, 0, stderr)
    assert.include(stdout, "To run it: tau --model sim/arithmetic --prompt")
  })

  it("names the field that an example lacks to be scored", () => {
    const optimize = [{ prompt: "What is 2 + 2?", expcted: "4" }]
    const validate = [{ prompt: "What is 2 + 3?", expected: 5 }, { prompt: "What is 2 + 4?", expected: 6 }]
    const misspelt = { optimize, validate, resources: { system_prompt: "Calculate." } }
    writeFileSync(join(folder, "misspelt.json"), JSON.stringify(misspelt))
    const { status, stderr, stdout } = read(
      "--model=sim/arithmetic",
      "--prompt-optimization-config=misspelt.json",
      "--prompt-optimization-store-sqlite=misspelt.sqlite"
    )
    assert.strictEqual(status, 0, stderr)
    assert.include(stdout, "none: 1 example not scored: no field \"expected\"")
    assert.include(stdout, "none: 2 examples not scored: no text in \"expected\"")
  })

  it("compares two versions of the resources and their scores", () => {
    const { stdout } = read("diff", "1", "2")
    assert.include(
      stdout,
      [
        "style  same",
        "",
        "system_prompt  changed",
        "    You are a calculator.",
        "    Be polite.",
        "  - Say how you came to it.",
        "  + Reply with only the final number, no explanation.",
        "",
        "scores"
      ].join("\n")
    )
    assert.match(stdout, /^ {2}version 1 {2}val {4}\d\.\d{3} {2}1 rollout of 1 run$/m)
    assert.match(stdout, /^ {2}version 2 {2}train {2}0\.667 {2}3 rollouts of 1 run$/m)
    assert.include(read("diff", "1", "2", "--words").stdout, "[-Say-]{+Reply+}")
    assert.strictEqual(read("diff", "1", "latest").stdout, stdout)
    assert.include(read("resources").stdout, "In full: tau resources 2\nCompare: tau diff 1 2\n")
    for (const latest of [1, 2]) {
      const store = new Sqlite(join(folder, ".tau", "training", "store.sqlite"))
      store.exec(`UPDATE resources SET is_latest = 0; UPDATE resources SET is_latest = 1 WHERE version = ${latest}`)
      store.close()
      if (latest === 1) assert.include(read("resources").stdout, "In full: tau resources 1\nCompare: tau diff 1 2\n")
    }
    assert.include(read("resources", "1").stdout, "  Say how you came to it.")
    assert.strictEqual(read("diff", "1", "1").stdout.match(/version 1  train/g)?.length, 1)
    assert.strictEqual(read("resources", "latest", "--text", "system_prompt").stdout, prompts[1])
    assert.strictEqual(read("resources", "1", "--text", "system_prompt").stdout, prompts[0])
    assert.deepInclude(read("resources", "latest", "--text", "tone"), {
      status: 1,
      stderr: "tau: version 2 has no tone, only style, system_prompt\n"
    })
    assert.strictEqual(read("resources", "--text", "style").status, 2)
    assert.strictEqual(read("diff", "1", "9").status, 1)
    assert.strictEqual(read("diff", "1", "x").status, 2)
  })

  it("exports spans, rollouts and triplets as JSON lines", () => {
    const spans = jsonLines(read("export", "spans").stdout)
    const ids = spans.map((span) => String(span["span_id"]))
    assert.strictEqual(ids.length, 8)
    assert.deepStrictEqual(ids, ids.toSorted())
    const attributes = spans[0]!["attributes"] as Record<string, string>
    assert.include(attributes["gen_ai.input.messages"], "What is 2 + 2?")
    const phoenix = jsonLines(read("export", "spans", "--dialect", "openinference").stdout)[0]!["attributes"]
    assert.deepInclude(phoenix as object, {
      "openinference.span.kind": "LLM",
      "llm.input_messages.0.message.role": "system",
      "llm.input_messages.1.message.content": "What is 2 + 2?"
    })
    const legacy =
      jsonLines(read("export", "spans", "--dialect", "genai-legacy", "--no-content").stdout)[0]!["attributes"]
    assert.hasAnyKeys(legacy as object, ["llm.usage.total_tokens"])
    assert.doesNotHaveAnyKeys(legacy as object, ["gen_ai.prompt.0.content"])
    const rollouts = jsonLines(read("export", "rollouts").stdout)
    assert.deepStrictEqual(rollouts.map(({ ordinal }) => ordinal), [0, 1, 2, 3, 0, 1, 2, 3])
    const triplets = jsonLines(read("export", "triplets", "--min-score", "1", "--mode", "val").stdout)
    assert.deepStrictEqual(
      triplets.map(({ is_last, is_whole, prompt, response, reward }) => ({
        is_last,
        is_whole,
        prompt,
        response,
        reward
      })),
      [{
        is_last: true,
        is_whole: true,
        prompt: [{ role: "system", content: prompts[1] }, { role: "user", content: "What is 5 + 5?" }],
        response: { role: "assistant", content: "10" },
        reward: 1
      }]
    )
    for (const what of ["spans", "rollouts", "triplets"]) {
      const whole = JSON.parse(read("export", what, "--json").stdout) as Record<string, unknown>
      assert.deepStrictEqual(whole, {
        schema_version: 1,
        store_path: ".tau/training/store.sqlite",
        [what]: jsonLines(read("export", what).stdout)
      })
    }
    const none = read("export", "rollouts", "--status", "cancelled", "--json").stdout
    assert.deepStrictEqual((JSON.parse(none) as { rollouts: unknown }).rollouts, [])
    assert.strictEqual(read("export", "spans", "--json", "--format", "jsonl").status, 2)
    assert.deepInclude(read("export", "triplets", "--kind", "llm"), {
      status: 2,
      stderr: "tau: --kind means nothing for tau export triplets\n"
    })
  })

  it("exports spans as OpenTelemetry's protocol has them", () => {
    const requests = jsonLines(read("export", "spans", "--format", "otlp").stdout)
    assert.strictEqual(requests.length, 1)
    const [resource] = requests[0]!["resourceSpans"] as ReadonlyArray<{
      readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<{ readonly spanId: string }> }>
    }>
    assert.deepStrictEqual(
      resource!.scopeSpans[0]!.spans.map(({ spanId }) => spanId),
      jsonLines(read("export", "spans").stdout).map((span) => span["span_id"])
    )
    assert.include(JSON.stringify(resource), "gen_ai.input.messages")
    assert.notInclude(read("export", "spans", "--format", "otlp", "--no-content").stdout, "What is 2 + 2?")
    assert.strictEqual(read("export", "spans", "--format=otlp", "--run", json("runs")["runs"]![0]!.id).status, 0)
    assert.deepInclude(read("export", "rollouts", "--format", "otlp"), {
      status: 2,
      stderr: "tau: --format otlp is for spans: the protocol knows no rollouts\n"
    })
  })

  it("lists workers, who ended with their run", () => {
    const workers = json("workers")["workers"]!
    assert.deepStrictEqual(workers.map(({ state }) => state), ["ended", "ended"])
    assert.include(read("workers", "--live").stdout, "No worker is live")
    assert.deepInclude(read("workers", "--run", "nobody"), {
      status: 1,
      stderr: "tau: there is no run nobody in .tau/training/store.sqlite; tau runs lists them\n"
    })
  })

  it.skipIf(process.platform !== "linux")("fails, and says so once, when stdout is on a full disk", () => {
    const full = openSync("/dev/full", "w")
    try {
      for (
        const args of [
          ["export", "spans"],
          ["runs", "--json"],
          ["resources", "latest", "--text", "system_prompt"],
          ["--model=sim/arithmetic", "--prompt-optimization-config=0.json", "--prompt-optimization-json"],
          ["--help"]
        ]
      ) {
        const { status, stderr } = spawnSync(process.execPath, [join(root, "dist/cli/main.js"), ...args], {
          cwd: folder,
          encoding: "utf8",
          stdio: ["ignore", full, "pipe"]
        })
        assert.strictEqual(status, 1, `${args.join(" ")}: ${stderr}`)
        assert.strictEqual(stderr.split("stdout could not be written").length, 2, `${args.join(" ")}: ${stderr}`)
      }
    } finally {
      closeSync(full)
    }
  })

  it("ends well when its reader leaves early", async () => {
    const child = spawn("sh", ["-c", `"${process.execPath}" "${root}dist/cli/main.js" export spans; echo $? >&3`], {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe", "pipe"]
    })
    child.stdout!.destroy()
    const texts = await Promise.all([child.stdio[2]!, child.stdio[3]!].map((stream) => text(stream as never)))
    assert.deepStrictEqual(texts, ["", "0\n"])
  })

  it("leaves no trace in the store's folder", () => {
    const before = readdirSync(join(folder, ".tau/training"))
    read("runs")
    assert.deepStrictEqual(readdirSync(join(folder, ".tau/training")).toSorted(), before.toSorted())
  })

  it("refuses values that cannot be meant", () => {
    for (
      const [args, message] of [
        [["spans", "--limit", "0"], "--limit: expected a whole number from 1 to 1000"],
        [["spans", "--limit", "1e9"], "--limit: expected a whole number"],
        [["spans", "--since", "yesterday"], "--since: expected a date such as"],
        [["spans", "--since", "2026-02-30"], "--since: expected a date such as"],
        [["spans", "--since", "1h", "--until", "2h"], "--since is not before --until"],
        [["spans", "--kind", "tool"], "--kind: expected llm or embedding or http"],
        [["rollouts", "--min-score", "2"], "--min-score: expected a number from 0 to 1"],
        [["rollouts", "--failed", "--status", "running"], "--failed and --status running exclude each other"]
      ] as const
    ) {
      const { status, stderr } = read(...args)
      assert.strictEqual(status, 2, args.join(" "))
      assert.include(stderr, message)
    }
    assert.include(read("rollouts", "--after", "' OR 1=1 --").stderr, "there is no rollout ' OR 1=1 -- to go on after")
  })
})
