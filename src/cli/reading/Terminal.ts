/** Where answers go: as wide as the reader's window, in colours when there is one, and no faster than it is read. */
import * as Effect from "effect/Effect"

export type Colour = "good" | "bad" | "dim" | "strong" | "new" | "warn"

const codes: Record<Colour, readonly [number, number]> = {
  good: [32, 39],
  bad: [31, 39],
  warn: [33, 39],
  dim: [2, 22],
  strong: [1, 22],
  new: [32, 39]
}

const stream = process.stdout

const colours = stream.isTTY && (process.env["NO_COLOR"] ?? "") === "" && process.env["TERM"] !== "dumb"

/** No narrower than ids and figures need, no wider than eyes can follow. */
export const columns = Math.min(Math.max(stream.isTTY ? stream.columns || 80 : 80, 60), 160)

/** The text in a colour, where the reader can see it. */
export const paint = (colour: Colour | null, text: string): string => {
  if (!colours || colour === null || text === "") return text
  const [on, off] = codes[colour]
  return `\u001B[${on}m${text}\u001B[${off}m`
}

/** Writes, and waits while the reader is behind. False once nobody reads any more, which is no failure: stop then. */
export const write = (chunk: string | Uint8Array): Effect.Effect<boolean> =>
  Effect.async((resume) => {
    if (hasGone()) return resume(Effect.succeed(false))
    const done = () => {
      stream.off("drain", done).off("close", done).off("error", done)
      resume(Effect.sync(() => !hasGone()))
    }
    if (stream.write(chunk)) return resume(Effect.succeed(true))
    stream.once("drain", done).once("close", done).once("error", done)
    return Effect.sync(() => void stream.off("drain", done).off("close", done).off("error", done))
  })

// Node revives its own stdout after an error, as of a full disk: the stream itself forgets that it failed.
let hasFailed = false
stream.on("error", () => {
  hasFailed = true
})

const hasGone = () => hasFailed || stream.destroyed || stream.errored !== null || !stream.writable

/** A text of whole lines, and success as the exit code. */
export const print = (lines: ReadonlyArray<string>): Effect.Effect<number> =>
  Effect.as(write(lines.map((line) => `${line.trimEnd()}\n`).join("")), 0)

const statusColours: Readonly<Record<string, Colour>> = {
  succeeded: "good",
  completed: "good",
  live: "good",
  failed: "bad",
  lost: "bad",
  crashed: "bad",
  timeout: "bad",
  unresponsive: "bad",
  upstream_cut: "bad",
  upstream_error: "bad",
  refused: "bad",
  unknown_after_crash: "bad",
  client_cancel: "warn",
  paused: "warn",
  stopped: "warn",
  cancelled: "warn",
  "handed back": "warn",
  requeuing: "warn"
}

/** Of any status of a run, a rollout, an attempt, a worker or a call; null for one that says nothing special. */
export const colourOf = (status: string): Colour | null => statusColours[status] ?? null
