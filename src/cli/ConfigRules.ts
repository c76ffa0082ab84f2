/** What must hold between the parts of a config that has the right shape. */
import * as Either from "effect/Either"
import { pathOf } from "../domain/JsonText.js"
import { nameProblems } from "../domain/ResourceNames.js"
import type { ResourceValues } from "../domain/Resources.js"
import { type RewriteRule, type RewriteWhere, waysToFind } from "../domain/Rewrite.js"
import type { Example } from "../domain/Rollout.js"
import type { RunConfig, ScorerConfig } from "../domain/RunConfig.js"
import { shown } from "../domain/shown.js"
import { isConstant, render, renderResources } from "../domain/Template.js"
import { ownHeaders } from "../http/PostJson.js"
import { patternProblem } from "../openai/BoundedPatterns.js"
import { parseHttpUrl, parseUpstream } from "../openai/UpstreamUrl.js"
import { contains } from "../scoring/Contains.js"
import { numeric } from "../scoring/Numeric.js"
import type { Problem } from "./ConfigShape.js"
import { mismatch } from "./ConfigShape.js"
import { flagsProblem } from "./flagsProblem.js"
import { modelProblems } from "./ModelRule.js"
import { examplesOf, missingReference, searchProblems } from "./SearchRules.js"
import { nearest } from "./Suggestion.js"

/** `givenOptimizer` are the keys of `optimizer` that stand in the file. */
export const ruleProblems = (config: RunConfig, givenOptimizer: ReadonlyArray<string>): ReadonlyArray<Problem> => [
  ...(config.optimize.length + config.validate.length === 0
    ? [{ path: "$", text: "expected at least one example in \"optimize\" or \"validate\", found none" }]
    : []),
  ...upstreamProblems(config.upstream_url),
  ...scoringProblems(config),
  ...referenceProblems(config),
  ...executorProblems(config),
  ...searchProblems(config, givenOptimizer),
  ...rewriteProblems(config)
]

const upstreamProblems = (url: string | undefined): ReadonlyArray<Problem> => {
  const parsed = url === undefined ? undefined : parseUpstream(url)
  return typeof parsed === "string" ? [{ path: "$.upstream_url", text: parsed }] : []
}

/** Whether a request can be written. Never repeats the value of a header. */
const httpProblems = (
  { headers = {}, url }: { readonly url: string; readonly headers?: Readonly<Record<string, string>> },
  path: string
): ReadonlyArray<Problem> => {
  const parsed = parseHttpUrl(url)
  return [
    ...(typeof parsed === "string" ? [{ path: pathOf(path, "url"), text: parsed }] : []),
    ...Object.entries(headers).flatMap(([name, value]) => {
      const text = headerProblem(name, value)
      return text === undefined ? [] : [{ path: pathOf(pathOf(path, "headers"), name), text }]
    })
  ]
}

const headerProblem = (name: string, value: string): string | undefined => {
  // RFC 9110, sections 5.6.2 and 5.5.
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) return `expected the name of a header, found ${shown(name)}`
  if (ownHeaders.has(name.toLowerCase())) return `expected a header that is not tau's own, found ${shown(name)}`
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
    ? undefined
    : "expected the value of a header, found line breaks or characters outside Latin-1"
}

const scoringProblems = (config: RunConfig): ReadonlyArray<Problem> => {
  const scorers = config.scoring
  if (scorers === undefined) return []
  const firstWith = new Map<string, string>()
  const problems = scorers.flatMap((scorer, index): ReadonlyArray<Problem> => {
    const path = pathOf("$.scoring", index)
    const name = scorer.name ?? scorer.kind
    const first = firstWith.get(name)
    if (first === undefined) firstWith.set(name, path)
    return [
      ...(first === undefined ? [] : [{
        path: pathOf(path, "name"),
        text: `expected a name of its own, found ${shown(name)} as in ${first}; give one of them another "name"`
      }]),
      ...(scorer.kind === "regex" ? regexProblems(scorer, path, config) : []),
      ...(scorer.kind === "http" ? httpProblems(scorer, path) : []),
      ...(scorer.kind === "judge" ? judgeProblems(scorer, path) : [])
    ]
  })
  return scorers.some(({ weight }) => weight > 0)
    ? problems
    : [...problems, { path: "$.scoring", text: "expected at least one weight above 0, found none" }]
}

/** An attempt whose answer cannot be scored fails, which is known before it is paid for. */
const referenceProblems = (config: RunConfig): ReadonlyArray<Problem> => {
  const wanted = (config.scoring ?? []).flatMap((scorer) => {
    const field = referenceOf(scorer)
    return field === undefined ? [] : [{ scorer, field }]
  })
  return examplesOf(config).flatMap(([path, example]): ReadonlyArray<Problem> => {
    const missing = wanted.find(({ field }) => !Object.hasOwn(example, field))
    if (missing !== undefined) return [missingReference(path, missing.field)]
    return wanted.flatMap(({ field, scorer }) => {
      const reference = example[field]
      return isUsable(scorer, reference) ? [] : [mismatch(pathOf(path, field), usable[scorer.kind]!, reference)]
    })
  })
}

/** Whether the scorer could compare any answer with it. */
const isUsable = (scorer: ScorerConfig, reference: unknown): boolean => {
  switch (scorer.kind) {
    case "numeric": {
      const options = { tolerance: scorer.tolerance, thousandsSeparator: scorer.thousands_separator }
      return Either.isRight(numeric("", reference, options))
    }
    case "contains":
      return Either.isRight(contains("", reference, { ignoreCase: scorer.ignore_case }))
    case "regex":
      return typeof reference === "string" && reference !== ""
    default:
      return true
  }
}

const usable: Readonly<Record<string, string>> = {
  numeric: "a number, or a text with a number in it, for the scorer \"numeric\"",
  contains: "a text that is not empty, or a list of such texts, for the scorer \"contains\"",
  regex: "a text that is not empty, the pattern to find, for the scorer \"regex\""
}

/** The field that a scorer reads of each example. What a program or a server reads is their own matter. */
const referenceOf = (scorer: ScorerConfig): string | undefined => {
  switch (scorer.kind) {
    case "command":
    case "http":
      return undefined
    case "regex":
      return scorer.pattern === undefined ? scorer.expected : undefined
    default:
      return scorer.expected
  }
}

const judgeProblems = (
  { model, parameters = {} }: Extract<ScorerConfig, { readonly kind: "judge" }>,
  path: string
): ReadonlyArray<Problem> => [
  ...modelProblems(model, pathOf(path, "model")),
  ...judgeOwnKeys.filter((key) => Object.hasOwn(parameters, key)).map((key) => ({
    path: pathOf(pathOf(path, "parameters"), key),
    text: `expected a parameter that is not tau's own, found ${shown(key)}`
  }))
]

/** What the judge writes into its request itself. */
const judgeOwnKeys = ["model", "messages", "response_format", "stream", "stream_options", "n", "tools"]

const regexProblems = (
  scorer: Extract<ScorerConfig, { readonly kind: "regex" }>,
  path: string,
  config: RunConfig
): ReadonlyArray<Problem> => {
  if (compileError("", scorer.flags) !== undefined) {
    return [mismatch(pathOf(path, "flags"), "flags of a regular expression such as \"i\"", scorer.flags)]
  }
  const patterns = scorer.pattern === undefined
    ? examplesOf(config).map(([at, example]) => [pathOf(at, scorer.expected), example[scorer.expected]] as const)
    : [[pathOf(path, "pattern"), scorer.pattern] as const]
  return patterns.flatMap(([at, pattern]) => {
    const error = typeof pattern === "string" ? compileError(pattern, scorer.flags) : undefined
    return error === undefined
      ? []
      : [{ path: at, text: `expected a regular expression, found ${shown(pattern)} (${error})` }]
  })
}

const compileError = (pattern: string, flags: string): string | undefined => {
  try {
    RegExp(pattern, flags)
    return undefined
  } catch (error) {
    // "Invalid regular expression: /(/: Unterminated group": the end of it is what is new.
    return error instanceof Error ? error.message.slice(error.message.lastIndexOf(": ") + 2) : String(error)
  }
}

/** Whether the executor can be given each example and the resources, which `where` names. */
export const executorProblems = (config: RunConfig, where = "\"resources\""): ReadonlyArray<Problem> => {
  const { executor, resources = {} } = config
  if (executor.kind === "http") return httpProblems(executor, "$.executor")
  if (executor.kind === "command") {
    return nameProblems(Object.keys(resources)).map(({ detail, name }) => ({
      path: pathOf("$.resources", name),
      text: `expected a name that a process can be given a resource under: ${detail}`
    }))
  }
  return [
    ...(executor.user !== undefined && isConstant(executor.user) && examplesOf(config).length > 1
      ? [{
        path: "$.executor.user",
        text: `expected a placeholder for a field of the example, such as {{prompt}}, found ${shown(executor.user)}`
      }]
      : []),
    ...examplesOf(config).flatMap(([path, example]) => [
      ...messageProblems(path, example, executor.user, resources),
      ...(executor.seed_field === undefined ? [] : seedProblems(path, example, executor.seed_field))
    ]),
    ...resourceProblems("$.resources.system_prompt", resources["system_prompt"], resources, where),
    ...(["parameters", "tools"] as const).flatMap((key) =>
      resourceProblems(pathOf("$.executor", key), executor[key], resources, where)
    )
  ]
}

/** Whether the user message of an example can be written. */
const messageProblems = (
  path: string,
  example: Example,
  template: string | undefined,
  resources: ResourceValues
): ReadonlyArray<Problem> => {
  if (template === undefined) {
    if (Object.hasOwn(example, "prompt")) return []
    if (!Object.hasOwn(example, "messages")) {
      const hint = "; a template in $.executor.user may name other fields"
      return [{ path, text: `expected a "prompt", or "messages", found ${keysOf(example)}${hint}` }]
    }
    return Array.isArray(example["messages"]) && example["messages"].length > 0
      ? []
      : [mismatch(pathOf(path, "messages"), "an array of messages", example["messages"])]
  }
  return Either.match(render(template, { ...example, resources }), {
    onLeft: ({ path: field }) => [{
      path,
      text: `expected the field ${shown(field)} that $.executor.user names, found ${keysOf(example)}`
    }],
    onRight: () => []
  })
}

const seedProblems = (path: string, example: Example, field: string): ReadonlyArray<Problem> => {
  const seed = Object.hasOwn(example, field) ? example[field] : undefined
  return Number.isSafeInteger(seed)
    ? []
    : [mismatch(pathOf(path, field), "the whole number that $.executor.seed_field names", seed)]
}

const keysOf = (example: Example): string => {
  const keys = Object.keys(example)
  return keys.length === 0
    ? "no fields"
    : `only ${keys.slice(0, 8).map(shown).join(", ")}${keys.length > 8 ? ", …" : ""}`
}

/** Whether each rule can find one text, and there is something to put there; of what the store may hold, that is not known here. */
const rewriteProblems = ({ resources, rewrite = [] }: RunConfig): ReadonlyArray<Problem> => [
  ...(resources === undefined ? [] : replacementProblems(rewrite, resources, "\"resources\"")),
  ...findingProblems(rewrite)
]

/** Whether each rule says in one way which text it is about. */
export const findingProblems = (rewrite: ReadonlyArray<RewriteRule>): ReadonlyArray<Problem> =>
  rewrite.flatMap(({ where }, index) =>
    where.kind === "tool_description" ? [] : findProblems(where, pathOf(pathOf("$.rewrite", index), "where"))
  )

/** Whether there is a text to put in place for each rule; `where` names the resources. */
export const replacementProblems = (
  rewrite: ReadonlyArray<RewriteRule>,
  resources: ResourceValues,
  where: string
): ReadonlyArray<Problem> =>
  rewrite.flatMap(({ component }, index): ReadonlyArray<Problem> => {
    const value = Object.hasOwn(resources, component) ? resources[component] : undefined
    if (typeof value === "string") return []
    const meant = value === undefined ? nearest(component, Object.keys(resources)) : undefined
    const hint = meant === undefined ? "" : `; did you mean ${shown(meant)}?`
    return [{
      path: pathOf(pathOf("$.rewrite", index), "component"),
      text: `expected the name of a text in ${where}, found ${shown(component)}${hint}`
    }]
  })

const findProblems = (
  where: Exclude<RewriteWhere, { readonly kind: "tool_description" }>,
  path: string
): ReadonlyArray<Problem> => {
  const ways = waysToFind.filter((way) => where[way] !== undefined)
  const { flags = "", matching } = where
  if (ways.length !== 1) {
    const found = ways.length === 0 ? "none" : ways.map(shown).join(" and ")
    return [{ path, text: `expected one of "equal", "containing" and "matching", found ${found}` }]
  }
  if (matching === undefined) {
    return where.flags === undefined
      ? []
      : [{ path: pathOf(path, "flags"), text: `expected flags beside "matching", found ${shown(ways[0])}` }]
  }
  const wrongFlags = flagsProblem(flags)
  if (wrongFlags !== null) return [{ path: pathOf(path, "flags"), text: wrongFlags }]
  const text = patternProblem({ source: matching, flags: flags.includes("u") ? flags : `${flags}u` })
  return text === null ? [] : [{ path: pathOf(path, "matching"), text }]
}

/** Every `{{resources.name}}` in the strings of a value must name a resource. */
const resourceProblems = (
  path: string,
  value: unknown,
  resources: ResourceValues,
  where: string
): ReadonlyArray<Problem> => {
  if (typeof value === "string") {
    return Either.match(renderResources(value, resources), {
      onLeft: ({ path: missing }) => {
        const name = missing.slice("resources.".length)
        const meant = nearest(name, Object.keys(resources))
        const hint = meant === undefined ? "" : `; did you mean ${shown(meant)}?`
        return [{ path, text: `expected the name of a resource in ${where}, found ${shown(name)}${hint}` }]
      },
      onRight: () => []
    })
  }
  if (Array.isArray(value)) {
    return value.flatMap((entry, index) => resourceProblems(pathOf(path, index), entry, resources, where))
  }
  if (typeof value === "object" && value !== null) {
    return Object.entries(value).flatMap(([key, entry]) => resourceProblems(pathOf(path, key), entry, resources, where))
  }
  return []
}
