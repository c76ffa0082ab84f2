/** A benchmark suite: the frozen cases that every checkpoint is asked, and how each answer is judged. */
import { Fields, type Problem } from "./Fields.js"

export interface SuiteCase {
  readonly caseId: string
  /** What the model's chance starts from. */
  readonly seed: number
  readonly prompt: string
  readonly expectedOutcome: string
  /** Weights by dimension; they sum to 1. */
  readonly rubric: Readonly<Record<string, number>>
}

export interface Suite {
  /** `grade-school-math-v1`. */
  readonly suiteId: string
  readonly name: string
  readonly version: string
  readonly family: string
  readonly description: string
  readonly cases: ReadonlyArray<SuiteCase>
}

export type ReadSuite =
  | { readonly _tag: "suite"; readonly suite: Suite }
  | { readonly _tag: "invalid"; readonly problems: ReadonlyArray<Problem> }

const versionedId = /^([A-Za-z0-9][A-Za-z0-9._-]*?)[-._@]v?(\d+(?:\.\d+)*)$/

/** A suite, or everything that is wrong with it. */
export const readSuite = (value: unknown): ReadSuite => {
  const fields = Fields.of(value)
  const suiteId = fields.text("suite_id", versionedId, "an id that ends in its version, such as sums-v1") ?? ""
  const family = fields.text("family") ?? ""
  const description = fields.text("description") ?? ""
  const listed = fields.array("cases") ?? []
  if (fields.problems.length === 0 && listed.length === 0) fields.refuse("cases", "at least one case")
  const seen = new Set<string>()
  const cases = listed.map((one, index) => {
    const read = Fields.of(one)
    const found = readCase(read)
    if (found.caseId !== "" && seen.has(found.caseId)) read.refuse("case_id", "an id that no other case has")
    seen.add(found.caseId)
    for (const { field, text } of read.problems) fields.problems.push({ field: `cases[${index}].${field}`, text })
    return found
  })
  if (fields.problems.length > 0) return { _tag: "invalid", problems: fields.problems }
  const [, name = "", version = ""] = versionedId.exec(suiteId)!
  return { _tag: "suite", suite: { suiteId, name, version: `v${version}`, family, description, cases } }
}

/** Weights are written by hand: 0.1 + 0.2 + 0.7 is 1 to whoever wrote it. */
const slack = 1e-6

const readCase = (fields: Fields): SuiteCase => {
  const rubric = fields.object("scoring_rubric")
  const weights = rubric.entries().map(([dimension]) => [dimension, rubric.number(dimension, { min: 0 }) ?? 0] as const)
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0)
  if (rubric.isPresent && Math.abs(total - 1) > slack) {
    fields.refuse("scoring_rubric", `weights that sum to 1.0 (these sum to ${total})`)
  }
  return {
    caseId: fields.text("case_id") ?? "",
    seed: fields.number("seed", { above: 0, whole: true }) ?? 0,
    prompt: fields.text("prompt") ?? "",
    expectedOutcome: fields.text("expected_outcome") ?? "",
    rubric: Object.fromEntries(weights)
  }
}

/** One time that a case is asked. */
export interface Episode {
  readonly case: SuiteCase
  /** From 0: how often the case was asked before. */
  readonly repetition: number
  readonly seed: number
}

/** The cases in turn until there are enough. Each has a seed of its own, equal for every checkpoint. */
export const episodesOf = ({ cases }: Suite, count: number, seed: number): ReadonlyArray<Episode> =>
  Array.from({ length: count }, (_, index) => {
    const one = cases[index % cases.length]!
    const repetition = Math.floor(index / cases.length)
    return { case: one, repetition, seed: mixed(one.seed, seed, repetition) }
  })

/** A seed in [1, 2^31), which every provider takes. */
const mixed = (...parts: ReadonlyArray<number>): number => {
  let hash = 0x811c9dc5
  for (const part of parts) {
    hash = Math.imul(hash ^ part >>> 0, 0x01000193)
    hash = Math.imul(hash ^ Math.floor(part / 2 ** 32), 0x85ebca6b)
    hash ^= hash >>> 15
  }
  return (hash >>> 1) || 1
}
