/** Where a model is, and the key to it. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { RunConfig } from "../domain/RunConfig.js"
import { CommandFailed } from "./CliError.js"
import type { OptimizeMode } from "./Mode.js"
import { chooseUpstream, type Environment, providerNamed } from "./Providers.js"
import { simulatedUpstream } from "./SimulatedUpstream.js"

/** Fails before anything is written when a provider wants a key and none is set; who asks what a run may cost needs none yet. */
export const upstreamOf = Effect.fnUntraced(function*(
  mode: Pick<OptimizeMode, "model" | "modelRef" | "proxy"> & Partial<Pick<OptimizeMode, "dryRun">>,
  config: Pick<RunConfig, "upstream_url">,
  environment: Environment,
  /** What whoever has no key may do. */
  without = "try --model sim/arithmetic"
) {
  const { name: model, provider } = mode.model
  const choice = chooseUpstream(
    { flag: mode.proxy.upstreamUrl, config: config.upstream_url },
    providerNamed(provider),
    environment
  )
  switch (choice.kind) {
    case "embedded":
      return { ...yield* simulatedUpstream(model), key: undefined }
    case "invalid":
      return yield* new CommandFailed({ detail: choice.message })
    case "none":
      return yield* new CommandFailed({
        detail: `no upstream is known for ${mode.modelRef}; name it with upstream_url`
      })
    case "url": {
      const key = choice.keyVariable === undefined ? undefined : environment[choice.keyVariable]?.trim()
      const isMissing = key === undefined || key === ""
      // A model server on this machine may go without.
      const isNeeded = choice.source === `provider ${provider}` && choice.address.origin.startsWith("https:")
      if (isMissing && isNeeded && mode.dryRun === true) {
        yield* Console.error(`tau: ${choice.keyVariable} is not set: ${mode.modelRef} will need the key of ${provider}`)
      } else if (isMissing && isNeeded) {
        return yield* new CommandFailed({
          detail:
            `${choice.keyVariable} is not set: ${mode.modelRef} needs the key of ${provider}; without one, ${without}`
        })
      }
      return { url: choice.url, model, key: isMissing ? undefined : key }
    }
  }
})
