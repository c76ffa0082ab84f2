/** Which of the `validate` examples a search selects on, and which only the gate sees. */
import { counted } from "../domain/Figures.js"
import { Chance } from "./Chance.js"
import { validateNeeded } from "./GatePlan.js"
import type { GateSettings } from "./GateSettings.js"
import type { TaskExample } from "./Search.js"

export interface Split {
  readonly selection: ReadonlyArray<TaskExample>
  /** Empty when there are too few examples for a test. */
  readonly gate: ReadonlyArray<TaskExample>
  /** Why no gate can be held, in a sentence; null when one can. */
  readonly untestable: string | null
}

/** Fewer examples than these all go to the selection: their gate could tell no gain from luck. */
export const validateMin = 50

/**
 * The gate has its share of the examples, those whose ids draw the lowest numbers, in that order: which ones does not depend on
 * the order of the examples, and when others are added only a few next to the cut change sides. Examples with the same input
 * and reference answer stay together, and what the search trains on is nothing for the gate.
 */
export const splitValidate = (
  validate: ReadonlyArray<TaskExample>,
  seed: number,
  settings: GateSettings,
  train: ReadonlyArray<TaskExample> = []
): Split => {
  const needed = Math.max(validateMin, validateNeeded(settings))
  const untestable = (which: string, more = ""): Split => ({
    selection: validate,
    gate: [],
    untestable: `not testable: ${which}; at least ${needed}${more} needed to find a gain of 20 points`
  })
  const all = counted(validate.length, "example")
  if (validate.length < validateMin) return untestable(all)
  const groups = alike(validate, train)
  if (groups.length === 0) return untestable(`all ${all} stand in optimize, too`, " others")
  const wanted = Math.round(settings.fraction * validate.length)
  const gate = lowest(groups, seed, wanted)
  if (gate.length === validate.length) return untestable(`${all}, all of them for the gate`)
  if (gate.length === 0) {
    return wanted === 0
      ? untestable(all)
      : untestable(`${all}, too many of them alike to be divided`, " different ones")
  }
  const ids = new Set(gate.map(({ id }) => id))
  return { selection: validate.filter(({ id }) => !ids.has(id)), gate, untestable: null }
}

type Alike = ReadonlyArray<TaskExample>

/** The examples, those of one content together, without what is trained on. */
const alike = (validate: ReadonlyArray<TaskExample>, train: ReadonlyArray<TaskExample>): ReadonlyArray<Alike> => {
  const trained = new Set(train.map(contentOf))
  const byContent = new Map<string, Array<TaskExample>>()
  for (const example of validate) {
    const content = contentOf(example)
    byContent.set(content, [...byContent.get(content) ?? [], example])
  }
  return [...byContent].flatMap(([content, examples]) => trained.has(content) ? [] : [examples])
}

/** Examples in the order of their draws, as many as wanted; those of one content count as what they are, and go as one. */
const lowest = (groups: ReadonlyArray<Alike>, seed: number, wanted: number): ReadonlyArray<TaskExample> => {
  const chance = new Chance(seed)
  const drawn = groups.map((examples) => {
    const ordered = examples.toSorted((one, other) => one.id < other.id ? -1 : 1)
    return { examples: ordered, draw: chance.uniform(`split/${ordered[0]!.id}`) }
  })
  const chosen: Array<TaskExample> = []
  for (const { examples } of drawn.toSorted((one, other) => one.draw - other.draw)) {
    if (chosen.length + examples.length <= wanted) chosen.push(...examples)
  }
  return chosen
}

const contentOf = ({ expected, input }: TaskExample): string => JSON.stringify([input, expected])
