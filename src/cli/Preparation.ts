/** What a run needs to begin, found before anything is written; fails with whatever the run would be refused for. */
import * as Effect from "effect/Effect"
import type { RunConfig } from "../domain/RunConfig.js"
import { UsageError } from "./CliError.js"
import { loadConfig } from "./ConfigFile.js"
import type { OptimizeMode } from "./Mode.js"
import { checkPrograms } from "./Programs.js"
import type { Environment } from "./Providers.js"
import { reflectionModel } from "./SearchPart.js"
import { seedResources } from "./SeedResources.js"
import { sideModel } from "./SideModel.js"
import { upstreamOf } from "./Upstream.js"

/** A simulated model that the run asks is served until the scope ends. */
export const preparation = Effect.fnUntraced(function*(mode: OptimizeMode, environment: Environment) {
  const { config, folder, path } = yield* loadConfig(mode.configPath)
  yield* checkForce(mode, config)
  yield* checkPrograms(mode.configPath, config, folder)
  const seed = yield* seedResources(mode, config, folder)
  const places = { flag: mode.proxy.upstreamUrl, config: config.upstream_url }
  const upstream = yield* upstreamOf({ ...mode, ...places }, environment)
  const judges = yield* Effect.forEach(
    judgeModels(config, mode.modelRef),
    (model) => sideModel(mode, model, environment)
  )
  const reflection = yield* reflectionModel(config, mode, environment)
  return { config, folder, path, seed, upstream, judges, reflection }
})

/** Without a search there is no version that could be forced on anybody. */
const checkForce = ({ configPath, force }: OptimizeMode, { optimizer }: RunConfig) =>
  force && optimizer.algorithm === "evaluate"
    ? new UsageError({
      detail: `--force needs a search, and ${configPath} has none: its $.optimizer.algorithm is "evaluate"`
    })
    : Effect.void

/** The models that the config's judges are. */
const judgeModels = ({ scoring }: RunConfig, ofRun: string): ReadonlyArray<string> => [
  ...new Set((scoring ?? []).flatMap((scorer) => scorer.kind === "judge" ? [scorer.model ?? ofRun] : []))
]
