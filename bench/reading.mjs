// How long each reading command takes on a store of 1,000 spans and on a large one, process start and all. The stores are
// made with plain SQL; `--spans n` sets the size of the large one.
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { open } from "../dist/store/writer/Database.js"
import { median } from "./candidates.mjs"

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url))
const rounds = 7
const ratioMax = 1.5
const perRollout = 10
const runsMade = 20
const secondOfFirst = 1_763_900_000

/** A store of this many spans: 20 runs that are over, a tenth as many rollouts, and one run that is not over. */
export const makeStore = (path, spans) => {
  const db = open(path).connection
  for (const pragma of ["synchronous = OFF", "cache_size = -400000", "foreign_keys = OFF"]) db.pragma(pragma)
  const rollouts = Math.max(runsMade, Math.floor(spans / perRollout))
  const perRun = Math.ceil(rollouts / runsMade)
  const rolloutId = (n) => `printf('run-%04d-bench0-train-%06d', ${n} / ${perRun} + 1, ${n} % ${perRun} + 1)`
  const counting = (n) => `WITH RECURSIVE c (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n + 1 < ${n})`
  db.exec("BEGIN")
  db.exec(`INSERT INTO processes VALUES ('bench/1/a', 'bench', 1, '1', 'run', 1, 1, 1);
    INSERT INTO resources VALUES
      (1, 'resources-1', '{"system_prompt":"You are a concise assistant."}', 'a', NULL, 'config', 1, 0),
      (2, 'resources-2', '{"system_prompt":"You are a careful assistant."}', 'b', 1, 'bench', 2, 1);
    INSERT INTO bodies (sha256, size, content) VALUES
      ('request', 60, CAST('{"model":"m","messages":[{"role":"user","content":"2 + 2?"}]}' AS BLOB)),
      ('answer', 70, CAST('{"choices":[{"message":{"role":"assistant","content":"4"}}]}' AS BLOB));`)
  db.exec(`${counting(runsMade + 1)} INSERT INTO runs
    (id, ordinal, state, config_hash, config, config_path, model_ref, resources_version, created_at_ms)
    SELECT printf('run-%04d-bench0', n + 1), n + 1, 'running', 'h', '{}', 'bench.json', 'bench/model', n % 2 + 1,
           (${secondOfFirst} + n * ${perRun}) * 1000 FROM c`)
  db.exec(`INSERT INTO workers (id, process_id, run_id, started_at_ms, heartbeat_at_ms, ended_at_ms)
    SELECT 'bench/1/a/' || ordinal, 'bench/1/a', id, 1, 2, 3 FROM runs`)
  db.exec(`${counting(rollouts)} INSERT INTO rollouts
    (id, run_id, mode, ordinal, status, input, input_sha256, resources_version, run_at_ms, attempts_max, output, score,
     error, failures, created_at_ms, ended_at_ms)
    SELECT ${rolloutId("n")}, printf('run-%04d-bench0', n / ${perRun} + 1), 'train', n % ${perRun},
      CASE WHEN n % 997 = 3 THEN 'failed' ELSE 'succeeded' END, '{"prompt":"What is 2 + 2?","expected":"4"}', 's', 1, 1, 3,
      CASE WHEN n % 997 = 3 THEN NULL ELSE '4' END, CASE WHEN n % 997 = 3 THEN NULL ELSE n % 2 END,
      CASE WHEN n % 997 = 3 THEN 'no answer' END, 0, (${secondOfFirst} + n) * 1000, (${secondOfFirst} + n + 1) * 1000 FROM c`)
  db.exec(`${counting(rollouts)} INSERT INTO attempts
    (id, rollout_id, n, epoch, worker_id, status, resources_version, started_at_ms, ended_at_ms)
    SELECT ${rolloutId("n")} || ':attempt-1', ${rolloutId("n")}, 1, 1, 'bench/1/a/1',
      CASE WHEN n % 997 = 3 THEN 'failed' ELSE 'succeeded' END, 1, (${secondOfFirst} + n) * 1000,
      (${secondOfFirst} + n + 1) * 1000 FROM c`)
  db.exec(`${counting(rollouts)} INSERT INTO rewards
    SELECT ${rolloutId("n")} || ':attempt-1', 'exact_match', ${rolloutId("n")}, n % 2, 'as expected', 1 FROM c
    WHERE n % 997 <> 3`)
  db.exec(
    `UPDATE runs SET state = 'completed', ended_at_ms = created_at_ms + ${perRun} * 1000 WHERE ordinal <= ${runsMade}`
  )
  db.exec("COMMIT")
  const attributes = JSON.stringify({
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.input_tokens": 20,
    "gen_ai.usage.output_tokens": 9,
    "tau.call.role": "main",
    "tau.ttfb_ms": 120.5,
    "tau.call.attempt": 1
  })
  const insert = db.prepare(`WITH RECURSIVE c (n) AS (SELECT ? UNION ALL SELECT n + 1 FROM c WHERE n + 1 < ?)
    INSERT INTO spans (span_id, trace_id, run_id, rollout_id, attempt_id, sequence_id, process_id, name, kind, state, method,
      path, status_code, model, input_tokens, output_tokens, attributes, events, start_time_us, end_time_us,
      resources_version, request_bytes, response_bytes, request_sha256, response_sha256)
    SELECT printf('%08x%08x', ${secondOfFirst} + n / ${perRollout}, n), printf('%032x', n),
      printf('run-%04d-bench0', n / ${perRollout} / ${perRun} + 1), ${rolloutId(`(n / ${perRollout})`)},
      ${
    rolloutId(`(n / ${perRollout})`)
  } || ':attempt-1', n % ${perRollout} + 1, 'bench/1/a', 'chat gpt-4o-mini', 'llm', 'done',
      'POST', '/v1/chat/completions', CASE WHEN n % 4999 = 7 THEN 500 ELSE 200 END, 'gpt-4o-mini', 20, 9, '${attributes}', '[]',
      (${secondOfFirst} + n / ${perRollout}) * 1000000 + n % ${perRollout} * 90000,
      (${secondOfFirst} + n / ${perRollout}) * 1000000 + n % ${perRollout} * 90000 + 80000,
      1, 900, 650, 'request', 'answer' FROM c`)
  const step = 500_000
  for (let from = 0; from < spans; from += step) {
    insert.run(from, Math.min(from + step, spans))
    db.pragma("wal_checkpoint(TRUNCATE)")
  }
  db.close()
}

const commandsFor = (rollouts) => {
  const middle = Math.floor(rollouts / runsMade / 2)
  const run = "run-0010-bench0"
  const rollout = `${run}-train-${String(middle).padStart(6, "0")}`
  return [
    ["runs"],
    ["rollouts", "--run", run],
    ["rollouts", "--run", run, "--after", rollout],
    ["rollouts", "--run", run, "--failed"],
    ["rollout", rollout],
    ["spans"],
    ["spans", "--failed"],
    ["spans", "--run", run],
    ["spans", "--rollout", rollout],
    ["spans", "--model", "gpt-4o-mini", "--role", "main"],
    ["resources"],
    ["diff", "1", "2"],
    ["workers"]
  ]
}

const milliseconds = (args) => {
  const startedAt = performance.now()
  const { status, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: "utf8" })
  if (status !== 0) throw new Error(`tau ${args.join(" ")}: ${stderr}`)
  return performance.now() - startedAt
}

export const benchReading = (largeSpans) => {
  const folder = mkdtempSync(join(tmpdir(), "tau-bench-"))
  try {
    const sizes = [1_000, largeSpans]
    const stores = sizes.map((spans) => {
      const path = join(folder, `${spans}.sqlite`)
      const startedAt = performance.now()
      makeStore(path, spans)
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(0)
      console.log(`store of ${spans} spans: ${(statSync(path).size / 1e6).toFixed(0)} MB, made in ${seconds} s`)
      return path
    })
    console.log(`\nReading: milliseconds of the whole command, median of ${rounds} rounds, taking turns\n`)
    console.log("small  large  large/small  tau …")
    let missed = 0
    for (const [place, small] of commandsFor(sizes[0] / perRollout).entries()) {
      const args = [small, commandsFor(sizes[1] / perRollout)[place]].map((
        one,
        store
      ) => [...one, "--store", stores[store]])
      const times = [[], []]
      for (let round = 0; round < rounds; round++) for (const n of [0, 1]) times[n].push(milliseconds(args[n]))
      const [a, b] = times.map(median)
      if (b / a > ratioMax) missed += 1
      console.log([
        a.toFixed(0).padStart(5),
        b.toFixed(0).padStart(5),
        `${(b / a).toFixed(2)}×`.padStart(11),
        small.join(" ")
      ].join("  "))
    }
    return missed
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
