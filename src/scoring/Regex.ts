import * as Effect from "effect/Effect"
import { regexOccurs } from "../process/BoundedRegex.js"
import { clip, hit, miss, quoted, type Verdict } from "./Verdict.js"

/** Whether the pattern occurs in the answer, untrimmed. Fails with words when the pattern is none or takes too long. */
export const regex = (output: string, pattern: unknown, flags: string): Effect.Effect<Verdict, string> =>
  typeof pattern !== "string"
    ? Effect.fail("the reference must be a text, the pattern to find")
    : regexOccurs(pattern, flags, output).pipe(
      Effect.map((found) =>
        found ? hit : miss(`the answer does not match /${clip(pattern, 300)}/${flags}; got ${quoted(output.trim())}`)
      ),
      Effect.mapError((error) => error.detail)
    )
