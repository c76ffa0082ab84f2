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

/** Inputs that differ in white space alone are one, with the newest answer. The split of an example depends on nothing but it. */
export const datasetOf = (sessions: ReadonlyArray<Session>, rules: DatasetRules): Dataset => {
  const skipped = { no_input: 0, no_answer: 0, impaired: 0, short: 0, duplicate: 0, beyond_limit: 0 }
  const examples = new Map<string, DatasetExample>()
  for (const { answer, id, input, isImpaired, lastSpanId, model } of sessions) {
    if (isImpaired) skipped.impaired += 1
    else if (input === null || input === "") skipped.no_input += 1
    else if (answer === null || answer === "") skipped.no_answer += 1
    else if (input.length < rules.inputCharsMin || answer.length < rules.answerCharsMin) skipped.short += 1
    else {
      const key = input.replaceAll(/\s+/g, " ")
      // The newest comes last.
      if (examples.delete(key)) skipped.duplicate += 1
      examples.set(key, { prompt: input, answer, split: splitOf(key, rules), session: id, spanId: lastSpanId, model })
    }
  }
  const all = [...examples.values()]
  skipped.beyond_limit = Math.max(0, all.length - rules.limit)
  return { examples: all.slice(skipped.beyond_limit), skipped }
}

const splitOf = (key: string, { fraction, seed }: DatasetRules): DatasetExample["split"] => {
  const hash = createHash("sha256").update(`${seed}\n${key}`).digest()
  return hash.readUInt32BE() / 2 ** 32 < fraction ? "validate" : "optimize"
}
