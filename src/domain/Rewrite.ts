/** Where a resource lives in the requests of an agent that knows nothing of it: the config's `rewrite`. */
import * as Schema from "effect/Schema"
import { optional } from "./configKeys.js"

const found = {
  equal: optional(Schema.NonEmptyString, "The whole text; all of it is replaced"),
  containing: optional(Schema.NonEmptyString, "A part of the text; its first occurrence is replaced"),
  matching: optional(Schema.NonEmptyString, "A regular expression; its first match is replaced"),
  flags: optional(Schema.NonEmptyString, "Flags of `matching`, among i, m, s and u")
}

/** Which text of a request is meant. Of the three ways to find one exactly one is given, which the config's rules check. */
export const RewriteWhere = Schema.Union(
  Schema.Struct({ kind: Schema.Literal("system"), ...found }),
  Schema.Struct({ kind: Schema.Literal("instructions"), ...found }),
  Schema.Struct({
    kind: Schema.Literal("tool_description"),
    tool: Schema.propertySignature(Schema.NonEmptyString).annotations({
      description: "The tool's name; its whole description is replaced"
    })
  })
)
export type RewriteWhere = typeof RewriteWhere.Type

/** The three ways to find a text, of which a place has exactly one. */
export const waysToFind = ["equal", "containing", "matching"] as const

/** One entry of a config's `rewrite`. */
export const RewriteRule = Schema.Struct({
  component: Schema.propertySignature(Schema.NonEmptyString).annotations({
    description: "The resource whose text is put there"
  }),
  where: Schema.propertySignature(RewriteWhere).annotations({ description: "Where the agent has its own text" })
})
export type RewriteRule = typeof RewriteRule.Type

/** How people are told of a rule: by its place in the config and its resource. */
export const ruleName = (index: number, { component }: RewriteRule): string => `rewrite[${index}] (${component})`
