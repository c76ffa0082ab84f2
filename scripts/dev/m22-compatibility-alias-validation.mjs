// The checks behind m22-compatibility-alias-validation.sh. Each runs the `tau` of the given repository as a child process,
// with arguments that end in a usage error: what is compared is how the command reads them, and nothing is written.
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { parseArgs } from "node:util"

const usage = "usage: m22-compatibility-alias-validation.sh --repo-root DIR --output-json FILE --output-md FILE "
  + "[--generated-at ISO-8601] [--quiet]"

const stop = (message) => {
  console.error(`${message}\n${usage}`)
  process.exit(2)
}

const text = { type: "string" }
const readOptions = () => {
  try {
    return parseArgs({
      options: {
        "repo-root": text,
        "output-json": text,
        "output-md": text,
        "generated-at": text,
        quiet: { type: "boolean", default: false }
      }
    }).values
  } catch (error) {
    return stop(error.message)
  }
}
const options = readOptions()
for (const name of ["repo-root", "output-json", "output-md"]) if (!options[name]) stop(`--${name} is required`)
const root = options["repo-root"]
const main = join(root, "dist/cli/main.js")
if (!existsSync(main)) stop(`${main} does not exist; run \`npm run build\` in the repository first`)
const generatedAt = options["generated-at"] ?? new Date().toISOString().replace(/\.\d+Z$/, "Z")
if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(generatedAt) || Number.isNaN(Date.parse(generatedAt))) {
  stop(`--generated-at: expected a time such as 2026-01-31T12:00:00Z, found ${JSON.stringify(generatedAt)}`)
}

const missing = join(root, "no-such-config.json")
/** Old name, current name, a value for it, and flags that bring the value to where a mistake is reported. */
const aliases = [
  ["train-config", "prompt-optimization-config", missing, ["--model", "openai/gpt-4o-mini"]],
  ["train-store-sqlite", "prompt-optimization-store-sqlite", "store.sqlite", []],
  ["train-json", "prompt-optimization-json", undefined, []],
  ["training-proxy-server", "prompt-optimization-proxy-server", undefined, []],
  ["training-proxy-bind", "prompt-optimization-proxy-bind", "no-port", "capture"],
  ["training-proxy-upstream-url", "prompt-optimization-proxy-upstream-url", "ftp://127.0.0.1", "capture"],
  ["training-proxy-state-dir", "prompt-optimization-proxy-state-dir", "state", []],
  ["training-proxy-timeout-ms", "prompt-optimization-proxy-timeout-ms", "0", "capture"]
].map(([old, current, value, others]) => ({
  old,
  current,
  value,
  others: others === "capture" ? ["--prompt-optimization-proxy-server", "--model", "openai/gpt-4o-mini"] : others,
  warning: `deprecated CLI alias '--${old}' detected; use '--${current}' instead.\n`
}))

/** Variables of the caller would change what the command says. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(TAU|OPENAI)_/.test(name)))
const tau = (args) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    env,
    encoding: "utf8",
    timeout: 60_000
  })
  return { status, stdout, stderr }
}
const shown = (args) => ["tau", ...args].map((arg) => (/^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg}'`)).join(" ")

const excerptMax = 2000
const commands = []
const check = (name, cmd, passed, seen) =>
  commands.push({ name, cmd, status: passed ? "pass" : "fail", stdout_excerpt: seen.slice(0, excerptMax) })

/** The old name must do what the current one does: same exit code, same stdout, and stderr after the warning. */
const checkForm = (name, alias, written) => {
  const args = [...alias.others, ...written(alias.old)]
  const asked = tau(args)
  const reference = tau([...alias.others, ...written(alias.current)])
  const same = asked.status === 2 && reference.status === 2 && asked.stdout === reference.stdout
    && asked.stderr === alias.warning + reference.stderr
  check(name, shown(args), same, asked.stdout + asked.stderr)
}

for (const alias of aliases) {
  const { old, value } = alias
  checkForm(`alias_${old}_separate`, alias, (flag) => value === undefined ? [`--${flag}`] : [`--${flag}`, value])
  checkForm(`alias_${old}_joined`, alias, (flag) => [`--${flag}=${value ?? "true"}`])
}

const all = [...aliases.map(({ old, value }) => `--${old}${value === undefined ? "" : `=${value}`}`), "--train-json"]
const snapshot = tau(all)
const warnings = [...aliases.map(({ warning }) => warning), aliases.find(({ old }) => old === "train-json").warning]
  .join("")
check(
  "warning_snapshot",
  shown(all),
  snapshot.status === 2 && snapshot.stdout === "" && snapshot.stderr.startsWith(`${warnings}tau: `),
  snapshot.stdout + snapshot.stderr
)

for (const flag of ["--train-unknown", "--training-proxy-unknown=1"]) {
  const refused = tau([flag])
  const closed = refused.status === 2 && refused.stdout === "" && /^tau: unknown flag [^\n]*\n$/.test(refused.stderr)
  check(
    `unknown_flag_fails_closed_${flag.slice(2).split("=")[0]}`,
    shown([flag]),
    closed,
    refused.stdout + refused.stderr
  )
}

const page = join(root, "docs/cli.md")
const documentation = existsSync(page) ? readFileSync(page, "utf8") : ""
for (const { current, old } of aliases) {
  const lines = documentation.split("\n").filter((line) =>
    line.includes(`--${old}\``) && line.includes(`--${current}\``)
  )
  check(`docs_mention_${old}`, `grep -- --${old} docs/cli.md`, lines.length > 0, lines.join("\n"))
}

const failed = commands.filter(({ status }) => status === "fail").length
const summary = { total: commands.length, passed: commands.length - failed, failed }
const report = { schema_version: 1, generated_at: generatedAt, repo_root: root, commands, summary }

const cell = (value) => value.trim().replaceAll("\\", "\\\\").replaceAll("|", "\\|").replaceAll(/\s*\n\s*/g, "<br>")
const markdown = `# Compatibility of the old flag names

Generated at ${generatedAt} for \`${root}\`: ${summary.total} checks, ${summary.passed} passed, ${summary.failed} failed.

| name | command | status | output |
| --- | --- | --- | --- |
${
  commands.map(({ cmd, name, status, stdout_excerpt }) =>
    `| ${name} | \`${cell(cmd)}\` | ${status} | ${cell(stdout_excerpt)} |`
  ).join("\n")
}
`

const write = (file, content) => {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, content)
}
write(options["output-json"], JSON.stringify(report, null, 2) + "\n")
write(options["output-md"], markdown)
if (!options.quiet) {
  for (const { name, status } of commands) console.log(`${status} - ${name}`)
  console.log(`${summary.passed} of ${summary.total} passed`)
}
process.exit(failed === 0 ? 0 : 1)
