// What every program here shares: where it is to call, and how it tells what it saw.

/** Base URL of the proxy, ending in `/v1`, with or without an attribution prefix. */
export const baseURL = process.env.OPENAI_BASE_URL
export const apiKey = process.env.OPENAI_API_KEY
/** Attribution headers, or none. */
export const headers = JSON.parse(process.env.CLIENT_HEADERS ?? "{}")

/** What the client of the package `openai` takes, for whoever builds on it. */
export const clientOptions = { apiKey, baseURL, defaultHeaders: headers }

export const model = "sim/arithmetic"
export const question = "What is 17 * 23?"
export const weatherQuestion = "What is the weather in New York?"
export const weatherSchema = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false
}

/**
 * Tells of one call, in the order they are made: `what` for people, `path` that its span must end in, `status` when it is not
 * 200, and of what the client saw `text`, `tools` (names), `input` and `output` (tokens). What is left out is not checked.
 */
export const saw = (call) => console.log(JSON.stringify({ path: "/chat/completions", ...call }))

/** A WebSocket has a span of its own beside those of the calls on it. */
export const sawSocket = () => saw({ what: "WebSocket", path: "/responses", status: 101, model: null })
export const sawOnSocket = (call) => saw({ path: "/responses", status: 101, ...call })
