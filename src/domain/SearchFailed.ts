import * as Schema from "effect/Schema"

/** A search cannot go on, and trying again would not help. The run fails and its store stays as it is. */
export class SearchFailed extends Schema.TaggedError<SearchFailed>()("SearchFailed", {
  reason: Schema.Literal("changed", "infrastructure", "task"),
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}
