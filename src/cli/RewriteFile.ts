import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { RewriteRule } from "../domain/Rewrite.js"
import { isObject } from "../openai/Json.js"
import type { ConfigError } from "./CliError.js"
import { problemsIn, readJson } from "./ConfigFile.js"
import { findingProblems } from "./ConfigRules.js"
import { mismatch, shapeProblems } from "./ConfigShape.js"

const Rules = Schema.NonEmptyArray(RewriteRule)

/**
 * The `rewrite` of a config, or a `ConfigError` with a line for each problem. Nothing else of it is looked at: where an agent is at
 * work, neither the examples nor the executor need be.
 */
export const loadRewrite = (file: string): Effect.Effect<ReadonlyArray<RewriteRule>, ConfigError> =>
  Effect.gen(function*() {
    const json = yield* readJson(file, "a config file")
    if (!isObject(json.value)) return yield* problemsIn(file, [mismatch("$", "a JSON object", json.value)])
    const { rewrite } = json.value
    const shape = [...json.problems, ...shapeProblems(Rules.ast, rewrite, "$.rewrite")]
    if (shape.length > 0) return yield* problemsIn(file, shape)
    const rules = Schema.decodeUnknownSync(Rules)(rewrite)
    const problems = findingProblems(rules)
    return problems.length === 0 ? rules : yield* problemsIn(file, problems)
  })
