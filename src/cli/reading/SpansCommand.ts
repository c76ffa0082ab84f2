import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { defaultStore, storeHint } from "../../domain/CommandText.js"
import type { Span } from "../../domain/Span.js"
import { visible } from "../../domain/TerminalText.js"
import { type SpanFilter, SpanStore } from "../../store/SpanStore.js"
import type { Paging, Place } from "../ReadingFlags.js"
import { sessionCallsMax, withCallsOfSession } from "../traffic/SessionCalls.js"
import { again, filled, printJson, printPage, reading, runNamed } from "./reading.js"
import { listedOutcomeOf, outcomeColour, spanJson, tokensOf } from "./spanText.js"
import { table } from "./Table.js"
import { ago, took } from "./text.js"

export interface SpansMode extends Place, Paging {
  readonly filter: SpanFilter
}

export const run = (mode: SpansMode) =>
  reading(
    mode.storePath,
    Effect.gen(function*() {
      const spans = yield* SpanStore
      const nowMs = yield* Clock.currentTimeMillis
      if (mode.filter.runId !== null) yield* runNamed(mode.filter.runId, mode.storePath)
      const wanted = yield* withCallsOfSession(mode.filter, sessionCallsMax)
      const page = yield* filled(mode, (request) => spans.list(wanted.filter, { ...request, order: "newest" }))
      if (mode.json) {
        return yield* printJson({ store_path: mode.storePath, spans: page.items.map(spanJson), next: page.next })
      }
      const [first] = page.items
      return yield* printPage(page, mode, table(page.items, columnsAt(nowMs)), {
        more: spansAgain(mode, { limit: mode.limit }),
        next: first === undefined
          ? []
          : [
            `One of them: tau span ${visible(first.spanId)}${storeHint(mode.storePath)}`,
            `All around it: tau rollout ${visible(first.rolloutId)}${storeHint(mode.storePath)}`,
            ...(wanted.isCut ? [`Only the ${sessionCallsMax} calls after its first were looked at.`] : [])
          ],
        empty: noCalls(mode)
      })
    })
  )

/** The command that lists these calls. */
export const spansAgain = (
  { filter, storePath }: Pick<SpansMode, "filter" | "storePath">,
  more: { readonly limit?: number } = {}
): string =>
  again("spans", {
    store: storePath === defaultStore ? null : storePath,
    run: filter.runId,
    rollout: filter.rolloutId,
    attempt: filter.attemptId,
    kind: filter.kind,
    state: filter.state,
    model: filter.model,
    role: filter.role,
    session: filter.session,
    failed: filter.failed,
    since: dateOf(filter.sinceMs),
    until: dateOf(filter.untilMs),
    ...more
  })

/** What is said where no call fits, and how to go on. */
export const noCalls = ({ filter, storePath }: Pick<SpansMode, "filter" | "storePath">): ReadonlyArray<string> =>
  Object.values(filter).every((value) => value === null || value === false)
    ? [
      `No calls in ${visible(storePath)} yet. To record an agent's:`,
      "  tau --prompt-optimization-proxy-server",
      "and point the agent's OPENAI_BASE_URL at the address that it prints."
    ]
    : [`No recorded call fits; tau spans${storeHint(storePath)} lists all.`]

/** As a flag takes it: an age would mean another moment by the time that the next page is asked for. */
const dateOf = (ms: number | null): string | null => ms === null ? null : new Date(ms).toISOString()

const columnsAt = (nowMs: number) => [
  { title: "span", cell: ({ spanId }: Span) => visible(spanId) },
  { title: "call", least: 14, cell: ({ name }: Span) => visible(name) },
  { title: "outcome", cell: listedOutcomeOf, colour: outcomeColour },
  {
    title: "tokens",
    align: "right" as const,
    cell: tokensOf
  },
  {
    title: "took",
    align: "right" as const,
    cell: ({ endTimeUs, startTimeUs }: Span) => took(startTimeUs / 1_000, endTimeUs === null ? null : endTimeUs / 1_000)
  },
  { title: "begun", align: "right" as const, cell: ({ startTimeUs }: Span) => ago(startTimeUs / 1_000, nowMs) }
]
