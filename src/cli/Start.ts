/** What every command begins with that is neither help nor a mistake. */
import { collectAlone } from "../process/collection.js"
import { loadAhead } from "../store/WriterThread.js"
import { parseArguments } from "./ParseArguments.js"

/**
 * Runs what was asked for. The arguments are read once more: in the build this is in another file than `main.ts`, and what that
 * made of them is of its own classes.
 */
export const start = (args: ReadonlyArray<string>): void => {
  const parsed = parseArguments(args, process.env)
  if (parsed._tag !== "mode") return
  collectAlone()
  if (parsed.mode._tag === "proxy" || parsed.mode._tag === "optimize" && !parsed.mode.dryRun) loadAhead()
  void import("./Dispatch.js").then(({ dispatch }) => dispatch(parsed.mode))
}
