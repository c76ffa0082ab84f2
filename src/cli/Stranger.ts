/**
 * A version of the resources that another config's run left in the store. A store knows of no agents, and takes all that is in it
 * to be of one: who runs a second agent in it should know so before anything is spent.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { existsSync } from "node:fs"
import type { ResourceValues } from "../domain/Resources.js"
import type { RunConfig } from "../domain/RunConfig.js"
import { visible } from "../domain/TerminalText.js"
import { comparedTexts } from "../optimizer/run/GateRun.js"
import { divided } from "../optimizer/run/SearchPlan.js"
import { searchExamples, seedOf } from "../optimizer/run/SearchTask.js"
import * as ReadOnlyStore from "../store/ReadOnlyStore.js"
import { ResourceReader } from "../store/ResourceReader.js"
import { configHash } from "./ConfigHash.js"
import type { OptimizeMode } from "./Mode.js"

export interface StrangerOptions {
  readonly mode: OptimizeMode
  readonly config: RunConfig
  readonly folder: string
  /** Of the config. */
  readonly path: string
  /** What the run begins with. */
  readonly seed: ResourceValues
}

/**
 * Says on stderr what of another config's run this one would begin with, or hold its gate against. A store that cannot be read is
 * the run's to report.
 */
export const tellOfStranger = (options: StrangerOptions): Effect.Effect<void> =>
  existsSync(options.mode.storePath)
    ? Effect.gen(function*() {
      const { origin } = yield* ResourceReader
      for (const { version, what } of yield* versionsMet(options)) {
        const by = Option.getOrNull(yield* origin(version))
        if (by === null || by.configPath === options.path) continue
        return yield* Console.error(
          `tau: ${what} version ${version}, ${by.isPromoted === 1 ? "promoted" : "given"} by run ${by.runId} of ` +
            `${visible(by.configPath)}: if that is another agent, this one needs a store of its own: ` +
            "--prompt-optimization-store-sqlite FILE"
        )
      }
    }).pipe(
      Effect.provide(Layer.provide(ResourceReader.layer, ReadOnlyStore.layer(options.mode.storePath))),
      Effect.ignore
    )
    : Effect.void

/** The versions of the store that a run has to do with, and what. */
const versionsMet = ({ config, folder, mode, seed }: StrangerOptions) =>
  Effect.gen(function*() {
    const { descends, latest, ofUnfinished, promoted } = yield* ResourceReader
    const begun = yield* ofUnfinished(configHash(config, mode.modelRef, folder))
    const taken = config.resources !== undefined ? Option.none() : Option.isSome(begun) ? begun : yield* latest
    // What a config gives is the latest as its run begins, as long as nobody has decided which one is.
    const asked = Option.filter(
      yield* Option.isSome(begun) ? latest : promoted,
      ({ resources }) => isAskedAgainst(config, seed, resources)
    )
    return [
      ...Option.toArray(taken).flatMap(({ resources, version }) =>
        Object.keys(resources).length === 0 ? [] : [{ version, what: "without \"resources\", this run takes" }]
      ),
      ...Option.isSome(asked) && !(yield* descends(asked.value.version, seed))
        ? [{ version: asked.value.version, what: "the gate of this search will ask against" }]
        : []
    ]
  })

/** Whether the config has a gate that would compare its candidate with these. */
const isAskedAgainst = (config: RunConfig, resources: ResourceValues, latest: ResourceValues): boolean =>
  config.optimizer.algorithm !== "evaluate" && divided(config, searchExamples(config, resources)).pairs.length > 0 &&
  Either.match(seedOf(config, resources), {
    onLeft: () => false,
    onRight: (seed) => comparedTexts(latest, { resources, seed }) !== null
  })
