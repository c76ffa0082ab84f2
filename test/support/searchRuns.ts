/** Runs of the command that search, and what is in their stores. */
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { startTau } from "./command.js"
import { rowsOf } from "./store.js"

export const storeIn = (folder: string) => join(folder, "store.sqlite")

export const query = <Row>(folder: string, sql: string) => rowsOf<Row>(storeIn(folder), sql)

export const startSearch = (
  folder: string,
  config: object,
  args: ReadonlyArray<string> = [],
  env: Readonly<Record<string, string>> = {}
) => {
  writeFileSync(join(folder, "config.json"), JSON.stringify(config))
  return startTau(
    folder,
    [
      "--model=openai/agent",
      "--prompt-optimization-config=config.json",
      `--prompt-optimization-store-sqlite=${storeIn(folder)}`,
      "--prompt-optimization-json",
      ...args
    ],
    env
  )
}

export const searched = (folder: string, config: object, args: ReadonlyArray<string> = []) =>
  Effect.scoped(Effect.gen(function*() {
    const command = yield* startSearch(folder, config, args)
    const code = yield* command.exit
    return { code, stdout: command.stdout(), stderr: command.stderr() }
  }))

/** All that a search decided and was answered, without times. */
export const record = (folder: string) => ({
  steps: query(folder, "SELECT n, chain, stop_reason, rollouts, reflections FROM search_steps ORDER BY n"),
  candidates: query(
    folder,
    "SELECT n, step, resources_version, parents, change, path FROM search_candidates ORDER BY n"
  ),
  events: query(folder, "SELECT n, step, data FROM search_events ORDER BY n"),
  reflections: query(folder, "SELECT n, path, prompt_sha256, answer, failure FROM search_reflections ORDER BY n"),
  rollouts: query(
    folder,
    "SELECT id, ordinal, status, output, score, resources_version FROM rollouts ORDER BY ordinal"
  ),
  resources: query(
    folder,
    "SELECT version, resources, parent_version, author, is_latest FROM resources ORDER BY version"
  ),
  result: query(folder, "SELECT result FROM search_results"),
  promotions: query(folder, "SELECT version, replaced, decision FROM promotions ORDER BY n")
})

/** Rollouts that have succeeded; none where there is no store yet. */
export const finishedIn = (folder: string): number => {
  try {
    return query<{ n: number }>(folder, "SELECT count(*) AS n FROM rollouts WHERE status = 'succeeded'")[0]!.n
  } catch {
    return 0
  }
}

export interface Result {
  readonly reason: string
  readonly best: number
  readonly bestVersion: number
  readonly promotedVersion: number | null
  readonly spent: { readonly rollouts: number; readonly reflections: number; readonly tokens: number }
  readonly gate: { readonly decision: string } | null
  readonly noGate: string | null
  readonly gateExamples: number
  readonly gateLeftOut: { readonly seen: number; readonly wornOut: number }
}
export const resultIn = (folder: string) =>
  JSON.parse(query<{ result: string }>(folder, "SELECT result FROM search_results")[0]!.result) as Result
