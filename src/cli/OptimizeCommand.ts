import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ExecutorConfig, RunConfig } from "../domain/RunConfig.js"
import { visible } from "../domain/TerminalText.js"
import { searchJson } from "../optimizer/report/searchJson.js"
import type { SearchReport } from "../optimizer/report/SearchReport.js"
import { searchText } from "../optimizer/report/searchText.js"
import { searchReport } from "../optimizer/run/reportOf.js"
import type { ProxyOptions } from "../proxy/ProxyOptions.js"
import { ActorTree } from "../runtime/ActorTree.js"
import { Announcer } from "../runtime/Announcer.js"
import * as ChatExecutor from "../runtime/ChatExecutor.js"
import * as CommandExecutor from "../runtime/CommandExecutor.js"
import { ControlSocket } from "../runtime/ControlSocket.js"
import * as HttpExecutor from "../runtime/HttpExecutor.js"
import { Leases } from "../runtime/Leases.js"
import * as Run from "../runtime/Run.js"
import { StatusReporter } from "../runtime/StatusReporter.js"
import { type Summary, summaryJson } from "../runtime/Summary.js"
import { summaryText } from "../runtime/summaryText.js"
import * as SafetyScoring from "../scoring/SafetyScoring.js"
import * as Scoring from "../scoring/Scoring.js"
import { GateStore } from "../store/GateStore.js"
import { ReflectionStore } from "../store/ReflectionStore.js"
import { ResourceStore } from "../store/ResourceStore.js"
import { RolloutQueue } from "../store/RolloutQueue.js"
import { RunEvents } from "../store/RunEvents.js"
import { RunFindings } from "../store/RunFindings.js"
import { RunStanding } from "../store/RunStanding.js"
import { RunStore } from "../store/RunStore.js"
import { SearchReader } from "../store/SearchReader.js"
import { SearchStore } from "../store/SearchStore.js"
import { SpanStore } from "../store/SpanStore.js"
import * as Sqlite from "../store/Sqlite.js"
import { WorkerStore } from "../store/WorkerStore.js"
import type { CommandError } from "./CliError.js"
import { configHash } from "./ConfigHash.js"
import { dashboardToken } from "./DashboardToken.js"
import { dryRun } from "./DryRun.js"
import { ExitCode } from "./ExitCode.js"
import type { OptimizeMode } from "./Mode.js"
import { preparation } from "./Preparation.js"
import { localPrincipal } from "./Principal.js"
import type { Environment } from "./Providers.js"
import { proxyActors } from "./ProxyActors.js"
import { proxyWithDashboard } from "./ProxyWithDashboard.js"
import { restartCommand } from "./RestartCommand.js"
import { agentEndpoint, patienceMs, runProxy, type RunProxyOptions } from "./RunProxy.js"
import { searchPart } from "./SearchPart.js"
import { sideEndpoints, type SideModel } from "./SideModel.js"
import { tellOfStranger } from "./Stranger.js"

/**
 * Runs the config to its end, through a proxy of its own, and prints the summary. Exit code 0 when the run completed, which
 * it may do after it was told to stop, and was no search without an answer to any of its reflections: `conclude` gets the code as
 * soon as the result is told.
 */
export const run = (mode: OptimizeMode, conclude: (code: number) => void): Effect.Effect<number, CommandError> =>
  Effect.scoped(optimize(mode, process.env, conclude))

const optimize = Effect.fnUntraced(function*(
  mode: OptimizeMode,
  environment: Environment,
  conclude: (code: number) => void
) {
  if (mode.storeElsewhere !== undefined) {
    yield* Console.error(
      `tau: the store of this run is ${visible(mode.storePath)}; TAU_STORE (${
        visible(mode.storeElsewhere)
      }) is where commands `
        + "such as tau runs and tau promote look: --prompt-optimization-store-sqlite chooses the run's"
    )
  }
  const { config, folder, judges, path, reflection, seed, upstream } = yield* preparation(mode, environment)
  yield* tellOfStranger({ mode, config, folder, path, seed })
  if (mode.dryRun) return yield* dryRun(mode, config, seed)
  const announcing = yield* Layer.build(Announcer.layer(process.stderr, environment))
  const proxy: RunProxyOptions = {
    ...runProxy({
      say: Context.get(announcing, Announcer).say,
      bind: mode.proxy.bind,
      upstream,
      timeoutMs: mode.proxy.timeoutMs ?? patienceMs(config.attempt_timeout_secs),
      storePath: mode.storePath
    }),
    ...(config.resume.replay !== "never" && { replay: config.resume.replay }),
    ...(config.rewrite !== undefined && { rewrite: config.rewrite })
  }

  const upstreamKeys = [upstream, ...[...judges, reflection].map((side) => side?.upstream)].map((asked) => asked?.key)
  const token = yield* dashboardToken(environment)
  const layer = Layer.mergeAll(
    Leases.layer({ heartbeatIntervalMs: config.heartbeat_interval_ms }),
    StatusReporter.layer
  )
    .pipe(
      Layer.provideMerge(executorLayer(config.executor, folder)),
      Layer.provideMerge(scoring(config, folder, { models: judges, proxy, ofRun: mode.modelRef })),
      Layer.provideMerge(agentEndpoint(upstream.model, proxy.clientKey, upstreamKeys)),
      Layer.provideMerge(proxyActors),
      Layer.provideMerge(proxyWithDashboard(proxy, { storePath: mode.storePath, token })),
      // Once the store is there: the socket is beside it.
      Layer.provideMerge(ActorTree.layer("run", mode.storePath)),
      Layer.provideMerge(ControlSocket.layer(mode.storePath)),
      Layer.provideMerge(storeTags),
      Layer.provideMerge(
        Sqlite.layer({ path: mode.storePath, kind: "run", attributionLogPath: proxy.attributionLogPath })
      ),
      Layer.provideMerge(Layer.succeedContext(announcing))
    )
  let code: number = ExitCode.failure
  const running = Effect.flatMap(
    Effect.all([searchPart({ mode, config, proxy, reflection }), Effect.context<SearchReader>()]),
    ([search, context]) =>
      Run.run({
        config,
        search,
        configHash: configHash(config, mode.modelRef, folder),
        configPath: path,
        modelRef: mode.modelRef,
        simulated: mode.model.provider === "sim",
        storePath: mode.storePath,
        command: restartCommand(mode, [process.execPath, ...process.argv.slice(1, 2)], process.cwd()),
        principal: localPrincipal(),
        drainMs: mode.drainMs,
        report: (told) =>
          Effect.gen(function*() {
            const searched = yield* searchTold(told, path)
            yield* Console.log(toldOf(told, searched, mode.json))
            if (searched !== null && searched.unanswered !== null) {
              yield* Console.error(
                "tau: no reflection was answered: mend the reflection model and run the same command again"
              )
            }
            code = exitCodeOf(told, searched)
            conclude(code)
          }).pipe(Effect.provide(context))
      })
  )
  yield* Effect.provide(running, layer)
  return code
})

/** What a search came to; null where nothing was searched for, or it cannot be read now: the store keeps it. */
const searchTold = ({ runId, runState, stoppedReason, storePath }: Summary, configPath: string) =>
  searchReport({
    id: runId,
    stands: stoppedReason === null || runState === "cancelled" ? runState : "stopped",
    stopReason: stoppedReason,
    configPath
  }, storePath).pipe(Effect.orElseSucceed(() => null))

const toldOf = (summary: Summary, searched: SearchReport | null, json: boolean): string => {
  if (json) {
    return summaryJson(summary, searched === null ? {} : { search: JSON.parse(searchJson(searched)) as unknown })
  }
  return searched === null ? summaryText(summary) : `${searchText(searched)}\n\n${summaryText(summary)}`
}

export const storeTags = Layer.mergeAll(
  ResourceStore.layer,
  RolloutQueue.layer,
  RunEvents.layer,
  RunFindings.layer,
  RunStanding.layer,
  RunStore.layer,
  SearchReader.layer,
  SearchStore.layer,
  ReflectionStore.layer,
  GateStore.layer,
  SpanStore.layer,
  WorkerStore.layer
)

/** A search without its reflection model has not searched, however it ended. */
const exitCodeOf = ({ runState }: Summary, searched: SearchReport | null) =>
  runState === "completed" && (searched?.unanswered ?? null) === null ? ExitCode.success : ExitCode.failure

/** Without a policy nothing looks at the spans. */
const scoring = (
  { safety_reward: safety, scoring }: RunConfig,
  baseDir: string,
  judges: { readonly models: ReadonlyArray<SideModel>; readonly proxy: ProxyOptions; readonly ofRun: string }
) => {
  const plain = Layer.unwrapScoped(
    Effect.map(
      sideEndpoints(judges.models, judges.proxy),
      (endpoints) => Scoring.layer({ scoring, baseDir, judgeModel: (model) => endpoints.get(model ?? judges.ofRun)! })
    )
  )
  return safety === undefined ? plain : Layer.provide(SafetyScoring.layer(safety), plain)
}

/** What carries out the attempts; `folder` is the config's. */
export const executorLayer = (chosen: ExecutorConfig, folder: string) => {
  switch (chosen.kind) {
    case "chat":
      return ChatExecutor.layer(chosen)
    case "command":
      return CommandExecutor.layer(chosen, folder)
    case "http":
      return HttpExecutor.layer(chosen)
  }
}
