import * as Effect from "effect/Effect"
import { regexFind } from "../process/BoundedRegex.js"
import { around, clip, hit, miss, quoted, type Verdict } from "./Verdict.js"

/** Whether the pattern occurs in the answer, untrimmed. Fails with words when the pattern is none or takes too long. */
export const regex = (output: string, pattern: unknown, flags: string): Effect.Effect<Verdict, string> =>
  typeof pattern !== "string" || pattern === ""
    // An empty one is found in every answer.
    ? Effect.fail("the reference must be a text that is not empty, the pattern to find")
    : regexFind(pattern, flags, output).pipe(
      Effect.mapError((error) => error.detail),
      Effect.flatMap((found) =>
        found !== null
          ? Effect.succeed(hit)
          : Effect.map(nearest(output, pattern, flags), (near) =>
            miss(`the answer does not match /${clip(pattern, 300)}/${flags}${near}; got ${quoted(output.trim())}`))
      )
    )

/** What a hint may cost: patterns tried, on so much of the answer. One that backtracks too much is the last. */
const prefixesMax = 10
const outputCharsMax = 2_000

/** What of the pattern is there, in words; empty when nothing telling is. */
const nearest = (whole: string, pattern: string, flags: string): Effect.Effect<string> =>
  Effect.gen(function*() {
    const output = whole.slice(0, outputCharsMax)
    const find = (source: string, otherFlags = flags) =>
      regexFind(source, otherFlags, output).pipe(
        Effect.catchAll((error) => error.reason === "syntax" ? Effect.succeed(null) : Effect.fail(error))
      )
    const at = ({ index, text }: { readonly index: number; readonly text: string }) =>
      around(output, index, index + text.length)
    const bare = withoutAnchors(pattern)
    if (!flags.includes("i")) {
      const found = yield* find(pattern, `${flags}i`)
      if (found !== null) return `; in other case it would, at ${at(found)}`
    }
    if (bare !== pattern) {
      const found = bare === "" ? null : yield* find(bare)
      if (found !== null && found.text !== "") return `; without its anchors it would, at ${at(found)}`
    }
    for (const beginning of beginningsOf(bare)) {
      const found = yield* find(beginning)
      if (found !== null && found.text.trim().length >= 3) {
        return `; its beginning /${clip(beginning, 100)}/ is at ${at(found)}`
      }
    }
    return ""
  }).pipe(Effect.orElseSucceed(() => ""))

const withoutAnchors = (pattern: string): string =>
  pattern.replace(/^\^/, "").replace(/(?<!\\)(?:\\\\)*\$$/, (end) => end.slice(0, -1))

/** Beginnings of a pattern, the longest first, evenly spread. Those that are no pattern match nothing. */
const beginningsOf = (pattern: string): ReadonlyArray<string> => {
  const step = Math.max(1, Math.ceil((pattern.length - 1) / prefixesMax))
  const lengths = Array.from({ length: prefixesMax }, (_, n) => pattern.length - 1 - n * step)
  return lengths.filter((length) => length > 0).map((length) => pattern.slice(0, length))
}
