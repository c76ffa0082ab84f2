/**
 * `tau/testing`: a simulated model server, for tests and demos without a provider, a key or a network.
 *
 * ```ts
 * import { startSimulatedModel } from "tau/testing"
 *
 * const model = await startSimulatedModel({ seed: 7 })
 * // point any OpenAI client at model.url and ask "sim/arithmetic" for 2 + 2
 * await model.close()
 * ```
 */
export type { AnswerStyle } from "./AnswerStyle.js"
export { type Behaviour, BehaviourInvalid, type BehaviourRule, loadBehaviour, type Pair } from "./Behaviour.js"
export {
  type FaultyRequest,
  type FaultyUpstream,
  type FaultyUpstreamOptions,
  startFaultyUpstream,
  wireFaults
} from "./faults/FaultyUpstream.js"
export type { Fault, Faults } from "./Reply.js"
export type { ServedAnswer, SimulatedRequest } from "./Routes.js"
export {
  type RunningModel,
  SimulatedModel,
  SimulatedModelFailed,
  type SimulatedModelOptions,
  startSimulatedModel
} from "./SimulatedModel.js"
export { reflection, type ReflectorStrength, reflectorStrengths } from "./taskWorld/Reflector.js"
export type { AgentTexts, Demand, Rule, TaskSpec, Trap } from "./taskWorld/Rule.js"
export { taskSpecs } from "./taskWorld/tasks.js"
export { type TaskOutcome, type TaskRequest, TaskWorld, type TaskWorldOptions } from "./taskWorld/TaskWorld.js"
