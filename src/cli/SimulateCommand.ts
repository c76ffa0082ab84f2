import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { BehaviourInvalid, loadBehaviour } from "../testing/Behaviour.js"
import { SimulatedModel } from "../testing/SimulatedModel.js"

export interface SimulateMode {
  readonly bind: { readonly host: string; readonly port: number }
  readonly seed: number
  /** A behaviour file: serves a question-and-answer model too. */
  readonly answersPath?: string | undefined
  /** JSON lines, one per answer served. */
  readonly logPath?: string | undefined
  readonly latencyMs: number
}

const loadAnswers = (path: string) =>
  Effect.tryPromise({
    try: () => loadBehaviour(path),
    catch: (error) =>
      error instanceof BehaviourInvalid ? error : new BehaviourInvalid(path, "file", "a behaviour", String(error))
  })

const serve = (mode: SimulateMode) =>
  Effect.gen(function*() {
    const behaviours = mode.answersPath === undefined ? [] : [yield* loadAnswers(mode.answersPath)]
    const model = yield* SimulatedModel.scoped({
      seed: mode.seed,
      ...mode.bind,
      behaviours,
      latencyMs: mode.latencyMs,
      ...(mode.logPath !== undefined && { log: mode.logPath })
    })
    const names = ["sim/arithmetic", ...behaviours.map(({ name }) => `sim/${name}`)].join(", ")
    yield* Console.log(`simulated model listening on ${model.url} (${names}; not a real model)`)
    return yield* Effect.never
  }).pipe(Effect.scoped)

/**
 * Serves the simulated model until it is interrupted, as the main program is by SIGINT and SIGTERM. Ends by itself only when
 * it cannot serve: with exit code 1 when it cannot listen, with 2 when the behaviour file is wrong.
 */
export const run = (mode: SimulateMode): Effect.Effect<number> =>
  serve(mode).pipe(
    Effect.catchAll((error) =>
      Console.error(`tau: ${error.message}`).pipe(Effect.as(error instanceof BehaviourInvalid ? 2 : 1))
    )
  )
