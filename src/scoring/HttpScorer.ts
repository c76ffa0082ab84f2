/** Asks a server for the score: one POST of what to judge, whose answer is the verdict. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Scorable } from "../domain/Reward.js"
import type { ScorerConfig } from "../domain/RunConfig.js"
import { postJson } from "../http/PostJson.js"
import { quoted, readVerdict, type Verdict, verdictForm } from "./Verdict.js"

type HttpScorerConfig = Extract<ScorerConfig, { readonly kind: "http" }>

const verdictBytesMax = 1_048_576

/** Fails with words when the server cannot be reached, is late, refuses, or answers no score in [0, 1]. */
export const httpScorer =
  ({ headers = {}, timeout_secs, url }: HttpScorerConfig) =>
  ({ example, output, rolloutId }: Scorable): Effect.Effect<Verdict, string> =>
    Effect.gen(function*() {
      const { isWhole, status, text } = yield* postJson({
        url,
        headers,
        body: { example, output, rollout_id: rolloutId },
        bytesMax: verdictBytesMax
      }).pipe(
        Effect.mapError(({ detail }) => detail),
        Effect.timeoutFail({
          duration: Duration.seconds(timeout_secs),
          onTimeout: () => `the server took longer than ${timeout_secs} s`
        })
      )
      const said = text.trim() === "" ? "" : `: ${quoted(text.trim())}`
      if (status < 200 || status > 299) {
        const hint = status > 299 && status < 400 ? " (redirects are not followed)" : ""
        return yield* Effect.fail(`the server answered with ${status}${hint}${said}`)
      }
      if (!isWhole) return yield* Effect.fail(`the server answered with more than ${verdictBytesMax} bytes`)
      return yield* Option.match(readVerdict(text), {
        onNone: () => Effect.fail(`the server must answer with ${verdictForm}; it answered ${quoted(text.trim())}`),
        onSome: Effect.succeed
      })
    })
