import { Chance } from "../../src/optimizer/Chance.js"
import { gate, type GateTask } from "../../src/optimizer/Gate.js"
import { type GatePlan, gatePlan } from "../../src/optimizer/GatePlan.js"
import { defaultGateSettings, type GateSettings } from "../../src/optimizer/GateSettings.js"
import type { GateVerdict } from "../../src/optimizer/GateVerdict.js"
import type { Answer, Ask, Evaluate, Outcome, SearchEvent, Steps, TaskExample } from "../../src/optimizer/Search.js"

export const incumbent = { system_prompt: "as it is" }
export const candidate = { system_prompt: "as it might be" }

export const examplesOf = (n: number): ReadonlyArray<TaskExample> =>
  Array.from({ length: n }, (_, index) => ({ id: `example-${index}`, input: `question ${index}`, expected: null }))

export interface Rolled {
  readonly score: number
  readonly failed?: boolean
  readonly tokens?: number
}

/** How a rollout ends, by arm, example and sample. */
export type World = (arm: "incumbent" | "candidate", example: TaskExample, sample: number) => Rolled

/** A plan follows every way the gate can go: once for all tests that ask for the same. */
const planOf = (pairs: number, opening: number, settings: GateSettings): GatePlan => {
  const key = JSON.stringify([pairs, opening, settings])
  const plan = plans.get(key) ?? gatePlan(pairs, opening, settings)
  plans.set(key, plan)
  return plan
}
const plans = new Map<string, GatePlan>()

export const taskOf = (
  pairs: number,
  { examples = examplesOf(pairs), opening = 1, seed = 1, settings: given = {}, ...rest }:
    & Partial<Omit<GateTask, "settings">>
    & {
      readonly settings?: Partial<GateSettings>
      readonly opening?: number
      readonly seed?: number
    } = {}
): GateTask => {
  const settings = { ...defaultGateSettings, ...given }
  return {
    incumbent,
    candidate,
    examples,
    plan: planOf(pairs, opening, settings),
    settings,
    slices: new Map(),
    firstSample: 100 * opening,
    chance: new Chance(seed),
    ...rest
  }
}

export const outcomeOf = (ask: Evaluate, example: TaskExample, world: World): Outcome => {
  const arm = ask.texts["system_prompt"] === incumbent.system_prompt ? "incumbent" : "candidate"
  const { failed = false, score, tokens = 100 } = world(arm, example, ask.sample)
  return { example, score, failed, feedback: "", output: null, trace: null, tokens }
}

export const answered = (asks: ReadonlyArray<Ask>, world: World): ReadonlyArray<Answer> =>
  asks.map((ask) => ask._tag === "Evaluate" ? ask.examples.map((example) => outcomeOf(ask, example, world)) : null)

export interface Opened {
  readonly verdict: GateVerdict
  /** What was asked for on the way, batch by batch. */
  readonly batches: ReadonlyArray<ReadonlyArray<Evaluate>>
  /** What was noted. */
  readonly events: ReadonlyArray<SearchEvent>
}

export const opened = (task: GateTask, world: World): Opened => {
  const steps: Steps<GateVerdict> = gate(task)
  const asked: Array<ReadonlyArray<Ask>> = []
  let turn = steps.next()
  while (turn.done !== true) {
    asked.push(turn.value)
    turn = steps.next(answered(turn.value, world))
  }
  return {
    verdict: turn.value,
    batches: asked.map(evaluationsIn).filter((batch) => batch.length > 0),
    events: asked.flat().flatMap((ask) => ask._tag === "Note" ? [ask.event] : [])
  }
}

export const evaluationsIn = (asks: ReadonlyArray<Ask>): ReadonlyArray<Evaluate> =>
  asks.filter((ask) => ask._tag === "Evaluate")
