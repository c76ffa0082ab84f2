/**
 * The parts of undici that a proxy needs, each from its own file. The index loads `fetch`, its cache, cookies and WebSockets as well:
 * twice the time, and 9 MB that stay. The version is pinned, and the test beside this compares them with the index's.
 */
import { createRequire } from "node:module"
import type * as Undici from "undici"

const require = createRequire(import.meta.url)

export const Pool = require("undici/lib/dispatcher/pool.js") as typeof Undici.Pool
export const Client = require("undici/lib/dispatcher/client.js") as typeof Undici.Client
export const buildConnector = require("undici/lib/core/connect.js") as typeof Undici.buildConnector
export const errors = require("undici/lib/core/errors.js") as typeof Undici.errors
