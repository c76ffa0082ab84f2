import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { defaultStore, storeHint } from "../../domain/CommandText.js"
import { visible } from "../../domain/TerminalText.js"
import { snake } from "../../store/RowJson.js"
import { type Worker, WorkerReader } from "../../store/WorkerReader.js"
import type { Paging, Place } from "../ReadingFlags.js"
import { again, filled, printJson, printPage, reading, runOf } from "./reading.js"
import { type Column, table } from "./Table.js"
import { colourOf } from "./Terminal.js"
import { ago } from "./text.js"

export interface WorkersMode extends Place, Paging {
  readonly runId: string | null
  readonly isLive: boolean
}

export const run = (mode: WorkersMode) =>
  reading(
    mode.storePath,
    Effect.gen(function*() {
      const workers = yield* WorkerReader
      const nowMs = yield* Clock.currentTimeMillis
      const { isLive, runId } = mode
      if (runId !== null) yield* runOf(runId, mode.storePath)
      const page = yield* filled(mode, (request) => workers.page({ ...request, runId, isLive }))
      if (mode.json) {
        return yield* printJson({ store_path: mode.storePath, workers: page.items.map(snake), next: page.next })
      }
      return yield* printPage(page, mode, table(page.items, columnsAt(nowMs)), {
        more: again("workers", {
          store: mode.storePath === defaultStore ? null : mode.storePath,
          run: runId,
          live: isLive,
          limit: mode.limit
        }),
        next: [],
        empty: [
          isLive
            ? `No worker is live; tau workers${storeHint(mode.storePath)} lists those that were.`
            : "No workers yet: a run of a config has them."
        ]
      })
    })
  )

const columnsAt = (nowMs: number): ReadonlyArray<Column<Worker>> => [
  { title: "worker", cell: ({ id }) => visible(id) },
  { title: "state", cell: ({ state }) => state, colour: ({ state }) => colourOf(state) },
  { title: "heartbeat", align: "right", cell: ({ heartbeatAtMs }) => ago(heartbeatAtMs, nowMs) },
  { title: "of", cell: ({ rolloutId, runId }) => visible(rolloutId ?? runId) }
]
