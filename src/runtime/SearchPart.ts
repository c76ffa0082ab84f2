/** A search for better resources, as far as the run that it is part of has to know. */
import type * as Effect from "effect/Effect"
import type { RunId } from "../domain/Ids.js"
import type { SearchFailed } from "../domain/SearchFailed.js"
import type { BegunRun } from "../store/RunStore.js"
import type { StoreError } from "../store/StoreError.js"
import type { ReportedRun } from "./StatusReporter.js"

export interface SearchPart {
  /** `rgepa, at most 600 rollouts`. */
  readonly title: string
  /** Before it goes on where earlier starts left it: finds out where that was, so that the first line tells it. */
  readonly recall: (runId: RunId) => Effect.Effect<void>
  /** Searches to the end, enqueuing rollouts as it goes. Begun anew, it goes on where it stood. */
  readonly run: (place: SearchPlace) => Effect.Effect<void, SearchFailed | StoreError>
  /** What a checkpoint says of it. */
  readonly state: () => Readonly<Record<string, unknown>>
  readonly line: NonNullable<ReportedRun["line"]>
}

export interface SearchPlace {
  readonly begun: BegunRun
  /** Something has come of the search: whoever waits for it need not give up. */
  readonly onProgress: () => void
  /** There is work for the runners. */
  readonly onEnqueued: () => void
}
