import * as Effect from "effect/Effect"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { CommandFailed } from "./CliError.js"

/**
 * The store that control verbs mean by a folder: `store.sqlite`, or the only other one that a run has made there. Where there
 * is none yet, the path of the one to come.
 */
export const controlledStore = (stateDir: string): Effect.Effect<string, CommandFailed> =>
  Effect.suspend(() => {
    const usual = join(stateDir, "store.sqlite")
    if (existsSync(usual)) return Effect.succeed(usual)
    const [only, ...more] = storesIn(stateDir)
    if (only === undefined) return Effect.succeed(usual)
    if (more.length === 0) return Effect.succeed(join(stateDir, only))
    return new CommandFailed({
      detail: `${stateDir} has no store.sqlite, and ${
        [only, ...more].join(", ")
      }: a verb is about the only store of a folder`
    })
  })

const marker = ".initialised"

/** Names of the stores in a folder, which each have left a mark that they held data. */
const storesIn = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(folder).filter((name) => name.endsWith(marker)).map((name) => name.slice(0, -marker.length))
      .filter((name) => existsSync(join(folder, name))).toSorted()
  } catch {
    // There is no such folder, or it is no folder: whoever opens the store says so.
    return []
  }
}
