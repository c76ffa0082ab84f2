/** The task world on the wire: agents whose system message and tools are their texts, and reflectors of several strengths. */
import type { Model } from "../Model.js"
import { reflection, type ReflectorStrength, reflectorStrengths } from "./Reflector.js"
import type { TaskSpec } from "./Rule.js"
import { taskSpecs } from "./tasks.js"
import { TaskWorld } from "./TaskWorld.js"

/**
 * The model `sim/task-<name>`. The system message is its component `system_prompt`, the descriptions of its tools are the
 * other one, if the task has one. Answers as `TaskWorld` does, at the temperature of the request; sample 0, or that of `seed`.
 */
const taskModel = (spec: TaskSpec, seed: string): Model => {
  // Thousands of requests are made only when somebody asks.
  let made: TaskWorld | undefined
  return {
    id: `sim/task-${spec.name}`,
    answer: ({ draw, question, system, temperature, tools }) => {
      const world = made ??= new TaskWorld(spec, { seed })
      const request = world.find(question)
      if (request === undefined) return `I know no ${spec.title.toLowerCase()} of that id.`
      const described = tools.map(({ description }) => description).join("\n")
      const texts = Object.fromEntries(
        Object.keys(spec.seed).map((component) => [component, component === "system_prompt" ? system : described])
      )
      return world.answer(texts, request, draw === "" ? 0 : draw, temperature)
    }
  }
}

/** The model `sim/reflector-<strength>`, which improves the prompts of those tasks. */
const reflectorModel = (strength: ReflectorStrength, seed: string): Model => ({
  id: `sim/reflector-${strength}`,
  answer: ({ draw, question, system }) =>
    reflection(strength, seed, system === "" ? question : `${system}\n${question}`, draw)
})

export const taskModels = (seed: string): ReadonlyArray<Model> => [
  ...taskSpecs.map((spec) => taskModel(spec, seed)),
  ...reflectorStrengths.map((strength) => reflectorModel(strength, seed))
]

/** Names of these models, without the provider. */
export const taskModelNames: ReadonlyArray<string> = [
  ...taskSpecs.map(({ name }) => `task-${name}`),
  ...reflectorStrengths.map((strength) => `reflector-${strength}`)
]
