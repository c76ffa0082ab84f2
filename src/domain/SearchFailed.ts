import * as Schema from "effect/Schema"

/** A search cannot go on. The run fails and its store stays as it is; what is to be done first, the detail says. */
export class SearchFailed extends Schema.TaggedError<SearchFailed>()("SearchFailed", {
  reason: Schema.Literal("agent", "changed", "infrastructure", "task"),
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}
