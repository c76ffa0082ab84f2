import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { defaultStore, storeHint } from "../../domain/CommandText.js"
import { counted } from "../../domain/Figures.js"
import type { Span } from "../../domain/Span.js"
import { visible } from "../../domain/TerminalText.js"
import type { Page } from "../../store/Page.js"
import { type SpanFilter, SpanStore } from "../../store/SpanStore.js"
import type { Paging, Place } from "../ReadingFlags.js"
import { sessionCallsMax, withCallsOfSession } from "../traffic/SessionCalls.js"
import { callsSaying, foundJson, foundText } from "./callsSaying.js"
import { again, filled, printJson, printPage, reading, runNamed } from "./reading.js"
import { listedOutcomeOf, outcomeColour, spanJson, tokensOf } from "./spanText.js"
import { table } from "./Table.js"
import { ago, took } from "./text.js"

export interface SpansMode extends Place, Paging {
  readonly filter: SpanFilter
  /** What was said in the calls; null where that is no matter. */
  readonly text: string | null
}

export const run = (mode: SpansMode) =>
  reading(
    mode.storePath,
    Effect.gen(function*() {
      const spans = yield* SpanStore
      const nowMs = yield* Clock.currentTimeMillis
      if (mode.filter.runId !== null) yield* runNamed(mode.filter.runId, mode.storePath)
      const wanted = yield* withCallsOfSession(mode.filter, sessionCallsMax)
      const list = (request: Paging) => spans.list(wanted.filter, { ...request, order: "newest" })
      if (mode.text !== null) return yield* search(mode, mode.text, list, nowMs)
      const page = yield* filled(mode, list)
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

/** The calls in which this was said, each with the place. */
const search = <E, R>(
  mode: SpansMode,
  words: string,
  list: (request: Paging) => Effect.Effect<Page<Span>, E, R>,
  nowMs: number
) =>
  Effect.gen(function*() {
    const { bodiless, lookedAt, page } = yield* callsSaying(words, mode, list)
    if (mode.json) {
      return yield* printJson({
        store_path: mode.storePath,
        spans: page.items.map(({ found, span }) => ({ ...spanJson(span), found: foundJson(found) })),
        next: page.next,
        looked_at: lookedAt,
        without_bodies: bodiless
      })
    }
    const [titles = "", ...rows] = table(page.items.map(({ span }) => span), columnsAt(nowMs))
    const lines = [titles, ...rows.flatMap((row, n) => [row, foundText(page.items[n]!.found)])]
    const unread = bodiless === 0
      ? []
      : [
        `Of ${counted(lookedAt, "call")} looked at, ${bodiless} ${bodiless === 1 ? "has" : "have"} no recorded bodies.`
      ]
    const [first] = page.items
    return yield* printPage(page, mode, lines, {
      more: spansAgain(mode, { text: words, limit: mode.limit }),
      next: first === undefined
        ? []
        : [`One of them: tau span ${visible(first.span.spanId)}${storeHint(mode.storePath)}`, ...unread],
      empty: lookedAt === 0 ? noCalls(mode) : [`In none of ${counted(lookedAt, "call")} is that said.`, ...unread]
    })
  })

/** The command that lists these calls. */
export const spansAgain = (
  { filter, storePath }: Pick<SpansMode, "filter" | "storePath">,
  more: { readonly limit?: number; readonly text?: string } = {}
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
