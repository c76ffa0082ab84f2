/** Where a model is, and the key to it. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { CommandFailed, UsageError } from "./CliError.js"
import type { ModelRef } from "./Mode.js"
import { chooseUpstream, type Environment, providerNamed } from "./Providers.js"
import { simulatedUpstream } from "./SimulatedUpstream.js"

interface Asked {
  readonly model: ModelRef
  /** The model as it was written. */
  readonly modelRef: string
  /** Where it is, by a flag. */
  readonly flag?: string | undefined
  /** Where it is, by a config. */
  readonly config?: string | undefined
  /** Who asks what a run may cost needs no key yet. */
  readonly dryRun?: boolean
}

/**
 * Fails before anything is written when a provider wants a key and none is set. Says where the model is called when a variable
 * alone decides it: one that a shell has for the agents of a capture sends a run there as well, to be recorded twice.
 */
export const upstreamOf = Effect.fnUntraced(function*(
  asked: Asked,
  environment: Environment,
  /** What whoever has no key may do. */
  without = "try --model sim/arithmetic"
) {
  const { dryRun = false, model: { name: model, provider }, modelRef } = asked
  const choice = chooseUpstream(asked, providerNamed(provider), environment)
  switch (choice.kind) {
    case "embedded":
      return { ...yield* simulatedUpstream(model), key: undefined }
    case "invalid":
      return yield* new UsageError({ detail: choice.message })
    case "none":
      return yield* new CommandFailed({
        detail: `no upstream is known for ${modelRef}; name it with upstream_url`
      })
    case "url": {
      const key = choice.keyVariable === undefined ? undefined : environment[choice.keyVariable]?.trim()
      const isMissing = key === undefined || key === ""
      // A model server on this machine may go without.
      const isNeeded = choice.source === `provider ${provider}` && choice.address.origin.startsWith("https:")
      if (isMissing && isNeeded && dryRun) {
        yield* Console.error(`tau: ${choice.keyVariable} is not set: ${modelRef} will need the key of ${provider}`)
      } else if (isMissing && isNeeded) {
        return yield* new CommandFailed({
          detail: `${choice.keyVariable} is not set: ${modelRef} needs the key of ${provider}; without one, ${without}`
        })
      }
      if (choice.source === "OPENAI_BASE_URL") {
        yield* Console.error(`tau: ${modelRef} is called at ${choice.address.origin}, as OPENAI_BASE_URL says`)
      }
      return { url: choice.url, model, key: isMissing ? undefined : key }
    }
  }
})
