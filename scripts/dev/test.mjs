// Every check a change must pass, one after the other; `npm test` and `.ci/run` run exactly this. All steps run even when
// one fails, so that one run tells everything there is to mend. The closing line counts steps and tests together.
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const scratch = mkdtempSync(join(tmpdir(), "tau-test-"))
const report = join(scratch, "vitest.json")
let passed = 0
let failed = 0

const run = (title, command, args) => {
  console.log(`\n— ${title}: ${command} ${args.join(" ")}`)
  return spawnSync(command, args, { stdio: "inherit", env: { ...process.env, NO_COLOR: "1" } }).status === 0
}

const steps = [
  ["build", "npm", ["run", "--silent", "build"]],
  ["types", "npm", ["run", "--silent", "typecheck"]],
  ["lint", "npm", ["run", "--silent", "lint"]],
  ["format", "npm", ["run", "--silent", "format"]],
  ["who imports whom, dead code", "npm", ["run", "--silent", "deps"]],
  ["lock file", "npm", ["run", "--silent", "lock"]],
  ["package", "npm", ["run", "--silent", "package"]]
]
for (const [title, command, args] of steps) {
  if (run(title, command, args)) passed += 1
  else {
    failed += 1
    console.error(`✗ ${title} failed`)
  }
}

const green = run("tests", "npx", [
  "vitest",
  "run",
  "--reporter=default",
  "--reporter=json",
  `--outputFile.json=${report}`
])
try {
  const { numFailedTests, numPassedTests } = JSON.parse(readFileSync(report, "utf8"))
  passed += numPassedTests
  failed += numFailedTests
  // A file that cannot be loaded has no test that could fail.
  if (!green && numFailedTests === 0) failed += 1
} catch {
  failed += 1
}
rmSync(scratch, { recursive: true, force: true })

console.log(`\n${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
