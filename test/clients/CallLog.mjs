// Reads the store while the proxy runs, and compares its spans with what clients saw.
import Database from "better-sqlite3"
import { setTimeout as sleep } from "node:timers/promises"

/** Text of the answer, whichever API it is of. */
const textOf = (answer) => {
  const parts = [
    ...(answer.choices ?? []).map(({ message }) => message?.content ?? ""),
    ...(answer.output ?? []).flatMap(({ content }) => content ?? []).map(({ text }) => text ?? ""),
    ...(Array.isArray(answer.content) ? answer.content : []).map(({ text }) => text ?? "")
  ]
  return parts.join("")
}

export class CallLog {
  constructor(path) {
    this.database = new Database(path, { readonly: true })
    this.last = 0
  }

  /** Spans that came since the last time, in the order they began; waits until none is under way, for 20 s at most. */
  async newSpans() {
    const deadline = Date.now() + 20_000
    for (;;) {
      const spans = this.database.prepare("SELECT rowid AS row, * FROM spans WHERE rowid > ? ORDER BY start_time_us")
        .all(this.last)
      if (spans.every(({ state }) => state !== "open") || Date.now() > deadline) {
        this.last = Math.max(this.last, ...spans.map(({ row }) => row))
        return spans.map((span) => ({ ...span, attributes: JSON.parse(span.attributes) }))
      }
      await sleep(20)
    }
  }

  answerOf(span) {
    const sha256 = span.answer_sha256 ?? span.response_sha256
    const row = this.database.prepare("SELECT content FROM payloads WHERE sha256 = ?").get(sha256 ?? "")
    try {
      return { text: textOf(JSON.parse(row.content.toString("utf8"))) }
    } catch {
      return { text: "" }
    }
  }

  /** What is different between a call as its client saw it and its span, in words. */
  compare(call, span, rolloutId) {
    if (span === undefined) return ["no span"]
    const problems = []
    const check = (what, expected, found) => {
      if (expected !== undefined && JSON.stringify(expected) !== JSON.stringify(found)) {
        problems.push(`${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`)
      }
    }
    check("state", "done", span.state)
    check("status", call.status ?? 200, span.status_code)
    check("path", true, span.path.split("?")[0].endsWith(call.path))
    check("model", call.model === undefined ? "sim/arithmetic" : call.model, span.model)
    check("input tokens", call.input, span.input_tokens)
    check("output tokens", call.output, span.output_tokens)
    check("tools", call.tools, span.attributes["tau.answer.tool_calls"])
    if (call.text !== undefined) check("answer", call.text, this.answerOf(span).text)
    if (rolloutId !== null) check("rollout", rolloutId, span.rollout_id)
    else check("capture session", true, span.rollout_id.startsWith("capture-"))
    if (!call.path.startsWith("/files")) check("unread", null, span.attributes["tau.unassembled"] ?? null)
    return problems
  }

  close() {
    this.database.close()
  }
}
