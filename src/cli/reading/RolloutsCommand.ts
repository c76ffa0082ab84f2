import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { defaultStore, storeHint } from "../../domain/CommandText.js"
import type { Rollout } from "../../domain/Rollout.js"
import { visible } from "../../domain/TerminalText.js"
import { type RolloutFilter, RolloutStore } from "../../store/RolloutStore.js"
import { snake } from "../../store/RowJson.js"
import type { Paging, Place } from "../ReadingFlags.js"
import { again, filled, noRuns, printJson, printPage, reading, runOf } from "./reading.js"
import { type Column, table } from "./Table.js"
import { colourOf, print } from "./Terminal.js"
import { ago, inline, points } from "./text.js"

export interface RolloutsMode extends Place, Paging {
  readonly runId: string | null
  readonly filter: Omit<RolloutFilter, "runId">
}

export const run = (mode: RolloutsMode) =>
  reading(
    mode.storePath,
    Effect.gen(function*() {
      const rollouts = yield* RolloutStore
      const nowMs = yield* Clock.currentTimeMillis
      const run = yield* runOf(mode.runId, mode.storePath)
      if (run === null) {
        if (mode.json) return yield* printJson({ store_path: mode.storePath, run_id: null, rollouts: [], next: null })
        return yield* print(noRuns(mode.storePath))
      }
      const page = yield* filled(mode, (request) => rollouts.list({ ...mode.filter, runId: run.id }, request))
      if (mode.json) {
        return yield* printJson({
          store_path: mode.storePath,
          run_id: run.id,
          rollouts: page.items.map(snake),
          next: page.next
        })
      }
      const { mode: ofMode, scoreMax, scoreMin, status } = mode.filter
      const [first] = page.items
      return yield* printPage(page, mode, table(page.items, columnsAt(nowMs)), {
        more: again("rollouts", {
          store: mode.storePath === defaultStore ? null : mode.storePath,
          run: run.id,
          status,
          mode: ofMode,
          "min-score": scoreMin,
          "max-score": scoreMax,
          limit: mode.limit
        }),
        next: first === undefined ? [] : [`One of them: tau rollout ${visible(first.id)}${storeHint(mode.storePath)}`],
        empty: [`No rollout of ${run.id} fits; tau rollouts --run ${run.id}${storeHint(mode.storePath)} lists all.`]
      })
    })
  )

const columnsAt = (nowMs: number): ReadonlyArray<Column<Rollout>> => [
  { title: "rollout", cell: ({ id }) => visible(id) },
  { title: "status", cell: ({ status }) => status, colour: ({ status }) => colourOf(status) },
  { title: "score", align: "right", cell: ({ score }) => points(score) },
  { title: "fails", align: "right", cell: ({ failures }) => failures === 0 ? "" : `${failures}` },
  { title: "crashes", align: "right", cell: ({ crashes }) => crashes === 0 ? "" : `${crashes}` },
  {
    title: "ended",
    align: "right",
    cell: ({ endedAtMs }) => endedAtMs === null ? "" : ago(endedAtMs, nowMs)
  },
  { title: "output", least: 12, cell: ({ error, output }) => inline(output ?? error ?? "") }
]
