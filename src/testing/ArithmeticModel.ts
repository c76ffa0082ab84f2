/** The model `sim/arithmetic`: it really calculates, and words its answer as the prompt asks. */
import { styleAskedFor } from "./AnswerStyle.js"
import { pick } from "./Chance.js"
import { findCalculation } from "./Expression.js"
import type { Conversation, Model } from "./Model.js"
import { format, NoAnswer } from "./Rational.js"

const explanations = [
  (sum: string, is: string) =>
    `To answer this, we need to work out ${sum}. Doing the calculation step by step, the result is ${is}.`,
  (sum: string, is: string) =>
    `Let's calculate ${sum} carefully. When we put it all together, we find that the answer is ${is}.`,
  (sum: string, is: string) =>
    `This asks for the value of ${sum}. After working through it, the final result comes out as ${is}.`
] as const

const wording = (seed: string, { draw, question, system }: Conversation): string => {
  const calculation = findCalculation(question)
  if (calculation === null) return "I could not find a calculation in that."
  const { result, text } = calculation
  const style = styleAskedFor(`${system}\n${question}`)
  if (result instanceof NoAnswer) return style === "answer" ? "undefined" : result.message
  const { isExact, text: value } = format(result)
  if (style === "answer") return value
  if (style === "sentence") return `${text} ${isExact ? "=" : "≈"} ${value}.`
  const explain = pick(explanations, seed, question, draw)
  const explanation = explain(text, isExact ? value : `about ${value}`)
  return style === "marked" ? `${explanation}\n#### ${value}` : explanation
}

export const arithmeticModel = (seed: string): Model => ({
  id: "sim/arithmetic",
  answer: (conversation) => wording(seed, conversation)
})
