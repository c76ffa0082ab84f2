// `npm run evidence`: every artifact of the benchmark protocol from nothing, on the simulated model, each accepted by its
// validator; and the same for a candidate that is worse, which must not pass. A thin shell over `tau` commands.
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = join(dirname(fileURLToPath(import.meta.url)), "../..")
const main = join(root, "dist/cli/main.js")
if (!existsSync(main)) {
  console.error("evidence: dist is missing; run `npm ci` or `npm run build` first")
  process.exit(1)
}

const run = (file, args) => {
  const { status } = spawnSync(file, args, { cwd: root, stdio: "inherit" })
  if (status !== 0) {
    console.error(
      `evidence: ${[file === process.execPath ? "tau" : file, ...args.slice(1)].join(" ")} ended with ${status}`
    )
    process.exit(1)
  }
}
const tau = (...args) => {
  console.log(`\n$ tau ${args.join(" ")}`)
  run(process.execPath, [main, ...args])
}
const validate = (script, file) => run(join(root, "scripts/demo", script), [file])
const proofOk = (file) => validate("validate-m24-rl-benchmark-proof-template.sh", file)
const reportOk = (file) => validate("validate-m24-rl-benchmark-report.sh", file)

const stamp = new Date().toISOString().replaceAll(/[-:]|\..*$/g, "").replace("T", "-")
const runId = `m24-evidence-${stamp}`
const reports = "tasks/reports"
const store = `.tau/evidence/${runId}/store.sqlite`

const ask = (kind, prompt, id, out) =>
  tau(
    "benchmark",
    "run",
    "--suite",
    "examples/suites/grade-school-math-v1.json",
    "--model",
    "sim/examples/data/gsm8k.simulated.json",
    "--resources",
    `examples/suites/prompts/${prompt}.txt`,
    "--episodes",
    "120",
    "--seed",
    "7",
    "--temperature",
    "1",
    "--report-kind",
    kind,
    "--run-id",
    id,
    "--store",
    store,
    "--out",
    out
  )

/** Compares, proves, validates, publishes. Answers the verdict that the proof holds. */
const prove = (id, folder, baseline, trained) => {
  const significance = `${folder}/m24-benchmark-significance.json`
  const proof = `${folder}/m24-benchmark-proof-${id}.json`
  tau(
    "benchmark",
    "significance",
    "--baseline",
    baseline,
    "--trained",
    trained,
    "--min-reward-delta",
    "0.02",
    "--out",
    significance
  )
  tau(
    "benchmark",
    "stability",
    "--baseline",
    baseline,
    "--trained",
    trained,
    "--out",
    `${folder}/m24-benchmark-stability.json`
  )
  tau(
    "benchmark",
    "proof",
    "--run-id",
    id,
    "--baseline",
    baseline,
    "--trained",
    trained,
    "--significance",
    significance,
    "--out",
    proof
  )
  const made = [baseline, trained, significance, `${folder}/m24-benchmark-summary.json`]
  for (const file of made) reportOk(file)
  proofOk(proof)
  tau("benchmark", "publish", ...made)
  for (const kind of ["baseline", "trained", "significance", "summary"]) {
    reportOk(`.tau/reports/m24/${id}/m24-benchmark-report-${kind}.json`)
  }
  return JSON.parse(readFileSync(join(root, proof), "utf8")).significance.pass
}

const baseline = `${reports}/m24-benchmark-baseline.json`
const trained = `${reports}/m24-benchmark-trained.json`
ask("baseline", "baseline", runId, baseline)
ask("trained", "trained", runId, trained)
const good = prove(runId, reports, baseline, trained)

// The same for a prompt that makes the agent worse.
const badId = `${runId}-bad`
const badFolder = `${reports}/bad-candidate`
ask("baseline", "baseline", badId, `${badFolder}/m24-benchmark-baseline.json`)
ask("trained", "bad", badId, `${badFolder}/m24-benchmark-trained.json`)
const bad = prove(
  badId,
  badFolder,
  `${badFolder}/m24-benchmark-baseline.json`,
  `${badFolder}/m24-benchmark-trained.json`
)

// The recovery that all of the above relies on: a run killed and resumed, with the playbook of what was observed.
const drillId = `m24-recovery-${stamp}`
const playbook = `${reports}/m24-resume-after-crash-playbook-${drillId}.json`
tau(
  "drill",
  "--kills",
  "5",
  "--seed",
  "7",
  "--run-id",
  drillId,
  "--state-dir",
  `.tau/evidence/${runId}/drill`,
  "--artifact",
  playbook
)
validate("validate-m24-rl-resume-after-crash-playbook.sh", playbook)

console.log("\n$ scripts/dev/m22-compatibility-alias-validation.sh")
run(join(root, "scripts/dev/m22-compatibility-alias-validation.sh"), [
  "--repo-root",
  ".",
  "--output-json",
  `${reports}/m22-compatibility-alias-validation.json`,
  "--output-md",
  `${reports}/m22-compatibility-alias-validation.md`,
  "--quiet"
])
tau("benchmark", "archive", "--dry-run")
tau("benchmark", "purge", "--dry-run")

console.log(
  `\nthe better prompt: pass=${good}; the worse one: pass=${bad}. The artifacts are in ${reports} and .tau/reports.`
)
if (!good || bad) {
  console.error("evidence: the verdicts are not what they must be")
  process.exit(1)
}
