/** The simulated model server inside this process: what `--model sim/<name>` calls. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { BehaviourInvalid, loadBehaviour } from "../testing/Behaviour.js"
import { SimulatedModel } from "../testing/SimulatedModel.js"
import { taskModelNames } from "../testing/taskWorld/TaskModel.js"
import { CommandFailed, UsageError } from "./CliError.js"
import { nearest } from "./Suggestion.js"

export interface SimulatedUpstream {
  /** OpenAI-compatible base URL on loopback, closed with the scope. */
  readonly url: string
  /** Name to ask for. */
  readonly model: string
}

/** Models that need no file. */
const builtIn: ReadonlyArray<string> = ["arithmetic", ...taskModelNames]

/** Whether a simulated model needs no file. */
export const isBuiltIn = (name: string): boolean => builtIn.includes(name)

/** The name of a built-in model, or the path of a behaviour file ending in `.json`, whose model is served beside those. */
export const simulatedUpstream = (
  name: string
): Effect.Effect<SimulatedUpstream, CommandFailed | UsageError, Scope.Scope> =>
  Effect.gen(function*() {
    const behaviour = name.endsWith(".json") ? yield* behaviourAt(name) : undefined
    if (behaviour === undefined && !isBuiltIn(name)) {
      const known = builtIn.map((known) => `sim/${known}`).join(", ")
      const meant = nearest(name, builtIn)
      const hint = meant === undefined ? "" : ` (did you mean sim/${meant}?)`
      return yield* new UsageError({
        detail: `there is no simulated model ${name}${hint}; there are ${known}, and sim/<behaviour file>.json`
      })
    }
    const { url } = yield* SimulatedModel.scoped({ behaviours: behaviour === undefined ? [] : [behaviour] }).pipe(
      Effect.mapError((error) => new CommandFailed({ detail: error.message }))
    )
    return { url, model: `sim/${behaviour?.name ?? name}` }
  })

const behaviourAt = (path: string) =>
  Effect.tryPromise({
    try: () => loadBehaviour(path),
    catch: (error) =>
      error instanceof BehaviourInvalid
        ? new UsageError({ detail: `--model: ${error.message}` })
        : new CommandFailed({ detail: `${path}: ${String(error)}` })
  })
