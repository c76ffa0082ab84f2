/**
 * The parts of undici that are used here, each from its own file. The index loads `fetch`, its cache, cookies and WebSockets as well:
 * an eighth of a proxy's start, and 9 MB that stay. The version is pinned, and the test beside this compares them with the index's.
 */
import { createRequire } from "node:module"
import type * as Undici from "undici"

const require = createRequire(import.meta.url)

export const Agent = require("undici/lib/dispatcher/agent.js") as typeof Undici.Agent
export const buildConnector = require("undici/lib/core/connect.js") as typeof Undici.buildConnector
export const errors = require("undici/lib/core/errors.js") as typeof Undici.errors

/** The index hangs this on every dispatcher; each call names its own here. */
const requestOf = require("undici/lib/api/api-request.js") as (
  this: Undici.Dispatcher,
  options: Undici.Dispatcher.RequestOptions
) => Promise<Undici.Dispatcher.ResponseData>

/** The index's `request`, over a dispatcher of one's own. */
export const request = (
  url: string,
  dispatcher: Undici.Dispatcher,
  options: Omit<Undici.Dispatcher.RequestOptions, "origin" | "path">
): Promise<Undici.Dispatcher.ResponseData> => {
  const { origin, pathname, search } = new URL(url)
  return requestOf.call(dispatcher, { ...options, origin, path: pathname + search })
}
