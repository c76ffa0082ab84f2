import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { visible } from "../domain/TerminalText.js"

/** The part of a terminal's or a file's stream that is used. */
export interface Screen {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly write: (text: string) => unknown
}

/** Whether a line of it can be written over. */
export const canRedraw = (stream: Screen, environment: Readonly<Record<string, string | undefined>>): boolean =>
  stream.isTTY === true && environment["TERM"] !== "dumb"

/** What the person at the terminal reads while a run is under way. All of it goes to stderr: stdout is for the result. */
export class Announcer extends Context.Tag("tau/runtime/Announcer")<Announcer, {
  /** A line that stays. */
  readonly say: (line: string) => Effect.Effect<void>
  /** Replaces the last `show` on a terminal; where nothing can be redrawn it is a line that stays. */
  readonly show: (line: string) => Effect.Effect<void>
  /** Leaves the last `show` as it is: what goes to stdout now stands below it. */
  readonly settle: Effect.Effect<void>
  /** Whether a shown line is redrawn in place. */
  readonly redraws: boolean
  /** As wide as the terminal is now. */
  readonly columns: number
  readonly colours: boolean
}>() {
  /** `NO_COLOR` is the convention of no-color.org. */
  static readonly layer = (
    stream: Screen,
    environment: Readonly<Record<string, string | undefined>>
  ): Layer.Layer<Announcer> =>
    Layer.scoped(
      Announcer,
      Effect.gen(function*() {
        const redraws = canRedraw(stream, environment)
        let isShown = false
        const erase = () => {
          const wasShown = isShown
          isShown = false
          return wasShown ? "\r\u001B[K" : ""
        }
        // The last redrawn line stays: the cursor moves below it.
        const settle = Effect.sync(() => {
          if (isShown) stream.write("\n")
          isShown = false
        })
        yield* Effect.addFinalizer(() => settle)
        return {
          redraws,
          settle,
          get columns() {
            // 0 is how a terminal says that it does not know.
            return Math.min(80, stream.columns || 80)
          },
          colours: redraws && (environment["NO_COLOR"] ?? "") === "",
          // It may quote an agent, or a model.
          say: (line) => Effect.sync(() => void stream.write(`${erase()}${visible(line)}\n`)),
          show: (line) =>
            Effect.sync(() => {
              stream.write(redraws ? `${erase()}${line}` : `${line}\n`)
              isShown = redraws
            })
        }
      })
    )
}
