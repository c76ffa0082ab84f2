/** Runs the agent that is only a prompt: one chat completion per attempt. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ChatExecutorConfig } from "../domain/RunConfig.js"
import { chatCall, type ChatCallFailed, chatConnections } from "../http/ChatCall.js"
import { chatRequest } from "./ChatRequest.js"
import { AttemptFailed, Executor } from "./Executor.js"

/** An attempt fails with `AttemptFailed` where the model refuses, cannot be reached, or gives no text. */
export const layer = (config: typeof ChatExecutorConfig.Type): Layer.Layer<Executor> =>
  Layer.scoped(
    Executor,
    Effect.map(chatConnections, (connections) => ({
      execute: (assignment) =>
        Effect.gen(function*() {
          const { apiKey, baseUrl, deadlineMs } = assignment
          const body = yield* chatRequest(config, assignment)
          const { output } = yield* Effect.mapError(
            chatCall(connections, {
              baseUrl: Effect.succeed(baseUrl),
              apiKey,
              body,
              ...(deadlineMs !== undefined && { deadlineMs })
            }),
            attemptFailed
          )
          return { output }
        })
    }))
  )

const attemptFailed = ({ detail, permanent, reason, retryAfterMs }: ChatCallFailed) =>
  new AttemptFailed({
    reason: reason === "size" ? "output" : reason,
    detail,
    permanent,
    stderrTail: null,
    ...(retryAfterMs !== undefined && { pauseMs: retryAfterMs })
  })
