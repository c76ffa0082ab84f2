import * as Effect from "effect/Effect"
import { stripVTControlCharacters } from "node:util"
import { compact, counted, dollars, elapsed } from "../../domain/Figures.js"
import { RunId } from "../../domain/Ids.js"
import type { UsageGroup } from "../../domain/Lifecycle.js"
import { isWhole, type OwnPrices } from "../../domain/Prices.js"
import { visible, widthOf, wrapped } from "../../domain/TerminalText.js"
import { costJson } from "../../runtime/Summary.js"
import { ClientKeyReader } from "../../store/ClientKeyReader.js"
import { RunReader } from "../../store/RunReader.js"
import type { SpanFilter } from "../../store/SpanStore.js"
import { type UsagePart, UsageReader } from "../../store/UsageReader.js"
import { CommandFailed } from "../CliError.js"
import type { Place } from "../ReadingFlags.js"
import { sessionCallsMax, withCallsOfSession } from "../traffic/SessionCalls.js"
import { printJson, reading, runNamed } from "./reading.js"
import { noCalls, spansAgain } from "./SpansCommand.js"
import { type Column, table } from "./Table.js"
import { Tally } from "./Tally.js"
import { columns as columnsOfTerminal, print } from "./Terminal.js"

export interface UsageMode extends Place {
  readonly by: UsageGroup
  readonly limit: number
  readonly filter: SpanFilter
}

/** Of one group; `name` is null for calls that are of none, `label` what a person calls it. */
interface Row {
  readonly name: string | null
  readonly label: string | null
  readonly tally: Tally
}

export const run = (mode: UsageMode) =>
  reading(
    mode.storePath,
    Effect.gen(function*() {
      if (mode.filter.runId !== null) yield* runNamed(mode.filter.runId, mode.storePath)
      const wanted = yield* withCallsOfSession(mode.filter, sessionCallsMax)
      const { groups, total } = yield* addedUp(wanted.filter, mode.by)
      const labels = yield* labelsOf(mode.by)
      const rows = [...groups].map(([name, tally]): Row => ({
        name,
        label: name === null ? null : labels.get(name) ?? null,
        tally
      })).toSorted(mode.by === "day" ? byDay : byCost)
      const shown = rows.slice(0, mode.limit)
      if (mode.json) {
        return yield* printJson({
          store_path: mode.storePath,
          by: mode.by,
          groups: shown.map(({ label, name, tally }) => ({
            [mode.by]: name,
            ...(mode.by === "key" && { name: label }),
            ...tallyJson(tally)
          })),
          groups_left_out: rows.length - shown.length,
          total: tallyJson(total)
        })
      }
      if (rows.length === 0) return yield* print(noCalls(mode))
      return yield* print([
        ...tableOf(shown, total, mode.by),
        ...notesOf(mode, rows, total),
        ...(wanted.isCut ? [`Only the ${sessionCallsMax} calls after its first were looked at.`] : [])
      ])
    })
  )

/** Groups that are held in memory. */
const groupsMax = 200_000

const addedUp = (filter: SpanFilter, by: UsageGroup) =>
  Effect.gen(function*() {
    const reader = yield* UsageReader
    const groups = new Map<string | null, Tally>()
    const total = new Tally()
    const prices = yield* pricesOfRuns
    for (let after: string | null = null;;) {
      const { groups: part, next }: UsagePart = yield* reader.part(filter, by, after)
      for (const usage of part) {
        const own = yield* prices(usage.runId)
        const tally = groups.get(usage.groupName) ?? new Tally()
        groups.set(usage.groupName, tally)
        tally.add(usage, own)
        total.add(usage, own)
      }
      if (groups.size > groupsMax) {
        return yield* new CommandFailed({
          detail: `there are more than ${groupsMax} groups by ${by}; --since, say, chooses fewer calls`
        })
      }
      if (next === null) return { groups, total }
      after = next
    }
  })

/** A run's own prices, looked up once. */
const pricesOfRuns = Effect.map(RunReader, (runs) => {
  const known = new Map<string, OwnPrices>()
  return (runId: string | null) =>
    Effect.gen(function*() {
      if (runId === null) return undefined
      const found = known.get(runId)
      if (found !== undefined) return found
      const { prices } = yield* runs.rules(RunId.make(runId))
      const own = JSON.parse(prices ?? "{}") as NonNullable<OwnPrices>
      known.set(runId, own)
      return own
    })
})

/** The names that keys were given. */
const labelsOf = (by: UsageGroup) =>
  by === "key"
    ? Effect.flatMap(ClientKeyReader, ({ list }) =>
      Effect.map(list, (keys) => new Map(keys.map(({ id, name }) => [id, name]))))
    : Effect.succeed(new Map<string, string>())

const byDay = (one: Row, other: Row): number => compareTexts(other.name ?? "", one.name ?? "")

const byCost = (one: Row, other: Row): number =>
  other.tally.cost.usd - one.tally.cost.usd || tokensIn(other.tally) - tokensIn(one.tally)
  || other.tally.calls - one.tally.calls || compareTexts(one.name ?? "", other.name ?? "")

const compareTexts = (one: string, other: string) => one < other ? -1 : one > other ? 1 : 0

const tokensIn = ({ inputTokens, outputTokens }: Tally) => inputTokens + outputTokens

const tallyJson = (tally: Tally) => ({
  calls: tally.calls,
  failed: tally.failed,
  replayed: tally.replayed,
  input_tokens: tally.inputTokens,
  cached_input_tokens: tally.cachedInputTokens,
  output_tokens: tally.outputTokens,
  reasoning_tokens: tally.reasoningTokens,
  cost: costJson(tally.cost),
  p50_ms: tally.durations.quantile(0.5),
  p95_ms: tally.durations.quantile(0.95)
})

const tableOf = (rows: ReadonlyArray<Row>, total: Tally, by: UsageGroup) => {
  const count = (title: string, of: (tally: Tally) => number): Column<Row> => ({
    title,
    align: "right",
    // Zeros throughout tell nothing: the column is left out.
    cell: ({ tally }) => of(total) === 0 ? "" : compact(of(tally))
  })
  const time = (title: string, part: number): Column<Row> => ({
    title,
    align: "right",
    cell: ({ tally }) => {
      const ms = tally.durations.quantile(part)
      return ms === null ? "" : elapsed(ms)
    }
  })
  const columns: ReadonlyArray<Column<Row>> = [
    // What is pasted into the next command stands in full, however long the line.
    { title: by, ...(by === "model" && { least: 10 }), cell: ({ name }) => name === null ? "-" : visible(name) },
    { title: "name", least: 6, cell: ({ label }) => visible(label ?? "") },
    count("calls", ({ calls }) => calls),
    count("failed", ({ failed }) => failed),
    count("input", ({ inputTokens }) => inputTokens),
    count("cached", ({ cachedInputTokens }) => cachedInputTokens),
    count("output", ({ outputTokens }) => outputTokens),
    { title: "cost", align: "right", cell: ({ tally }) => costCell(tally) },
    time("p50", 0.5),
    time("p95", 0.95)
  ]
  const all: ReadonlyArray<Row> = [...rows, { name: "total", label: null, tally: total }]
  // Names are told whole rather than times: only what is pasted whole is found again.
  const inFull = [columns, columns.filter(({ title }) => title !== "p50" && title !== "p95")]
    .map((some) => table(all, some, Number.POSITIVE_INFINITY))
    .find((lines) => lines.every((line) => widthOf(stripVTControlCharacters(line)) <= columnsOfTerminal))
  return inFull ?? table(all, columns.slice(0, -2), columnsOfTerminal)
}

/** `over` where it is not all; `?` where nothing of it is known. */
const costCell = ({ cost }: Tally): string =>
  isWhole(cost) ? dollars(cost.usd) : cost.usd === 0 ? "?" : `over ${dollars(cost.usd)}`

/** What the table is without, and how to see more. */
const notesOf = (mode: UsageMode, rows: ReadonlyArray<Row>, total: Tally): ReadonlyArray<string> => {
  const { cost, reasoningTokens, replayed } = total
  const left = rows.length - mode.limit
  const notes = [
    ...(cost.unpriced === null
      ? []
      : [
        `The cost is without ${counted(cost.unpricedCalls, "call that has", "calls that have")} no price (of ${
          visible(cost.unpriced)
        }, say).`
      ]),
    ...(cost.unmeteredCalls === 0
      ? []
      : [
        `Tokens and cost are without ${
          counted(cost.unmeteredCalls, "call whose answer tells", "calls whose answers tell")
        } no usage.`
      ]),
    ...(reasoningTokens === 0
      ? []
      : [`Of the output, ${compact(reasoningTokens)} are told to be tokens of reasoning.`]),
    ...(replayed === 0
      ? []
      : [`${counted(replayed, "call was", "calls were")} given an earlier answer again, which is not counted twice.`]),
    ...(left > 0
      ? [`The total is of ${rows.length} groups; ${left} more with --limit ${Math.min(rows.length, 1_000)}.`]
      : [])
  ].flatMap((note) => wrapped(note, columnsOfTerminal))
  return ["", ...notes, `The calls: ${spansAgain(mode)}`]
}
