/** What a search did and came to, for people and programs. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { existsSync, realpathSync } from "node:fs"
import { dirname } from "node:path"
import { storeHint } from "../../domain/CommandText.js"
import { visible } from "../../domain/TerminalText.js"
import { candidatesTable } from "../../optimizer/report/candidatesTable.js"
import { lineageText } from "../../optimizer/report/lineageText.js"
import { scorePlot } from "../../optimizer/report/scorePlot.js"
import { candidatesJson, searchJson } from "../../optimizer/report/searchJson.js"
import type { SearchReport } from "../../optimizer/report/SearchReport.js"
import { searchText } from "../../optimizer/report/searchText.js"
import { searchReport } from "../../optimizer/run/reportOf.js"
import { failuresJson, failuresShown } from "../../runtime/Summary.js"
import { failureText } from "../../runtime/summaryText.js"
import { totalsOf } from "../../store/RowJson.js"
import { type Run, RunReader } from "../../store/RunReader.js"
import { writeText } from "../ArtifactFiles.js"
import { CommandFailed } from "../CliError.js"
import type { Place } from "../ReadingFlags.js"
import { reading, runOf } from "./reading.js"
import { write } from "./Terminal.js"

export interface SearchMode extends Place {
  /** Null for the last run. */
  readonly runId: string | null
  readonly shown: "candidates" | "lineage" | "report"
  readonly svgPath?: string
}

export const run = (mode: SearchMode) =>
  reading(
    mode.storePath,
    Effect.gen(function*() {
      const found = yield* runOf(mode.runId, mode.storePath)
      if (found === null) {
        return yield* new CommandFailed({
          detail: `no runs in ${mode.storePath} yet; to search: tau --model PROVIDER/MODEL `
            + "--prompt-optimization-config FILE, with an optimizer in FILE"
        })
      }
      const report = yield* searchReport(found, mode.storePath)
      if (report === null) {
        return yield* new CommandFailed({
          detail: `run ${visible(found.id)} only evaluated its texts, and searched for none; what came of it: `
            + `tau rollouts --run ${visible(found.id)}${storeHint(mode.storePath)}`
        })
      }
      if (mode.svgPath !== undefined) {
        yield* draw(report, mode.svgPath)
        yield* Console.error(`tau: drew the best score over rollouts into ${mode.svgPath}`)
      }
      return yield* Effect.as(write(`${yield* told(mode, found, report)}\n`), 0)
    })
  )

const told = ({ json, shown, storePath }: SearchMode, run: Run, report: SearchReport) =>
  Effect.gen(function*() {
    if (shown === "candidates") return json ? candidatesJson(report) : candidatesTable(report)
    if (shown === "lineage") return json ? candidatesJson(report) : lineageText(report)
    const runs = yield* RunReader
    const failures = yield* runs.failures(run.id, failuresShown)
    if (json) return searchJson(report, { failures: failuresJson(failures) })
    const { failed } = totalsOf(yield* runs.results(run.id))
    return [searchText(report), ...failureText({ failed, failures, storePath })].join("\n")
  })

/** A picture is for any program of this machine, and is put where a link leads, as what a shell writes is. */
const draw = (report: SearchReport, path: string) => {
  const failed = (why: string) => new CommandFailed({ detail: `${path} could not be written: ${why}` })
  return existsSync(dirname(path))
    ? Effect.mapError(
      writeText(existsSync(path) ? realpathSync(path) : path, scorePlot(report), 0o666),
      ({ detail }) => failed(detail)
    )
    : failed(`there is no folder ${dirname(path)}`)
}
