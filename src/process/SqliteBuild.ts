/** Whether SQLite, as it was compiled here, can be used with this Node. */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"

/** What the base class of SQLite's objects calls when the collector takes one, in an addon compiled against Node 24.19 or later. */
const hook = "RemoveEnvironmentCleanupHook"

/**
 * What is to be told before SQLite is used; null when all is well. Headers of Node 24 from 24.19 on compile a call into the addon that ends
 * the process (SIGABRT) at some collection of garbage, on every Node 24 (nodejs/node#65446). What was downloaded instead is not concerned.
 */
export const sqliteTrouble = (node = process.versions.node, addon = addonPath()): string | null => {
  if (!node.startsWith("24.") || !hasHook(addon)) return null
  return `SQLite was compiled here with Node 24.19 or later, and on Node ${node} it ends the process at any time (nodejs/node#65446); ` +
    "what is recorded stays. Use Node 20, 22 or 26, and npm rebuild better-sqlite3 with it"
}

const hasHook = (addon: string): boolean => {
  try {
    return readFileSync(addon).includes(hook)
  } catch {
    // Not there, or elsewhere: SQLite itself tells.
    return false
  }
}

const addonPath = (): string => {
  const require = createRequire(import.meta.url)
  try {
    return join(dirname(require.resolve("better-sqlite3/package.json")), "build/Release/better_sqlite3.node")
  } catch {
    return ""
  }
}
