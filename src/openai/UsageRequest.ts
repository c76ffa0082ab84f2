/** Asks for the usage of a streamed chat, in the bytes of a request that does not speak of it; every byte around stays. */
import { membersOf, type Range, rootOf } from "./JsonTokens.js"

const asked = "\"include_usage\":true"

/**
 * The body that asks for usage as well. Null when there is nothing to ask: it wants no stream, says itself whether it wants
 * the usage, or cannot be read.
 */
export const withUsageAsked = (body: Buffer): Buffer | null => {
  const root = rootOf(body)
  const members = root === null ? null : membersOf(body, root)
  if (root === null || members === null || wordAt(body, members.get("stream")) !== "true") return null
  const options = members.get("stream_options")
  if (options === undefined) return replaced(body, root.start + 1, root.start + 1, `"stream_options":{${asked}},`)
  if (wordAt(body, options) === "null") return replaced(body, options.start, options.end, `{${asked}}`)
  const said = membersOf(body, options)
  if (said === null || said.has("include_usage")) return null
  const isEmpty = body.toString("latin1", options.start + 1, options.end - 1).trim() === ""
  return replaced(body, options.start + 1, options.start + 1, isEmpty ? asked : `${asked},`)
}

/** Longest word that matters here. */
const wordMax = "false".length

const wordAt = (body: Buffer, range: Range | undefined): string | null =>
  range === undefined || range.end - range.start > wordMax ? null : body.toString("latin1", range.start, range.end)

const replaced = (body: Buffer, from: number, to: number, by: string): Buffer =>
  Buffer.concat([body.subarray(0, from), Buffer.from(by), body.subarray(to)])
