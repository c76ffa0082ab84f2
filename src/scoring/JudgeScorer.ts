/**
 * Asks a model with a rubric for the score and the reason. Its calls go through the run's proxy under the attempt that they
 * judge: spans of the role `judge`.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { Attribution, toBaseUrl } from "../domain/Attribution.js"
import type { Scorable } from "../domain/Reward.js"
import type { JudgeScorerConfig } from "../domain/RunConfig.js"
import { chatCall, chatConnections, JsonMode } from "../http/ChatCall.js"
import { type Judgement, readJudgement } from "./JudgeAnswer.js"
import { judgePrompt, type Message } from "./JudgePrompt.js"
import { clip, feedbackCharsMax, hit, type Refused, type Verdict } from "./Verdict.js"

/** Where a judge is asked. */
export interface JudgeModel {
  /** Of a proxy that knows attributions, without a trailing slash. */
  readonly origin: string
  /** Good for that proxy only. */
  readonly apiKey: string
  /** Name of the model to ask for, without the provider. */
  readonly model: string
}

/** Answers that cannot be read before the judge is given up. */
const triesMax = 3
/** Of an answer that could not be read so much is shown to the judge again. */
const answerCharsMax = 2000

/** Fails with words when the judge cannot be reached, is late, or gives no score on the scale. */
export const judgeScorer = (config: JudgeScorerConfig, { apiKey, model, origin }: JudgeModel) => {
  const json = new JsonMode()

  const asked = (
    scorable: Scorable,
    messages: ReadonlyArray<Message>,
    deadlineMs: number
  ): Effect.Effect<string, string | Refused> =>
    Effect.flatMap(chatConnections, (connections) =>
      chatCall(connections, {
        baseUrl: Effect.succeed(toBaseUrl(origin, new Attribution(scorable))),
        apiKey,
        body: {
          ...config.parameters,
          ...(config.max_tokens !== undefined && { max_tokens: config.max_tokens }),
          stream: false,
          model,
          messages
        },
        json,
        deadlineMs
      })).pipe(
        Effect.scoped,
        Effect.mapBoth({
          onFailure: ({ detail, permanent }) => permanent ? { refused: detail } : detail,
          onSuccess: ({ output }) => output
        })
      )

  const judgement = (scorable: Scorable): Effect.Effect<Judgement, string | Refused> =>
    Effect.gen(function*() {
      const deadlineMs = (yield* Clock.currentTimeMillis) + config.timeout_secs * 1000
      let messages = judgePrompt(config, scorable.example, scorable.output)
      for (let tries = 1;; tries += 1) {
        const answer = yield* asked(scorable, messages, deadlineMs)
        const read = readJudgement(answer, config.scale, scorable.output)
        if (Either.isRight(read)) return read.right
        if (tries === triesMax) {
          return yield* Effect.fail(`its answer could not be read ${triesMax} times; the last time ${read.left}`)
        }
        messages = [...messages, ...correction(answer, read.left)]
      }
    }).pipe(
      Effect.timeoutFail({
        duration: Duration.seconds(config.timeout_secs),
        onTimeout: () => `the judge took longer than ${config.timeout_secs} s`
      })
    )

  return (scorable: Scorable): Effect.Effect<Verdict, string | Refused> =>
    config.expected !== undefined && !Object.hasOwn(scorable.example, config.expected)
      ? Effect.fail(`the example has no field ${JSON.stringify(config.expected)} to compare with`)
      : Effect.map(
        // One after the other: a replay after a crash meets them in the same order.
        Effect.forEach(Array.from({ length: config.samples }), () => judgement(scorable)),
        (judgements) => verdictOf(judgements, config)
      )
}

const correction = (answer: string, problem: string): ReadonlyArray<Message> => [
  { role: "assistant", content: clip(answer.trim() === "" ? "(nothing)" : answer, answerCharsMax) },
  {
    role: "user",
    content: `This cannot be read as a judgement: ${problem}. Answer again, with one JSON object and nothing else: ` +
      "{\"feedback\": text, \"score\": number}"
  }
]

/** The mean on a scale from 0 to 1; in words, what the least content of the judgements says. */
const verdictOf = (
  judgements: ReadonlyArray<Judgement>,
  { scale: [low, high] }: Pick<JudgeScorerConfig, "scale">
): Verdict => {
  const values = judgements.map(({ score }) => (score - low) / (high - low))
  const value = Math.min(1, values.reduce((sum, one) => sum + one, 0) / values.length)
  if (value === 1) return hit
  const least = judgements.reduce((worst, one) => one.score < worst.score ? one : worst)
  const scores = judgements.slice(0, 10).map(({ score }) => shown(score)).join(", ")
  const more = judgements.length > 10 ? ", …" : ""
  const range = `on a scale from ${shown(low)} to ${shown(high)}`
  const said = judgements.length === 1
    ? `the judge gave ${scores} ${range}`
    : `${judgements.length} judgements gave ${scores}${more} ${range}; the lowest`
  const reason = least.feedback === "" ? " and no reason" : `: ${least.feedback}`
  return { value, feedback: clip(`${said}${reason}`, feedbackCharsMax) }
}

const shown = (value: number) => String(Number(value.toPrecision(6)))
