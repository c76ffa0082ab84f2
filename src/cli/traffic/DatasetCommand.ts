import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { lstatSync, type Stats } from "node:fs"
import { join, relative, resolve } from "node:path"
import { shellWord } from "../../domain/CommandText.js"
import { counted } from "../../domain/Figures.js"
import { fileTrouble } from "../../domain/FileTrouble.js"
import { escapeResources } from "../../domain/Template.js"
import { visible, wrapped } from "../../domain/TerminalText.js"
import { GenAi } from "../../openai/GenAi.js"
import { validateMin } from "../../optimizer/Split.js"
import { irregular } from "../../runtime/DurableFile.js"
import { type SpanFilter, SpanStore } from "../../store/SpanStore.js"
import { putInPlace } from "../ArtifactFiles.js"
import { CommandFailed } from "../CliError.js"
import { checkConfig, configBytesMax } from "../ConfigFile.js"
import { everyPage, printJson, reading } from "../reading/reading.js"
import { columns, print } from "../reading/Terminal.js"
import { isBuiltIn } from "../SimulatedUpstream.js"
import { type Dataset, type DatasetExample, datasetOf, type DatasetRules, fractionFor } from "./Dataset.js"
import { type Component, discover, type Discovery } from "./Discovery.js"
import { addTo, firstCallOf, isOfSession, onlyCallsOf, sessionsWith } from "./SessionCalls.js"
import { type Session, Sessions } from "./Sessions.js"
import { type StableText, StableTexts } from "./StableTexts.js"

export interface DatasetMode {
  readonly storePath: string
  readonly json: boolean
  readonly filter: SpanFilter
  readonly rules: DatasetRules
  /** What the system message of a session holds: one agent's of several. Null for all. */
  readonly system: string | null
  readonly out: string
  readonly force: boolean
  /** Field of an example that holds the answer: `expected` is scored against, `reference` is there for scorers that want it. */
  readonly answer: "expected" | "reference"
  /** The agent; null where the model alone is asked. */
  readonly command: ReadonlyArray<string> | null
}

/** Texts that become components of the config. */
const componentsMax = 50

export const run = (mode: DatasetMode) =>
  reading(
    mode.storePath,
    Effect.gen(function*() {
      const files = { dataset: join(mode.out, "dataset.jsonl"), config: join(mode.out, "config.json") }
      yield* refuseToOverwrite(Object.values(files), mode)
      const { filter, isOpenAi, sessions } = yield* chosenSessions(mode)
      const dataset = datasetOf(sessions, mode.rules)
      if (dataset.examples.length === 0) {
        const hint = sessions.length === 0 && mode.filter.captured ? " (--run takes the calls of a run)" : ""
        return yield* new CommandFailed({
          detail: `none of ${sessions.length} ${mode.filter.captured ? "captured " : ""}sessions in ` +
            `${visible(mode.storePath)} gives an example${skippedText(dataset)}${hint}; nothing was written`
        })
      }
      const own = new Set(sessions.flatMap(({ spanIds }) => spanIds))
      const discovery = yield* discover(filter, componentsMax, ({ spanId }) => own.has(spanId))
      const agents = agentsOf(sessions)
      const config = configOf(mode, dataset.examples, discovery)
      const text = `${JSON.stringify(config, null, 2)}\n`
      const problem = problemOf(text)
      if (problem !== null) return yield* new CommandFailed({ detail: `${problem}; nothing was written` })
      yield* putInPlace(
        files.dataset,
        dataset.examples.map((example) => `${JSON.stringify(lineOf(mode, example))}\n`).join("")
      )
      yield* putInPlace(files.config, text)
      const count = (split: DatasetExample["split"]) =>
        dataset.examples.filter((example) => example.split === split).length
      const told: Told = {
        sessions: sessions.length,
        optimize: count("optimize"),
        validate: count("validate"),
        components: Object.keys(config.resources ?? {})
      }
      const { fraction, seed } = mode.rules
      // Who wants no validation at all says so.
      const enough = fraction === 0 || told.validate >= validateMin
        ? null
        : fractionFor(dataset.examples, seed, validateMin)
      if (mode.json) {
        return yield* printJson({
          store_path: mode.storePath,
          ...told,
          skipped: dataset.skipped,
          agents: agents.map(({ calls, text }) => ({ sessions: calls, system: text })),
          dataset_path: files.dataset,
          config_path: files.config
        })
      }
      return yield* print(
        writtenText(
          { ...told, fractionEnough: enough },
          files,
          skippedText(dataset),
          agents,
          mode.command === null ? [] : discovery.texts.filter(({ isRedacted }) => isRedacted),
          modelRefOf(modelOf(dataset.examples), isOpenAi)
        )
      )
    })
  )

/** Before either is written: the one without the other, or with that of another dataset, is none. */
const refuseToOverwrite = (files: ReadonlyArray<string>, { force, out }: DatasetMode) =>
  Effect.gen(function*() {
    const inTheWay: Array<string> = []
    for (const file of files) {
      const place = yield* placeAt(file, out)
      if (place === undefined) continue
      // A file is replaced, and so is a link, not what it leads to.
      if (!place.isFile() && !place.isSymbolicLink()) {
        const what = place.isDirectory() ? fileTrouble({ code: "EISDIR", message: "" }) : irregular
        return yield* new CommandFailed({ detail: `${visible(file)}: ${what}; nothing was written` })
      }
      inTheWay.push(file)
    }
    if (inTheWay.length === 0 || force) return
    yield* new CommandFailed({
      detail: `${inTheWay.map(visible).join(" and ")} would be overwritten; nothing was written ` +
        "(--force overwrites, --out names another folder)"
    })
  })

const placeAt = (file: string, folder: string): Effect.Effect<Stats | undefined, CommandFailed> =>
  Effect.try({
    try: () => lstatSync(file, { throwIfNoEntry: false }),
    catch: (error) =>
      new CommandFailed({
        detail: `${visible(folder)}: ${fileTrouble(error as NodeJS.ErrnoException)}; nothing was written`
      })
  })

/** Those of the one agent that `system` names, where it names one. */
const chosenSessions = ({ filter, system }: DatasetMode) =>
  Effect.gen(function*() {
    const found = yield* sessionsOf(filter)
    const all = found.sessions
    if (system === null) return found
    const sessions = all.filter(({ instructions }) => instructions.includes(system))
    if (all.length > 0 && sessions.length === 0) {
      return yield* new CommandFailed({
        detail:
          `none of ${counted(all.length, "session")} has ${JSON.stringify(visible(system))} in its system message; ` +
          `they have ${agentsOf(all).slice(0, 5).map((one) => `"${beginningOf(one)}" (${one.calls})`).join(", ")}`
      })
    }
    return { ...found, sessions }
  })

interface Told {
  readonly sessions: number
  readonly optimize: number
  readonly validate: number
  readonly components: ReadonlyArray<string>
}

const writtenText = (
  { components, fractionEnough, optimize, sessions, validate }: Told & { readonly fractionEnough: number | null },
  files: { readonly dataset: string; readonly config: string },
  skipped: string,
  agents: ReadonlyArray<StableText>,
  secretive: ReadonlyArray<Component>,
  model: string
): ReadonlyArray<string> => [
  ...wrapped(
    `${counted(optimize, "example")} to optimize on and ${validate} to validate on, of ${
      counted(sessions, "session")
    }${skipped}.`,
    columns
  ),
  ...(fractionEnough === null ? [] : wrapped(
    `A search has no gate with fewer than ${validateMin} to validate on: --fraction ${fractionEnough} does.`,
    columns
  )),
  ...(components.length === 0
    ? ["The agent gave no text that could be a component."]
    : [`Components: ${components.map(visible).join(", ")}`]),
  ...(secretive.length === 0 ? [] : wrapped(
    `A secret was taken out of ${
      secretive.map(({ component, place, tool }) => visible(component ?? tool ?? place)).join(", ")
    } before it was stored: only what is certain of a text is replaced, and of a tool's nothing.`,
    columns
  )),
  ...(agents.length < 2 ? [] : [
    "These look like several agents, by their system messages. --system TEXT takes the sessions of one:",
    ...agentsTable(agents),
    "If they are prompts of one agent, name an attempt for each task, and record anew: see docs/datasets.md"
  ]),
  `Written: ${visible(files.dataset)}, ${visible(files.config)}`,
  `To run it: tau --model ${shellWord(model)} --prompt-optimization-config ${shellWord(files.config)}`
]

/** What fewer sessions begin with is no agent of its own. */
const agentShareMin = 0.05
const agentCharsMax = 60

/** Whose sessions these are: the system messages they begin with, forms of one as one, the most frequent first. */
const agentsOf = (sessions: ReadonlyArray<Session>): ReadonlyArray<StableText> => {
  const stable = new StableTexts()
  for (const { instructions } of sessions) stable.add([{ place: "system", tool: null, text: instructions }])
  return stable.found().filter(({ share }) => share >= agentShareMin)
}

const agentsTable = (agents: ReadonlyArray<StableText>): ReadonlyArray<string> => {
  const width = String(agents[0]?.calls).length
  return agents.slice(0, 10).map((one) => {
    const shown = beginningOf(one)
    return `  ${String(one.calls).padStart(width)}  ${shown === "" ? "(none)" : shown}`
  })
}

const beginningOf = ({ text }: StableText): string => {
  const line = visible(text.replaceAll(/\s+/g, " ").trim())
  return line.length > agentCharsMax ? `${line.slice(0, agentCharsMax)}…` : line
}

/** All of them, or the one that is asked for: which calls are of one that no agent named is seen only among all. */
const sessionsOf = (filter: SpanFilter) =>
  Effect.gen(function*() {
    const spans = yield* SpanStore
    const first = Option.getOrNull(yield* firstCallOf(filter.session))
    const looked = first === null ? filter : { ...filter, session: null }
    const sessions = new Sessions()
    let isOpenAi = true
    yield* everyPage(
      (request) => spans.list({ ...looked, kind: "llm", role: "main" }, { ...request, order: "oldest" }),
      (calls) => {
        isOpenAi &&= calls.filter(isOfSession).every(({ attributes }) => attributes[GenAi.providerName] === "openai")
        return addTo(sessions, calls)
      }
    )
    const chosen = first === null ? sessions.all : sessionsWith(first.spanId, sessions)
    return { sessions: chosen, isOpenAi, filter: first === null ? filter : onlyCallsOf(filter, chosen) }
  })

const exampleOf = ({ answer }: DatasetMode, example: DatasetExample) => ({
  prompt: example.prompt,
  [answer]: example.answer
})

const lineOf = (mode: DatasetMode, example: DatasetExample) => ({
  ...exampleOf(mode, example),
  split: example.split,
  session: example.session,
  span_id: example.spanId,
  model: example.model
})

/** A whole hour, and for many examples longer: a run that waits for its rollouts is not what should end it. */
const completionSecsMin = 3_600
const completionSecsPerExample = 60

const configOf = (mode: DatasetMode, examples: ReadonlyArray<DatasetExample>, discovery: Discovery) => {
  const of = (split: DatasetExample["split"]) =>
    examples.filter((example) => example.split === split).map((example) => exampleOf(mode, example))
  return {
    optimize: of("optimize"),
    validate: of("validate"),
    ...(mode.command === null ? asPrompt(discovery) : asAgent(mode.command, mode.out, discovery)),
    ...(mode.answer === "expected" && { scoring: [{ kind: scorerFor(examples) }] }),
    completion_timeout_secs: Math.max(completionSecsMin, completionSecsPerExample * examples.length)
  }
}

type Setting = {
  readonly resources?: Readonly<Record<string, string>>
  readonly rewrite?: Discovery["rewrite"]
  readonly executor: object
}

/**
 * The model is asked directly: there is no agent whose requests could be rewritten, and no tool it could use. What looks like a
 * placeholder was text to the agent.
 */
const asPrompt = ({ texts }: Discovery): Setting => {
  const prompt = texts.find(({ place }) => place !== "tool_description")
  return {
    ...(prompt !== undefined && { resources: { system_prompt: escapeResources(prompt.text) } }),
    executor: { kind: "chat" }
  }
}

const asAgent = (command: ReadonlyArray<string>, out: string, { resources, rewrite }: Discovery): Setting => ({
  ...(rewrite.length > 0 && { resources, rewrite }),
  // Paths in the command are meant from where it was typed.
  executor: { kind: "command", command, cwd: relative(resolve(out), process.cwd()) || "." }
})

const scorerFor = (examples: ReadonlyArray<DatasetExample>): "numeric" | "exact_match" =>
  examples.every(({ answer }) => /^-?\d+(\.\d+)?$/.test(answer)) ? "numeric" : "exact_match"

const problemOf = (text: string): string | null => {
  const bytes = Buffer.byteLength(text)
  if (bytes > configBytesMax) {
    return `the config would have ${bytes} bytes, more than the ${configBytesMax} that a run reads; give a lower --limit`
  }
  const checked = checkConfig(text)
  if (checked._tag === "valid") return null
  const [first] = checked.problems
  return `the config cannot be run: ${first?.path}: ${first?.text}`
}

const modelOf = (examples: ReadonlyArray<DatasetExample>): string | null => {
  const counts = new Map<string, number>()
  for (const { model } of examples) if (model !== null) counts.set(model, (counts.get(model) ?? 0) + 1)
  return [...counts].toSorted(([, a], [, b]) => b - a)[0]?.[0] ?? null
}

/**
 * As `--model` wants it. The simulated models are the only ones whose own names say who serves them; one that a file of answers
 * describes is asked for by that file.
 */
const modelRefOf = (model: string | null, isOpenAi: boolean): string => {
  if (model?.startsWith("sim/") !== true) return `${isOpenAi ? "openai" : "PROVIDER"}/${model ?? "MODEL"}`
  return isBuiltIn(model.slice("sim/".length)) ? model : "sim/ANSWERS.json"
}

const reasons: Readonly<Record<keyof Dataset["skipped"], string>> = {
  no_input: "without a user's words",
  no_answer: "without an answer in words",
  impaired: "redacted or not recorded whole",
  short: "too short",
  duplicate: "asked again",
  beyond_limit: "beyond the limit"
}

const skippedText = ({ skipped }: Dataset): string => {
  const parts = Object.entries(reasons).flatMap(([reason, text]) => {
    const count = skipped[reason as keyof Dataset["skipped"]]
    return count === 0 ? [] : [`${count} ${text}`]
  })
  return parts.length === 0 ? "" : ` (left out: ${parts.join(", ")})`
}
