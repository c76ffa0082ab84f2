import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { tau } from "./tau.js"

/** What a terminal must not be told, in what an agent was asked. */
const hostile = "\u001B[2J\u202Eevil\u0007"

const sum = (one: number, other: number) => ({
  prompt: `What is ${one} + ${other}? ${hostile}`,
  expected: `${one + other}`
})
const capital = { prompt: "What is the capital of France?", expected: "Paris" }

const config = (prompt: string, more: object) => ({
  optimize: [sum(2, 2), sum(3, 4), sum(4, 5), sum(5, 6), sum(6, 7), sum(7, 8), sum(8, 9), capital],
  validate: [sum(1, 1)],
  resources: { system_prompt: prompt },
  worker_count: 1,
  ...more
})

const configs = [
  config("You are a calculator. Say how you came to it.", {}),
  config("You are a calculator. Reply with only the final number, no explanation.", { validate: [sum(9, 9)] }),
  config("You are a calculator.", { scoring: [{ kind: "regex", pattern: "no such word" }] })
]

let folder = ""
const read = (...args: ReadonlyArray<string>) => tau(args, {}, folder)
let runs: ReadonlyArray<string> = []

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tau-test-"))
  for (const [index, each] of configs.entries()) {
    writeFileSync(join(folder, `${index}.json`), JSON.stringify(each))
    const { status, stderr } = read("--model=sim/arithmetic", `--prompt-optimization-config=${index}.json`)
    assert.strictEqual(status, 0, stderr)
  }
  const listed = JSON.parse(read("runs", "--json").stdout) as { readonly runs: ReadonlyArray<{ readonly id: string }> }
  runs = listed.runs.map(({ id }) => id).toReversed()
}, 120_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("tau compare", () => {
  it("tells a better run from a worse one on the examples that both have scored", () => {
    const [worse, better] = [runs[0]!, runs[1]!]
    const { status, stdout } = read("compare", worse, better, "--fail-if-worse")
    assert.strictEqual(status, 0)
    assert.match(stdout, /8 examples that both have scored; 1 only in run-0001-\S+, 1 only in\s+run-0002-/)
    assert.include(stdout, "  score     0.000 → 0.875\n  change    +0.875, 95 % interval +0.401 to +0.978\n")
    assert.notInclude(stdout, "beware")
    assert.include(stdout, "  p-value   0.016, two-sided, exact McNemar\n  examples  7 better, 0 worse, 1 alike\n")
    assert.include(stdout, `\n${better} is better than ${worse}.\n`)
    assert.include(stdout, "better, the 5 largest of 7\n")
    assert.match(stdout, /^0\.000 → 1\.000 {2}run-0002-\S+-train-0001 {2}What is 2 \+ 2\?/m)
    assert.isTrue(stdout.split("\n").every((line) => line.length <= 80 && !line.includes("\u202E")))
    const back = read("compare", better, worse, "--fail-if-worse")
    assert.strictEqual(back.status, 1)
    assert.include(back.stdout, `${worse} is worse than ${better}.`)
    assert.strictEqual(read("compare", better, worse).status, 0)
  })

  it("says when nothing is shown, and that the scores may not mean the same", () => {
    const { status, stdout } = read("compare", runs[0]!, runs[2]!, "--fail-if-worse")
    assert.strictEqual(status, 0)
    assert.include(stdout, "No difference is shown")
    assert.notInclude(stdout, "One of them")
    assert.include(stdout, "the configs score differently")
  })

  it("prints JSON with every example", () => {
    const whole = JSON.parse(read("compare", runs[0]!, runs[1]!, "--json").stdout) as Record<string, unknown>
    // Of a simulation, as in its summary.
    assert.deepInclude(whole["run"], { cost: null })
    assert.deepInclude(whole, { verdict: "better", only_in_run: 1, only_in_baseline: 1, scoring_differs: false })
    assert.deepInclude(whole["comparison"] as object, {
      n: 8,
      wins: 7,
      losses: 0,
      mean_delta: 0.875,
      baseline_mean_score: 0,
      mean_score: 0.875,
      interval_method: "Newcombe 1998, method 10",
      alpha: 0.05
    })
    assert.deepInclude(whole["run"] as object, { run_id: runs[1], succeeded: 9, resources_version: 2 })
    const examples = whole["examples"] as ReadonlyArray<Record<string, unknown>>
    assert.deepStrictEqual(examples.map(({ delta }) => delta), [1, 1, 1, 1, 1, 1, 1, 0])
  })

  it("tells the median of what an even number of rollouts took, and to wait for a run that is not finished", () => {
    const store = join(folder, "unfinished.sqlite")
    copyFileSync(join(folder, ".tau/training/store.sqlite"), store)
    const database = new Sqlite(store)
    // 100 ms, 200 ms and so on, by the number of the rollout.
    database.exec("UPDATE attempts SET ended_at_ms = started_at_ms + 100 * substr(rollout_id, -4)")
    database.prepare("UPDATE runs SET state = 'running' WHERE id = ?").run(runs[1])
    database.close()
    const { stdout } = read("compare", runs[0]!, runs[1]!, "--mode", "train", "--store", store)
    // What calls used is known of whole runs alone.
    assert.match(stdout, /^rollouts +8\/8 +8\/8$/m)
    assert.notInclude(stdout, "tokens each")
    assert.match(stdout, /^took, median {2}450 ms +450 ms$/m)
    assert.match(
      stdout,
      new RegExp(`^ {2}beware {4}${runs[1]} is not finished: go by what the whole run will show$`, "m")
    )
    assert.notInclude(stdout, `${runs[0]} is not finished`)
    // As a scorer that was away leaves it.
    const again = new Sqlite(store)
    again.exec(`UPDATE attempts SET status = 'failed', broken_by = 'scorer' WHERE rollout_id LIKE '${runs[1]}%';
      UPDATE rollouts SET status = 'failed', score = NULL WHERE run_id = '${runs[1]}'`)
    again.close()
    assert.deepInclude(read("compare", runs[0]!, runs[1]!, "--fail-if-worse", "--store", store), {
      status: 1,
      stdout: "",
      stderr: `tau: ${runs[1]} has scored no example; what became of its rollouts: tau rollouts --run ${runs[1]} `
        + `--store ${store}\n`
    })
  })

  it("leaves out what failed for want of a model, an agent or a scorer, and says so", () => {
    const store = join(folder, "outage.sqlite")
    copyFileSync(join(folder, ".tau/training/store.sqlite"), store)
    const database = new Sqlite(store)
    const broken = `${runs[1]}-train-000[1-6]`
    database.prepare("UPDATE attempts SET status = 'failed', broken_by = 'scorer' WHERE rollout_id GLOB ?").run(broken)
    database.prepare("UPDATE rollouts SET status = 'failed', score = NULL WHERE id GLOB ?").run(broken)
    database.close()
    const compare = (mode: string) => read("compare", runs[0]!, runs[1]!, "--mode", mode, "--store", store)
    const { stdout } = compare("train")
    assert.include(stdout, "2 examples that both have scored; 6 only in")
    assert.include(stdout, "  score     0.000 → 0.500\n")
    assert.match(stdout, /^score {9}0\.000 +0\.500$/m)
    assert.match(
      stdout.replaceAll(/\s+/g, " "),
      /beware 6 failed rollouts of run-0002-\w+ lacked model, agent or scorer and are left out/
    )
    assert.notInclude(stdout, "train-0001")
    const whole = JSON.parse(read("compare", runs[0]!, runs[1]!, "--json", "--store", store).stdout) as Record<
      string,
      object
    >
    assert.deepInclude(whole["run"]!, { broken: 6 })
    assert.deepInclude(whole["baseline"]!, { broken: 0 })
    assert.match(
      compare("val").stderr,
      /no val example in common[^;]+; examples are the same when all their fields are\n$/
    )
  })

  it("shows what was lost before what was won, the largest first, and where to look", () => {
    const store = join(folder, "mixed.sqlite")
    copyFileSync(join(folder, ".tau/training/store.sqlite"), store)
    const database = new Sqlite(store)
    const score = database.prepare("UPDATE rollouts SET score = ? WHERE id = ?")
    for (
      const [at, [before, after]] of [[0, 1], [0.5, 0.25], [1, 0], [0, 0.5], [1, 1], [1, 1], [1, 1], [1, 1]].entries()
    ) {
      score.run(before, `${runs[0]}-train-000${at + 1}`)
      score.run(after, `${runs[1]}-train-000${at + 1}`)
    }
    database.prepare("UPDATE runs SET input_tokens = 905, output_tokens = 91 WHERE id = ?").run(runs[1])
    database.close()
    const { stdout } = read("compare", runs[0]!, runs[1]!, "--store", store)
    const lines = stdout.split("\n").map((line) => line.trim())
    const changes = lines.filter((line) => /→.*train/.test(line)).map((line) =>
      line.replace(/ {2}run-0002-\w+-/, " ").slice(0, 25)
    )
    assert.deepStrictEqual(
      changes,
      [
        "1.000 → 0.000 train-0003",
        "0.500 → 0.250 train-0002",
        "0.000 → 1.000 train-0001",
        "0.000 → 0.500 train-0004"
      ].map((line) => `${line} `)
    )
    assert.isBelow(lines.indexOf("worse"), lines.indexOf("better"))
    assert.include(stdout, `\nOne of them: tau rollout ${runs[1]}-train-0003 --store ${store}\n`)
    assert.match(stdout, /A gain of 0\.\d{3} would be/)
  })

  it("scores no failure where no scorer applied to what succeeded", () => {
    const store = join(folder, "unscored.sqlite")
    copyFileSync(join(folder, ".tau/training/store.sqlite"), store)
    const database = new Sqlite(store)
    database.prepare("UPDATE rollouts SET score = NULL WHERE run_id = ?").run(runs[1])
    database.prepare("UPDATE rollouts SET status = 'failed' WHERE id = ?").run(`${runs[1]}-train-0001`)
    database.close()
    const { status, stderr } = read("compare", runs[0]!, runs[1]!, "--store", store)
    assert.deepStrictEqual([status, stderr.includes(`${runs[1]} has scored no example`)], [1, true])
  })

  it("takes one part of the config alone, and refuses what cannot be compared", () => {
    const one = read("compare", runs[0]!, runs[2]!, "--mode", "val").stdout
    assert.include(one, "1 example that both have scored\n")
    assert.include(one, "\nNo difference is shown, and these examples could hardly show one.\n")
    assert.deepInclude(read("compare", runs[0]!, runs[1]!, "--mode", "val"), {
      status: 1,
      stderr:
        `tau: ${runs[0]} and ${
          runs[1]
        } have no val example in common that both have scored; examples are the same when all their `
        + "fields are\n"
    })
    writeFileSync(
      join(folder, "search.json"),
      JSON.stringify({ ...configs[0], optimizer: { algorithm: "gepa", max_rollouts: 20 } })
    )
    const searched = read(
      "--model=sim/arithmetic",
      "--prompt-optimization-config=search.json",
      "--prompt-optimization-json"
    )
    const { run_id: search } = JSON.parse(searched.stdout) as { readonly run_id: string }
    assert.include(read("compare", runs[0]!, search).stderr, `${search} is a search`)
    assert.include(read("compare", runs[0]!, "run-9").stderr, "there is no run run-9")
    assert.strictEqual(read("compare", runs[0]!).status, 2)
  })
})
