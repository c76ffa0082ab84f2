import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { join } from "node:path"
import { Reward, type RolloutRejected, type Scorable, Scorer, type ScoringFailed } from "../../src/domain/Reward.js"
import { RunConfig } from "../../src/domain/RunConfig.js"
import { ActorTree } from "../../src/runtime/ActorTree.js"
import { AgentEndpoint } from "../../src/runtime/AgentEndpoint.js"
import { Announcer } from "../../src/runtime/Announcer.js"
import { type Assignment, type AttemptFailed, type Execution, Executor } from "../../src/runtime/Executor.js"
import { Leases } from "../../src/runtime/Leases.js"
import { run } from "../../src/runtime/Run.js"
import { StatusReporter } from "../../src/runtime/StatusReporter.js"
import type { Summary } from "../../src/runtime/Summary.js"
import { storeAt } from "./store.js"

export interface FakeAgent {
  readonly execute: (assignment: Assignment) => Effect.Effect<Execution, AttemptFailed>
  readonly score?: (scorable: Scorable) => Effect.Effect<1 | 0, ScoringFailed | RolloutRejected>
  /** Collects what is said to the person at the terminal. */
  readonly said?: Array<string>
  readonly heartbeatIntervalMs?: number
  /** Why calls of the agent are refused now. */
  readonly refusal?: () => string | null
}

/** An announcer that remembers. */
export const announcing = (said: Array<string>) => {
  const say = (line: string) => Effect.sync(() => void said.push(line))
  return Layer.succeed(Announcer, { say, show: say, settle: Effect.void, redraws: false, columns: 80, colours: false })
}

/** The whole runtime over a store file, but for the agent. */
export const runtimeAt = (folder: string, agent: FakeAgent) =>
  Layer.mergeAll(
    Leases.layer({ heartbeatIntervalMs: agent.heartbeatIntervalMs ?? 1_000 }),
    StatusReporter.layer,
    Layer.succeed(Executor, { execute: agent.execute }),
    Layer.succeed(Scorer, {
      score: (scorable) =>
        Effect.map(agent.score?.(scorable) ?? Effect.succeed(1 as const), (value) => ({
          rewards: [new Reward({ name: "fake", value, feedback: null })],
          score: value
        }))
    }),
    Layer.succeed(AgentEndpoint, {
      origin: "http://127.0.0.1:1",
      apiKey: "for-tests",
      secrets: [],
      model: "fake",
      refusal: agent.refusal ?? (() => null)
    })
  ).pipe(
    Layer.provideMerge(announcing(agent.said ?? [])),
    Layer.provideMerge(ActorTree.layer("run", storePathIn(folder))),
    Layer.provideMerge(storeAt(storePathIn(folder)))
  )

export const storePathIn = (folder: string) => join(folder, "store.sqlite")

/** Runs `count` rollouts in a folder's store. The same folder, count and config resume each other. */
export const runIn = (
  folder: string,
  count: number,
  config: Partial<typeof RunConfig.Encoded> = {},
  report: (summary: Summary) => Effect.Effect<void> = () => Effect.void,
  drainMs = 0
) =>
  run({
    config: Schema.decodeSync(RunConfig)({
      optimize: Array.from({ length: count }, (_, n) => ({ prompt: `question ${n + 1}` })),
      poll_interval_ms: 5,
      heartbeat_interval_ms: 100,
      completion_poll_interval_ms: 5,
      ...config
    }),
    configHash: `c0ffee${count}`,
    configPath: "config.json",
    modelRef: "fake/model",
    simulated: false,
    storePath: storePathIn(folder),
    command: null,
    principal: "local:tester",
    search: null,
    drainMs,
    report
  })
