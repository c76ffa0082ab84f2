// Every check a change must pass; `npm test` and `.ci/run` run exactly this. All steps run even when one fails, so that one
// run tells everything there is to mend. The closing line counts steps and tests together.
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const scratch = mkdtempSync(join(tmpdir(), "tau-test-"))
const report = join(scratch, "vitest.json")
let passed = 0
let failed = 0

const script = (name) => ["npm", ["run", "--silent", name]]
const lineOf = (title, [command, args]) => `\n— ${title}: ${command} ${args.join(" ")}`

/** Whether the command succeeded, and what it printed if that was not shown while it ran. */
const run = ([command, args], stdio) =>
  new Promise((resolve) => {
    const output = []
    const child = spawn(command, args, { stdio, env: { ...process.env, NO_COLOR: "1", TAU_TEST_BUILT: "1" } })
    child.stdout?.on("data", (chunk) => output.push(chunk))
    child.stderr?.on("data", (chunk) => output.push(chunk))
    child.on("error", (error) => output.push(Buffer.from(`${error.message}\n`)))
    child.on("close", (code) => resolve({ isGreen: code === 0, output: Buffer.concat(output) }))
  })

const count = (title, isGreen) => {
  if (isGreen) passed += 1
  else {
    failed += 1
    console.error(`✗ ${title} failed`)
  }
}

const shown = async (title, command) => {
  console.log(lineOf(title, command))
  const { isGreen } = await run(command, "inherit")
  return isGreen
}

/** One after the other, each told at its end: two such rows of steps run side by side. */
const row = async (steps) => {
  for (const [title, command] of steps) {
    const { isGreen, output } = await run(command, ["ignore", "pipe", "pipe"])
    console.log(lineOf(title, command))
    process.stdout.write(output)
    count(title, isGreen)
  }
}

count("build", await shown("build", script("build")))
await Promise.all([
  row([["types", script("typecheck")]]),
  row([
    ["lint", script("lint")],
    ["format", script("format")],
    ["who imports whom, dead code", script("deps")],
    ["lock file", script("lock")],
    ["package", script("package")]
  ])
])

const green = await shown("tests", [
  "npx",
  ["vitest", "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`]
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
