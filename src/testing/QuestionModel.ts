/** A model that knows a set of questions, and answers a share of them right that depends on its system prompt. */
import { type AnswerStyle, styleAskedFor } from "./AnswerStyle.js"
import type { Behaviour, Pair } from "./Behaviour.js"
import { pick, uniform } from "./Chance.js"
import type { Conversation, Model } from "./Model.js"

const squeeze = (text: string): string => text.replace(/\s+/g, " ").trim()

/** What the rules make of a system prompt. */
const conditionsFor = (
  behaviour: Behaviour,
  system: string
): { readonly accuracy: number; readonly format: AnswerStyle | "asked" } => {
  const rules = behaviour.rules.filter((rule) => rule.when.test(system)).toReversed()
  return {
    accuracy: rules.find((rule) => rule.accuracy !== null)?.accuracy ?? behaviour.accuracy,
    format: rules.find((rule) => rule.format !== null)?.format ?? behaviour.format
  }
}

const integer = /^-?\d{1,15}$/

/** A wrong answer as a model would give it: a number that a slip leads to, else the answer to another question. */
const wrongAnswer = (pairs: ReadonlyArray<Pair>, { answer, question }: Pair, seed: string, draw: string): string => {
  const value = Number(answer)
  const slips = integer.test(answer)
    ? [value + 1, value - 1, value + 10, value - 10, value * 2, Math.round(value / 2), value + 5].map(String)
    : pairs.map((pair) => pair.answer)
  const [first, ...others] = slips.filter((slip) => slip !== answer && slip !== "-0")
  return first === undefined ? "I am not sure" : pick([first, ...others], "slip", seed, question, draw)
}

const word = (style: AnswerStyle, answer: string, explanation: string): string => {
  if (style === "answer") return answer
  if (style === "sentence") return `The answer is ${answer}.`
  return style === "marked" ? `${explanation}\n#### ${answer}` : `${explanation}\nThe answer is ${answer}.`
}

/**
 * Whether it is right on a question is settled by one number per question, compared with the accuracy: a prompt of higher
 * accuracy is right on a superset of the questions that one of lower accuracy is right on.
 */
export const questionModel = (behaviour: Behaviour, seed: string): Model => {
  const byQuestion = new Map(behaviour.pairs.map((pair) => [squeeze(pair.question), pair]))
  // Agents wrap the question in a template: the longest question that the message contains is the one meant.
  const byLength = [...byQuestion].toSorted(([a], [b]) => b.length - a.length)
  const find = (text: string): Pair | undefined =>
    byQuestion.get(text) ?? byLength.find(([question]) => text.includes(question))?.[1]

  const answer = ({ draw, question, system }: Conversation): string => {
    const pair = find(squeeze(question))
    if (pair === undefined) return "I do not know that question."
    const { accuracy, format } = conditionsFor(behaviour, system)
    // The words of the known question are no instructions: "how short is the shortest plank?".
    const around = squeeze(question).replace(squeeze(pair.question), "")
    const style = format === "asked" ? styleAskedFor(`${system}\n${around}`) : format
    const isRight = uniform("right", seed, pair.question, draw) < accuracy
    if (isRight) return word(style, pair.answer, pair.explanation ?? "Working through the question step by step.")
    const slip = wrongAnswer(behaviour.pairs, pair, seed, draw)
    return word(style, slip, "Taking the figures of the question one after the other.")
  }
  return { id: `sim/${behaviour.name}`, answer }
}
