// Writes docs/cli.md and docs/configuration.md from the built program, so that they cannot say anything else than it does.
// Run after `npm run build`. With --check it only compares, and fails when a page is not what the program would write.
import * as Schema from "effect/Schema"
import { readFileSync, writeFileSync } from "node:fs"
import { commands } from "../../dist/cli/commands.js"
import { configBytesMax, problemsMax } from "../../dist/cli/ConfigFile.js"
import { expectation } from "../../dist/cli/ConfigShape.js"
import { ExitCode } from "../../dist/cli/ExitCode.js"
import { aliases, rootFlags, variableOf } from "../../dist/cli/flags.js"
import { providers } from "../../dist/cli/Providers.js"
import { openApiDocument } from "../../dist/dashboard/OpenApiDocument.js"
import { controlVerbs } from "../../dist/domain/Lifecycle.js"
import { GateConfig, OptimizerConfig } from "../../dist/domain/OptimizerConfig.js"
import { RewriteRule, RewriteWhere } from "../../dist/domain/Rewrite.js"
import { ExecutorConfig, ResumeConfig, RunConfig, ScorerConfig } from "../../dist/domain/RunConfig.js"

const code = (text) => `\`${text}\``
const codes = (texts) => texts.map(code).join(", ")

/** A Markdown table with columns of even width, as the formatter wants it. */
const table = (head, rows) => {
  const widths = head.map((title, column) => Math.max(3, title.length, ...rows.map((row) => row[column].length)))
  const line = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n")
}

const generated = "<!-- Made by scripts/dev/docs.mjs from the program. Change the program, then run the script. -->"

const kinds = {
  switch: "switch",
  path: "path",
  text: "text",
  url: "http or https URL",
  bind: "host:port",
  model: "provider/model",
  limits: "name=number, ...",
  time: "date or age"
}
const kindOf = ({ placeholder, value }) =>
  value.kind === "choice"
    ? codes(placeholder.split("|"))
    : !["integer", "number"].includes(value.kind)
    ? kinds[value.kind]
    : value.max === Number.MAX_SAFE_INTEGER
    ? `${value.kind} >= ${value.min}`
    : `${value.kind}, ${value.min} to ${value.max}`

const flagTable = (flags) =>
  table(
    ["flag", "value", "default", "variable", "meaning"],
    flags.map((flag) => [
      code(`--${flag.name}`),
      kindOf(flag),
      flag.default === undefined ? "" : code(flag.default),
      code(variableOf(flag)),
      flag.description
    ])
  )
/** What a command's own help says. */
const commandSection = ({ description, examples, flags, name, usage }) =>
  `### tau ${name}

\`\`\`
${[...new Set([usage, ...examples])].join("\n")}
\`\`\`

${description}

${flagTable(flags)}`
const flagsOf = (...modes) => flagTable(rootFlags.filter((flag) => flag.modes.join() === modes.join()))

const cli = `${generated}

# The command line

\`tau\` has three modes that flags choose, and commands that the first argument chooses. One call uses one of them.

${
  table(["mode", "chosen by", "it ends"], [
    ["optimize", code("--prompt-optimization-config"), "when the run is over"],
    ["capture", code("--prompt-optimization-proxy-server"), "on SIGINT or SIGTERM, with success"],
    ["control", `one of the ${code("--prompt-optimization-control-")} verbs`, "at once"],
    ...commands.map(({ name, untilStopped }) => [
      name,
      code(`tau ${name}`),
      untilStopped ? "on SIGINT or SIGTERM, with success" : "when it has answered"
    ])
  ])
}

\`tau --help\`, \`tau <command> --help\` and \`tau --version\` answer anywhere and do nothing else; \`tau help [command]\` and
\`tau version\` are the same. A call without a mode prints the help on stderr and exits with ${ExitCode.usage}.

## Flags

### Optimize

${flagsOf("optimize")}

\`--model\` is required here.

### Capture

${flagsOf("proxy")}

An upstream is required here: the flag below, \`OPENAI_BASE_URL\`, or the provider of \`--model\`.

### The proxy, of a capture or of an optimization

${flagsOf("proxy", "optimize")}

The proxy of an optimization listens on a free port of 127.0.0.1 unless told otherwise. IPv6 addresses are written in
brackets: \`[::1]:8788\`.

### Control

${flagsOf("control")}

The verbs are ${codes(controlVerbs)}; a call has exactly one.

### Every mode above

${flagsOf("optimize", "proxy", "control")}

## Commands

${commands.map(commandSection).join("\n\n")}

## How arguments are read

- \`--flag value\` and \`--flag=value\` mean the same. A separate value never starts with a dash, so a forgotten value cannot
  swallow the next flag; write \`--flag=-value\` when a value does start with one.
- A switch is on when it is there. \`--switch=true\` and \`--switch=false\` say so explicitly, with the words of a variable.
- Each flag may be given once. Unknown flags and stray arguments are mistakes; nothing is ignored.
- Modes do not mix, and a flag that needs another mode than the one in use is a mistake.
- A mistake is one line on stderr and exit code ${ExitCode.usage}.

## Variables

Each flag can come from its variable instead; a flag beats its variable. Only variables of the mode in use are looked at. The
variables that choose a mode count when no flag does. An empty variable counts as not set. For switches \`1\`, \`true\`, \`yes\` and
\`on\` are on, \`0\`, \`false\`, \`no\`, \`off\` and nothing are off, anything else is a mistake.

## Old names

Still accepted, in both forms, up to \`--\`. Each use prints a line on stderr, in the order of the arguments:
\`deprecated CLI alias '<alias>' detected; use '<canonical>' instead.\` Whole arguments are rewritten before anything else is
read. What is joined to a flag by \`=\` is its value and stays as it is, also when it looks like an old name; an argument of its own
that looks like one is a flag, never the value of the flag before it.

${table(["old name", "flag"], [...aliases].map(([old, current]) => [code(`--${old}`), code(`--${current}`)]))}

## Providers

What comes before the first slash of \`--model\`. Model calls go to the first of these that is given: the flag
\`--prompt-optimization-proxy-upstream-url\`, the config's \`upstream_url\`, \`OPENAI_BASE_URL\`, the address below. A base URL may end
in \`/v1\` or not; another path takes the place of \`/v1\`. The key is read from the provider's variable and stays in the proxy; when
\`OPENAI_BASE_URL\` decides, it is \`OPENAI_API_KEY\`, so that no other provider's key goes there. \`OPENAI_BASE_URL\` does not count for
\`sim\`, which promises to need no network.

${
  table(
    ["provider", "base URL", "key"],
    providers.map(({ name, baseUrl, keyVariable }) => [
      code(name),
      baseUrl === undefined ? "simulated, inside the process" : code(baseUrl),
      keyVariable === undefined ? "none" : code(keyVariable)
    ])
  )
}

## Exit codes

${
  table(["code", "meaning"], [
    [String(ExitCode.success), "success"],
    [String(ExitCode.failure), "the command was understood and could not be carried out"],
    [String(ExitCode.usage), "a mistake in the command line, a variable or the config; nothing was written"]
  ])
}

Answers go to stdout, everything else to stderr. A reader that closes stdout early changes neither the work nor the exit code.
`

const typeLiteral = (ast) => (ast._tag === "Transformation" ? ast.from : ast)
const described = (ast) => (ast._tag === "Transformation" ? ast.to : ast)
const descriptionId = Symbol.for("effect/annotation/Description")

const typeOf = (ast) => {
  const text = expectation(ast)
  return text.includes("\"") ? text.replaceAll(/"([^"]*)"/g, (_, word) => code(JSON.stringify(word))) : text
}

/** The keys of a struct; `sample` is a smallest valid value of it. */
const keyTable = (schema, ast, sample) => {
  const descriptions = new Map(
    described(ast).propertySignatures.map((key) => [key.name, key.annotations[descriptionId]])
  )
  const defaults = Schema.decodeUnknownSync(schema)(sample)
  const rows = typeLiteral(ast).propertySignatures.map(({ isOptional, name, type }) => {
    if (name === "kind") return undefined
    const preset = isOptional ? (defaults[name] === undefined ? "" : code(JSON.stringify(defaults[name]))) : "required"
    return [code(name), typeOf(type), preset, descriptions.get(name) ?? ""]
  })
  const filled = rows.filter((row) => row !== undefined)
  return filled.length === 0 ? "" : table(["key", "type", "default", "meaning"], filled)
}

const kindTables = (union, title) =>
  union.ast.types.map((ast) => {
    const keys = typeLiteral(ast).propertySignatures
    const kind = keys.find(({ name }) => name === "kind").type.literal
    const has = (key) => keys.some(({ name }) => name === key)
    const sample = {
      kind,
      ...(has("command") && { command: ["true"] }),
      ...(has("url") && { url: "http://localhost" }),
      ...(has("rubric") && { rubric: "It is right." }),
      ...(has("tool") && { tool: "find" })
    }
    return `### ${title} ${code(kind)}\n\n${keyTable(union, ast, sample)}`
  }).join("\n\n")

const example = {
  optimize: [{ prompt: "What is 2 + 2?", expected: "4" }],
  validate: [{ prompt: "What is 3 + 3?", expected: "6" }],
  resources: { system_prompt: "You are a concise assistant." },
  worker_count: 2,
  poll_interval_ms: 50,
  heartbeat_interval_ms: 1000,
  completion_poll_interval_ms: 60,
  completion_timeout_secs: 30
}
Schema.decodeUnknownSync(RunConfig)(example)

/** As a person would write it: what fits goes on one line. */
const pretty = JSON.stringify(example, null, 2)
  .replaceAll(/\{\s+"prompt": (".*?"),\s+"expected": (".*?")\s+\}/g, "{ \"prompt\": $1, \"expected\": $2 }")

const configuration = `${generated}

# The config of a run

The JSON file that \`--prompt-optimization-config\` names. It is one JSON object; at least one of \`optimize\` and \`validate\` holds an
example. This one works as it stands:

\`\`\`json
${pretty}
\`\`\`

An example is any JSON object. By convention \`prompt\` is what the agent is asked and \`expected\` the reference it is scored
against; templates and scorers can name other fields.

Many examples are better in a file of their own: \`"optimize": "train.jsonl"\` reads it, named from the config's folder. A name that ends
in \`.jsonl\` or \`.ndjson\` has an example on each line, any other one JSON array. The examples are part of the config: when they change,
the next start is a new run.

## Keys

${keyTable(RunConfig, RunConfig.ast, {})}

## \`executor\`

${kindTables(ExecutorConfig, "Executor")}

## \`scoring\`

An array of scorers. Their names must differ, and one weight at least must be above 0.

${kindTables(ScorerConfig, "Scorer")}

## \`rewrite\`

An array of rules, for agents that have texts of their own: [rewrite.md](rewrite.md).

${keyTable(RewriteRule, RewriteRule.ast, { component: "system_prompt", where: { kind: "system", equal: "…" } })}

A place has exactly one of \`equal\`, \`containing\` and \`matching\`, or the name of a tool.

${kindTables(RewriteWhere, "Place")}

## \`optimizer\`

${keyTable(OptimizerConfig, OptimizerConfig.ast, {})}

## ${code("gate")}

${keyTable(GateConfig, GateConfig.ast, {})}

How the gate decides: [gate.md](gate.md).

## ${code("resume")}

${keyTable(ResumeConfig, ResumeConfig.ast, {})}

What is replayed, and what is not: [runs.md](runs.md#what-a-dead-attempt-leaves).

## How a config is checked

All of it is checked before anything is written or any model is called. A config that cannot be used ends the command with
exit code ${ExitCode.usage} and one line for each problem, ${problemsMax} at most: the file, the path in the JSON, what was expected, what was found.

\`\`\`text
tau: tau.json: $.scoring[1].weight: expected a weight of 0 or more, found -1
tau: tau.json: $.worker_cuont: unknown key "worker_cuont"; did you mean "worker_count"?
\`\`\`

- The file is a regular file of at most ${
  configBytesMax / 1024 / 1024
} MiB in UTF-8; a byte order mark is accepted, UTF-16 is not.
- The JSON is strict. A syntax error names line and column; a key that appears twice in one object is an error, and so is
  \`__proto__\`.
- \`train\` and \`val\` are old names of \`optimize\` and \`validate\`. Giving both names of one key is an error.
- An unknown key is an error that names the nearest known key, or all of them when none is near.
- Counts and intervals are whole numbers greater than 0.
- A file of examples is read whole, at most 64 MiB; a mistake in it is told with its line.
- The program of a \`command\` and its \`cwd\` are there when a run, or a dry run, begins: a file that may be executed, or a name
  in a directory of \`PATH\`.
- With the executor \`chat\` each example must have what its message needs: the fields that \`user\` names; without \`user\` a \`prompt\`, or
  \`messages\`; and the whole number that \`seed_field\` names. With several examples \`user\` names a field of them.
  A resource named in \`user\`, \`parameters\` or \`tools\` must exist in \`resources\`.
- Each example must have the field that a scorer of \`scoring\` compares with, and in it what the scorer can use: a number for
  \`numeric\`, a text or texts that are not empty for \`contains\`.
- The component of a rule in \`rewrite\` is a text in \`resources\`, or without them in the version in the store that
  the run begins with.
- Regular expressions must compile, those of the examples too when they are the pattern.
- \`upstream_url\` is an http or https URL without user, password, query and fragment. The \`url\` of an executor or scorer \`http\` may
  have a query; its \`headers\` are ones that can be sent and that tau does not write itself.
`

const pageOfApi = ([path, operations]) =>
  Object.entries(operations).map(([method, { parameters, requestBody, responses }]) => {
    const schema = responses["200"].content["application/json"]?.schema
    const nameOf = (found) => found?.$ref?.replace("#/components/schemas/", "")
    const answer = nameOf(schema) ?? (schema === undefined ? "events" : Object.keys(schema.properties ?? {}).join(", "))
    const asked = parameters.map(({ in: place, name }) => place === "path" ? "" : code(name)).filter((name) =>
      name !== ""
    )
    if (requestBody !== undefined) asked.push(nameOf(requestBody.content["application/json"].schema) ?? "a body")
    const problems = Object.keys(responses).filter((status) =>
      !["200", "400", "401", "403", "404", "405"].includes(status)
    )
    return [code(`${method.toUpperCase()} ${path}`), asked.join(", "), answer || "JSON", problems.join(" ")]
  })

const fieldTables = Object.entries(openApiDocument().components.schemas)
  .filter(([, schema]) =>
    schema.type === "object" && schema.properties !== undefined && schema.properties.error === undefined
  )
  .map(([name, { properties }]) => `- ${code(name)}: ${codes(Object.keys(properties))}`).join("\n")

const httpApi = `${generated}

# The HTTP API

## The dashboard

Every proxy serves the dashboard of its store under \`/dashboard/\` on its own port, and \`tau dashboard\` serves that of a store at
rest, one that others work on, or one that is not there yet, on \`127.0.0.1:8787\`. On a proxy's port \`/dashboard/\` is taken from the
upstream: an upstream's own pages of that name are reached under the attribution prefix (\`/rollout/<id>/attempt/<id>/dashboard/…\`).
Nothing else is: \`/api/…\` passes upstream as ever, for some model servers speak their own language there. On the port of
\`tau dashboard\`, \`/api/…\` is another name of \`/dashboard/api/…\`. \`GET /dashboard/api/openapi.json\` describes all of it as OpenAPI 3.1;
requests and answers are checked against that same declaration. \`HEAD\` is answered wherever \`GET\` is, save for the stream.
A store that held data and is gone is 503, whatever the status file says; of one that can only be copied
([reading.md](reading.md)), \`tau dashboard\` may be 5 s behind.

A proxy loads its dashboard when it is first asked for: that answer takes a few tenths of a second, and calls under way wait as long,
once. Where its files are gone by then, since tau was replaced beneath the running proxy, it answers 500 \`dashboard_failed\` until
the proxy is started anew.

${
  table(
    ["page", "takes", "answers", "besides 400, 401, 403, 404 and 405"],
    Object.entries(openApiDocument().paths).flatMap(pageOfApi)
  )
}

Every payload has \`schema_version\` 1; those of the dashboard also say when they were made and where training stands.

${fieldTables}

### How a run is judged

- \`health_state\` is \`failing\` when the last three attempts that ended did not succeed (\`failure_streak\`, without those that were
  handed back or cancelled with their run), \`unknown\` when there is neither a run nor a status file, \`degraded\` when the run's process died or seems stuck, its last attempt did not succeed or any of
  its rollouts failed, else \`healthy\`.
- \`rollout_gate\` is \`pass\` only when the state is healthy and nobody paused the run.
- \`last_cycle_failed\` and \`last_cycle_completed\` count the ended rollouts of the run that control verbs are about,
  \`processed_case_count\` those of all runs.
- Without a status file \`training\` tells what the store knows, and \`diagnostics\` says so.
- \`dashboard_healthy\` is the only alert when no other fires.
- The timeline's \`queued\` and \`running\` are of the end of a bucket, the others count what ended within it. At most 20,000 attempts are
  looked at; \`complete\` says whether those were all.

### Actions

\`POST /dashboard/actions\` with \`{"action": "pause", "reason": "…"}\`, or \`resume\` or \`refresh\`. They go the way of the
[control verbs](control.md): the same policy, log and files. A denial is 403 \`dashboard_denied\`, a verb that does not fit the run's
state 409. Where there is no store (any more), \`pause\` and \`resume\` are 503 and make none. Who acts is \`local:<user>\`, or
\`token:dashboard\` where a token is asked for.

### The stream

\`GET /dashboard/stream\` sends \`dashboard.snapshot\` at once and whenever something changed, looked at once a second, and a comment
every 15 s. While the store cannot be read, \`dashboard.unavailable\` with the error of a 503 takes its place, until the next snapshot.
Who comes back with \`Last-Event-ID\` first gets \`dashboard.reset\`: events are not kept, the snapshot replaces them. 256
listeners at most; one that leaves 256 KiB unread is dropped.

### Pages of rows

\`limit\` is 1 to 1000, 20 unless told; \`after\` is the \`next\` of the page before. A page looks at 20,000 rows at most, so that it may end
early: go on while \`next\` is not null. Parameters that are unknown, doubled or out of range are 400.

### Who may ask

- On loopback nobody is asked for a token unless \`TAU_DASHBOARD_TOKEN\` is set; then \`Authorization: Bearer <token>\` is needed
  everywhere. It has at least 16 characters. Off loopback \`tau dashboard\` does not start without it, and a proxy's dashboard answers 401.
- A \`Host\` that is not this machine is answered 421, unless \`tau dashboard --allowed-hosts\`, or a proxy's
  \`--prompt-optimization-proxy-allowed-hosts\`, names it; what pages of other origins send, 403.
- Answers carry a content security policy that allows nothing, \`nosniff\`, \`no-referrer\` and \`no-store\`.
- Errors are \`{"schema_version": 1, "error": {"code", "message"}}\`. What a proxy refuses before it looks at the page, that 421 and 403
  and a 400 for the target, comes in its own shape ([proxy.md](proxy.md#what-the-proxy-itself-answers)).

## The proxy's own pages

\`GET /training/proxy/health\` and \`GET /metrics\`: see [proxy.md](proxy.md).
`

const pages = { "docs/cli.md": cli, "docs/configuration.md": configuration, "docs/http-api.md": httpApi }
const stale = Object.entries(pages).filter(([name, text]) => {
  const file = new URL(`../../${name}`, import.meta.url)
  if (!process.argv.includes("--check")) writeFileSync(file, text)
  return readFileSync(file, "utf8") !== text
})
for (const [name] of stale) console.error(`${name} is not what the program says: run scripts/dev/docs.mjs`)
process.exit(stale.length === 0 ? 0 : 1)
