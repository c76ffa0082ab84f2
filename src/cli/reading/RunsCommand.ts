import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { defaultStore, storeHint } from "../../domain/CommandText.js"
import type { RunStands } from "../../domain/Lifecycle.js"
import { visible } from "../../domain/TerminalText.js"
import { runJson } from "../../store/RowJson.js"
import { RunReader } from "../../store/RunReader.js"
import { runTotals } from "../../store/runTotals.js"
import type { Paging, Place } from "../ReadingFlags.js"
import { again, filled, noRuns, printJson, printPage, reading } from "./reading.js"
import { table } from "./Table.js"
import { colourOf } from "./Terminal.js"
import { ago, points } from "./text.js"

export interface RunsMode extends Place, Paging {
  readonly state: RunStands | null
}

type Row = Effect.Effect.Success<ReturnType<typeof runTotals>>

export const run = (mode: RunsMode) =>
  reading(
    mode.storePath,
    Effect.gen(function*() {
      const runs = yield* RunReader
      const nowMs = yield* Clock.currentTimeMillis
      const page = yield* filled(mode, (request) => runs.page({ ...request, stands: mode.state, order: "newest" }))
      const items = yield* Effect.forEach(page.items, runTotals)
      if (mode.json) {
        return yield* printJson({
          store_path: mode.storePath,
          runs: items.map(({ run, totals }) => runJson(run, totals)),
          next: page.next
        })
      }
      const store = mode.storePath === defaultStore ? null : mode.storePath
      const [first] = items
      const search = items.find(({ isSearch }) => isSearch)
      return yield* printPage({ ...page, items }, mode, table(items, columnsAt(nowMs)), {
        more: again("runs", { store, state: mode.state, limit: mode.limit }),
        next: first === undefined
          ? []
          : [
            `Its rollouts: tau rollouts --run ${first.run.id}${storeHint(mode.storePath)}`,
            ...(search === undefined
              ? []
              : [`What a search came to: tau report ${search.run.id}${storeHint(mode.storePath)}`])
          ],
        empty: mode.state === null
          ? noRuns(mode.storePath)
          : [`No run of ${visible(mode.storePath)} is ${mode.state}.`]
      })
    })
  )

const columnsAt = (nowMs: number) => [
  { title: "run", cell: ({ run }: Row) => visible(run.id) },
  { title: "state", cell: ({ run }: Row) => run.stands, colour: ({ run }: Row) => colourOf(run.stands) },
  {
    title: "rollouts",
    align: "right" as const,
    // What was cancelled never came to its end: a run of 10 that did 6 of them has not done 10. Only whole runs are cancelled,
    // so that the other 4 need no column of their own, which would not fit in.
    cell: ({ totals }: Row) => `${totals.succeeded + totals.failed}/${totals.total}`
  },
  {
    title: "failed",
    align: "right" as const,
    cell: ({ totals }: Row) => totals.failed === 0 ? "" : `${totals.failed}`
  },
  {
    title: "score",
    align: "right" as const,
    cell: ({ isSearch, totals }: Row) => isSearch ? "-" : points(totals.meanScore)
  },
  { title: "model", least: 10, cell: ({ run }: Row) => visible(run.modelRef) },
  { title: "made", align: "right" as const, cell: ({ run }: Row) => ago(run.createdAtMs, nowMs) }
]
