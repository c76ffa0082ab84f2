/** Which of the `validate` examples a search selects on, and which only the gate sees. */
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
 * Each example's side is drawn by its id: it stays where it is when examples are reordered or others are added, so that what
 * the gate once kept apart no later search sees. Examples with the same input and reference answer stay together.
 */
export const splitValidate = (
  validate: ReadonlyArray<TaskExample>,
  seed: number,
  settings: GateSettings
): Split => {
  const untestable = (gate: number): Split => ({
    selection: validate,
    gate: [],
    untestable: `not testable: ${validate.length} examples${
      gate === 0 ? "" : `, ${gate} of them for the gate`
    }; at least ${Math.max(validateMin, validateNeeded(settings))} needed to find a gain of 20 points`
  })
  if (validate.length < validateMin) return untestable(0)
  const chance = new Chance(seed)
  const firstIds = new Map<string, string>()
  for (const example of validate) {
    const known = firstIds.get(contentOf(example))
    if (known === undefined || example.id < known) firstIds.set(contentOf(example), example.id)
  }
  const isGate = (example: TaskExample) =>
    chance.uniform(`split/${firstIds.get(contentOf(example))!}`) < settings.fraction
  const gate = validate.filter(isGate)
  return gate.length === 0 || gate.length === validate.length
    ? untestable(gate.length)
    : { selection: validate.filter((example) => !isGate(example)), gate, untestable: null }
}

const contentOf = ({ expected, input }: TaskExample): string => JSON.stringify([input, expected])
