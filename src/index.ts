/**
 * The public API: the layers and ports of tau, for programs that embed it. The `tau` command is built from the same parts.
 *
 * ```ts
 * import { defaultLimits, Proxy, Sqlite } from "tau"
 * import { Effect, Layer } from "effect"
 *
 * const proxy = Proxy.layer({
 *   bind: { host: "127.0.0.1", port: 8788 },
 *   upstreamUrl: "https://api.openai.com/v1",
 *   timeoutMs: 30_000,
 *   attributionRequired: false,
 *   clientKey: null,
 *   upstreamKey: null,
 *   attributionLogPath: null,
 *   recordPolicy: "required",
 *   onDisconnect: "cancel",
 *   warn: console.error,
 *   limits: defaultLimits
 * }).pipe(Layer.provide(Sqlite.layer({ path: "store.sqlite", kind: "proxy" })))
 *
 * await Effect.runPromise(Layer.launch(proxy))
 * ```
 */
export { Attribution, toBaseUrl } from "./domain/Attribution.js"
export { AttemptId, RolloutId, RunId, SpanId, WorkerId } from "./domain/Ids.js"
export { GateConfig, OptimizerConfig } from "./domain/OptimizerConfig.js"
export { Resources, ResourceValues } from "./domain/Resources.js"
export {
  Reward,
  RolloutRejected,
  type SafetyEvent,
  type Scorable,
  type Scored,
  Scorer,
  ScoringFailed
} from "./domain/Reward.js"
export { Attempt, AttemptStatus, Example, Rollout, RolloutMode, RolloutStatus } from "./domain/Rollout.js"
export { ExecutorConfig, ResumeConfig, RunConfig, ScorerConfig } from "./domain/RunConfig.js"
export { Span, SpanState } from "./domain/Span.js"
export { Proxy } from "./proxy/Proxy.js"
export { ProxyStartError } from "./proxy/ProxyError.js"
export { defaultLimits, type ProxyLimits, type ProxyOptions } from "./proxy/ProxyOptions.js"
export * as ChatExecutor from "./runtime/ChatExecutor.js"
export * as CommandExecutor from "./runtime/CommandExecutor.js"
export { type Assignment, AttemptFailed, type Execution, Executor } from "./runtime/Executor.js"
export * as HttpExecutor from "./runtime/HttpExecutor.js"
export * as Scoring from "./scoring/Scoring.js"
export { type Page, type PageRequest, UnknownCursor } from "./store/Page.js"
export { ResourceStore } from "./store/ResourceStore.js"
export { Claim, RolloutQueue } from "./store/RolloutQueue.js"
export { RolloutStore } from "./store/RolloutStore.js"
export {
  type BegunRun,
  ExampleScores,
  ModeScore,
  RewardMean,
  RunProgress,
  RunState,
  RunStore
} from "./store/RunStore.js"
export { anySpan, type SpanFilter, SpanStore } from "./store/SpanStore.js"
export * as Sqlite from "./store/Sqlite.js"
export { IllegalMove, LeaseLost, StoreBusy, StoreError } from "./store/StoreError.js"
export { Writer } from "./store/Writer.js"
