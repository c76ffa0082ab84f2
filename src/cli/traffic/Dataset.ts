/** Examples out of sessions: what the user said first, and what was answered last. */
import { createHash } from "node:crypto"
import type { Session } from "./Sessions.js"

export interface DatasetRules {
  /** Least characters of an input and of an answer. */
  readonly inputCharsMin: number
  readonly answerCharsMin: number
  /** Share of the examples that validate. */
  readonly fraction: number
  /** Another seed is another split. */
  readonly seed: number
  /** Most examples; of more the newest. */
  readonly limit: number
}

export interface DatasetExample {
  readonly prompt: string
  readonly answer: string
  readonly split: "optimize" | "validate"
  readonly session: string
  readonly spanId: string
  readonly model: string | null
}

/** Why sessions gave no example, and how many. */
export type Skipped = Readonly<
  Record<"no_input" | "no_answer" | "impaired" | "short" | "duplicate" | "beyond_limit", number>
>

export interface Dataset {
  readonly examples: ReadonlyArray<DatasetExample>
  readonly skipped: Skipped
}

/** Of inputs that are one the newest answer counts. The split of an example depends on nothing but it. */
export const datasetOf = (sessions: ReadonlyArray<Session>, rules: DatasetRules): Dataset => {
  const skipped = { no_input: 0, no_answer: 0, impaired: 0, short: 0, duplicate: 0, beyond_limit: 0 }
  const examples = new Map<string, DatasetExample>()
  for (const { answer, id, input, isAnswerRedacted, isImpaired, lastSpanId, model } of sessions) {
    if (isImpaired || isAnswerRedacted) skipped.impaired += 1
    else if (input === null || input === "") skipped.no_input += 1
    else if (answer === null || answer === "") skipped.no_answer += 1
    else if (input.length < rules.inputCharsMin || answer.length < rules.answerCharsMin) skipped.short += 1
    else {
      const key = keyOf(input)
      // The newest comes last.
      if (examples.delete(key)) skipped.duplicate += 1
      examples.set(key, { prompt: input, answer, split: splitOf(key, rules), session: id, spanId: lastSpanId, model })
    }
  }
  const all = [...examples.values()]
  skipped.beyond_limit = Math.max(0, all.length - rules.limit)
  return { examples: all.slice(skipped.beyond_limit), skipped }
}

/** Inputs that differ in white space alone are one. */
const keyOf = (input: string): string => input.replaceAll(/\s+/g, " ")

/** A number in [0, 1) that hangs on the input and the seed alone. */
const drawOf = (key: string, seed: number): number =>
  createHash("sha256").update(`${seed}\n${key}`).digest().readUInt32BE() / 2 ** 32

const splitOf = (key: string, { fraction, seed }: DatasetRules): DatasetExample["split"] =>
  drawOf(key, seed) < fraction ? "validate" : "optimize"

/** More would leave too little to optimize on. */
const fractionMax = 0.8

/** The least fraction, in hundredths, that lets so many of the examples validate; null where none does that is not too large. */
export const fractionFor = (
  examples: ReadonlyArray<DatasetExample>,
  seed: number,
  validateWanted: number
): number | null => {
  const draw = examples.map(({ prompt }) => drawOf(keyOf(prompt), seed)).toSorted((a, b) => a - b)[validateWanted - 1]
  const fraction = draw === undefined ? Infinity : (Math.floor(draw * 100) + 1) / 100
  return fraction <= fractionMax ? fraction : null
}
