import * as Effect from "effect/Effect"
import { AttemptId, RolloutId } from "../../src/domain/Ids.js"
import { type Assignment, Executor } from "../../src/runtime/Executor.js"

export const assignment = (more: Partial<Assignment> = {}): Assignment => ({
  rolloutId: RolloutId.make("rollout-1"),
  attemptId: AttemptId.make("rollout-1:attempt-1"),
  attempt: 1,
  example: { prompt: "What is 2 + 2?", expected: "4" },
  resources: { system_prompt: "Answer with a number." },
  resourcesVersion: 1,
  model: "gpt-4o-mini",
  baseUrl: "http://127.0.0.1:9/rollout/rollout-1/attempt/rollout-1:attempt-1/v1",
  apiKey: "tau-run-key",
  ...more
})

export const execute = (more: Partial<Assignment> = {}) =>
  Effect.flatMap(Executor, (executor) => executor.execute(assignment(more)))
