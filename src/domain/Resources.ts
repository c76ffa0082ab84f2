import * as Schema from "effect/Schema"

/** What an agent is given besides the example: `system_prompt` by convention, and any other named text or JSON. */
export const ResourceValues = Schema.Record({ key: Schema.String, value: Schema.Unknown })
export type ResourceValues = typeof ResourceValues.Type

/** One immutable version of the resources. Exactly one version is the latest. */
export class Resources extends Schema.Class<Resources>("Resources")({
  resourcesId: Schema.NonEmptyString,
  version: Schema.Int,
  resources: Schema.parseJson(ResourceValues),
  parentVersion: Schema.NullOr(Schema.Int),
  author: Schema.NonEmptyString,
  createdTime: Schema.Int,
  isLatest: Schema.Boolean
}) {}

/** A resource as an agent process receives it: text as it is, anything else as JSON. */
export const resourceText = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value)
