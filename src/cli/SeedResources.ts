/**
 * What a run begins with: the config's resources, or the latest version in the store, which is only read. A run that is resumed
 * stays with what it was begun with, whatever is the latest since.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { existsSync } from "node:fs"
import type { ResourceValues } from "../domain/Resources.js"
import type { RunConfig } from "../domain/RunConfig.js"
import * as ReadOnlyStore from "../store/ReadOnlyStore.js"
import { ResourceReader } from "../store/ResourceReader.js"
import type { ConfigError } from "./CliError.js"
import { problemsIn } from "./ConfigFile.js"
import { configHash } from "./ConfigHash.js"
import { replacementProblems } from "./ConfigRules.js"
import type { OptimizeMode } from "./Mode.js"
import { componentProblems } from "./SearchRules.js"

/** Fails, before anything is written, when there is no text that the config's search could search over, or its rules put in place. */
export const seedResources = (
  mode: OptimizeMode,
  config: RunConfig,
  folder: string
): Effect.Effect<ResourceValues, ConfigError> =>
  Effect.gen(function*() {
    if (config.resources !== undefined) return config.resources
    const { optimizer, rewrite = [] } = config
    const searches = optimizer.algorithm !== "evaluate"
    if (!searches && rewrite.length === 0) return {}
    const known = yield* knownIn(mode.storePath, configHash(config, mode.modelRef, folder))
    // A store that cannot be read yet is the run's to bring up to date, or to report.
    if (Option.isNone(known)) return {}
    const where = `"resources", or in the latest version of them in ${mode.storePath}`
    const problems = [
      ...(searches ? componentProblems(optimizer, known.value, where) : []),
      ...replacementProblems(rewrite, known.value, where)
    ]
    return problems.length === 0 ? known.value : yield* problemsIn(mode.configPath, problems)
  })

/** None when the store cannot be read; one that is not there has no resources. */
const knownIn = (storePath: string, hash: string): Effect.Effect<Option.Option<ResourceValues>> =>
  existsSync(storePath)
    ? Effect.gen(function*() {
      const { latest, ofUnfinished } = yield* ResourceReader
      const begun = yield* ofUnfinished(hash)
      const found = Option.isSome(begun) ? begun : yield* latest
      return Option.match(found, { onNone: () => ({}), onSome: ({ resources }) => resources })
    }).pipe(
      Effect.provide(Layer.provide(ResourceReader.layer, ReadOnlyStore.layer(storePath))),
      Effect.option
    )
    : Effect.succeedSome({})
