/** Runs of the command that search, and what is in their stores. */
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { startTau } from "./command.js"
import { rowsOf } from "./store.js"

export const storeIn = (folder: string) => join(folder, "store.sqlite")

export const query = <Row>(folder: string, sql: string) => rowsOf<Row>(storeIn(folder), sql)

export const startSearch = (folder: string, config: object, args: ReadonlyArray<string> = []) => {
  writeFileSync(join(folder, "config.json"), JSON.stringify(config))
  return startTau(folder, [
    "--model=openai/agent",
    "--prompt-optimization-config=config.json",
    `--prompt-optimization-store-sqlite=${storeIn(folder)}`,
    "--prompt-optimization-json",
    ...args
  ])
}

export const searched = (folder: string, config: object, args: ReadonlyArray<string> = []) =>
  Effect.scoped(Effect.gen(function*() {
    const command = yield* startSearch(folder, config, args)
    const code = yield* command.exit
    return { code, stdout: command.stdout(), stderr: command.stderr() }
  }))

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
