import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { withDefault } from "../domain/configKeys.js"
import { patternProblem } from "../openai/BoundedPatterns.js"
import { parseJsonPath } from "../openai/JsonPath.js"
import type { RedactionRules } from "../openai/Redaction.js"
import type { ConfigError } from "./CliError.js"
import { problemsIn, readJson } from "./ConfigFile.js"
import { type Problem, shapeProblems } from "./ConfigShape.js"
import { flagsProblem } from "./flagsProblem.js"

const Pattern = Schema.Struct({
  pattern: Schema.String,
  flags: withDefault(Schema.String, "", "Flags of a JavaScript regular expression")
})

const RedactionFile = Schema.Struct({
  patterns: withDefault(Schema.Array(Pattern), [], "What is taken out wherever it stands"),
  json_paths: withDefault(Schema.Array(Schema.String), [], "Values of a body that are taken out"),
  headers: withDefault(Schema.Array(Schema.String), [], "Request headers whose values are taken out")
})

/** The rules in a file; or a `ConfigError` with a line for each problem. */
export const loadRedaction = (file: string, defaults: boolean): Effect.Effect<RedactionRules, ConfigError> =>
  Effect.gen(function*() {
    const json = yield* readJson(file, "a file of redaction rules")
    const shape = [...json.problems, ...shapeProblems(RedactionFile.ast, json.value, "$")]
    if (shape.length > 0) return yield* problemsIn(file, shape)
    const rules = Schema.decodeUnknownSync(RedactionFile)(json.value)
    const patterns = rules.patterns.map(({ flags, pattern }) => ({ flags, source: pattern }))
    const problems = [
      ...patterns.map((pattern, index) => {
        const flags = flagsProblem(pattern.flags)
        return flags === null
          ? problemAt(`$.patterns[${index}].pattern`, patternProblem(pattern))
          : problemAt(`$.patterns[${index}].flags`, flags)
      }),
      ...rules.json_paths.map((path, index) => {
        const parsed = parseJsonPath(path)
        return problemAt(`$.json_paths[${index}]`, typeof parsed === "string" ? parsed : null)
      }),
      ...rules.headers.map((name, index) =>
        problemAt(`$.headers[${index}]`, headerName.test(name) ? null : "expected the name of a header")
      )
    ].flat()
    if (problems.length > 0) return yield* problemsIn(file, problems)
    return { defaults, patterns, jsonPaths: rules.json_paths, headers: rules.headers.map((name) => name.toLowerCase()) }
  })

/** A token (RFC 9110, section 5.6.2). */
const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

const problemAt = (path: string, text: string | null): ReadonlyArray<Problem> => text === null ? [] : [{ path, text }]
