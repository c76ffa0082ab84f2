/** Puts what the spans of an attempt say about safety into its rewards. Wraps whatever scorer there is. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { AttemptId } from "../domain/Ids.js"
import { RolloutRejected, type Scorable, Scorer, ScoringFailed } from "../domain/Reward.js"
import { type SafetyRewardConfig, withSafety } from "../domain/SafetyReward.js"
import type { Span } from "../domain/Span.js"
import { conversationOf, textOfBody } from "../openai/Conversation.js"
import { parseJson } from "../openai/Json.js"
import { SpanStore } from "../store/SpanStore.js"
import type { StoreError } from "../store/StoreError.js"
import { type Exchange, reasonCodesOf } from "./SafetySignals.js"

/** A scorer that fines what the policy names, or rejects it. Fails with `ScoringFailed` where the calls cannot be read. */
export const layer = (policy: SafetyRewardConfig): Layer.Layer<Scorer, never, Scorer | SpanStore> =>
  Layer.effect(
    Scorer,
    Effect.gen(function*() {
      const inner = yield* Scorer
      const spans = yield* SpanStore
      return {
        score: (scorable) =>
          Effect.gen(function*() {
            // Before there is any call of a judge: what a judge is shown and says is not the agent's behaviour.
            const signals = yield* signalsOf(spans, scorable)
            const scored = yield* inner.score(scorable)
            const { isGated, ...verdict } = withSafety(policy, signals, scored)
            if (isGated && policy.reject_rollout_on_hard_gate) {
              return yield* new RolloutRejected({
                detail: `the hard gate of safety_reward: ${[...signals.reasonCodes].join(", ") || "a blocked event"}`,
                rewards: verdict.rewards
              })
            }
            return verdict
          })
      }
    })
  )

const signalsOf = (store: SpanStore["Type"], { attemptId, output, safetyEvents = [] }: Scorable) =>
  Effect.gen(function*() {
    const exchanges = yield* exchangesOf(store, attemptId)
    const prompts = exchanges.flatMap(({ request }) => systemPromptsIn(request))
    const codes = reasonCodesOf(exchanges, output, prompts)
    return {
      reasonCodes: new Set([...codes, ...safetyEvents.flatMap(({ reasonCodes }) => reasonCodes)]),
      blockedEvents: safetyEvents.filter(({ blocked }) => blocked).length
    }
  }).pipe(Effect.mapError(({ message }) => new ScoringFailed({ scorer: "safety_reward", detail: message })))

const exchangesOf = (
  store: SpanStore["Type"],
  attemptId: AttemptId
): Effect.Effect<ReadonlyArray<Exchange>, StoreError> =>
  Effect.flatMap(
    store.byAttempt(attemptId),
    (spans) =>
      Effect.forEach(spans, (span) =>
        Effect.all({ request: textOf(store, span.requestSha256), response: textOf(store, answerOf(span)) }))
  )

const answerOf = ({ answerSha256, responseSha256 }: Span) => answerSha256 ?? responseSha256

const textOf = (store: SpanStore["Type"], sha256: string | null): Effect.Effect<string, StoreError> =>
  sha256 === null
    ? Effect.succeed("")
    : Effect.map(store.payload(sha256), (found) => Option.match(found, { onNone: () => "", onSome: textOfBody }))

/** What each request gave as instructions: its messages of the roles `system` and `developer`, and their likes. */
const systemPromptsIn = (request: string): ReadonlyArray<string> =>
  conversationOf(parseJson(request), undefined).input.flatMap(({ parts, role }) =>
    role === "system" || role === "developer"
      ? [parts.flatMap((part) => part.type === "text" ? [part.content] : []).join("\n")]
      : []
  )
