/** How a prompt asks to be answered: the simulated models do as they are told, and so reward a better prompt. */

/**
 * - `explain`: a sentence or two that end with the result (when nothing else is asked for);
 * - `sentence`: one short sentence;
 * - `answer`: the bare answer;
 * - `marked`: an explanation, then a line `#### <answer>`.
 */
export type AnswerStyle = "explain" | "sentence" | "answer" | "marked"

export const answerStyles: ReadonlyArray<AnswerStyle> = ["explain", "sentence", "answer", "marked"]

const noun = "(?:number|answer|result|value|integer|figure|digits?)"
const between =
  "(?:(?:with|give|return|output|print|state|write|the|a|an|your|that|one|single|final|exact|correct|plain|bare|" +
  "numeric|numerical|resulting|number|answer|itself)\\s+){0,6}"

const bare: ReadonlyArray<RegExp> = [
  // "only the final number", "just the number", "nothing but the result"
  new RegExp(`\\b(?:only|just|solely|exclusively|nothing but)\\s+${between}${noun}\\b`),
  // "the number only", "the final answer alone"
  new RegExp(`\\b${noun}\\s+(?:only|alone)\\b(?!\\s+(?:if|when|after|once|the|to)\\b)`),
  /\b(?:and|,)\s+nothing else\b/,
  /\bno (?:explanations?|other (?:text|words)|extra (?:text|words)|additional text|working|prose|commentary)\b/,
  /\bwithout (?:any |an )?(?:explanations?|explaining|other (?:text|words)|extra (?:text|words)|working|prose|commentary)\b/,
  /\b(?:do not|don't|never) (?:explain|show (?:any |your )?work(?:ing)?)\b/,
  /\b(?:bare|single) (?:number|integer)\b/
]

const brief = /\b(?:concise(?:ly)?|brief(?:ly)?|short|terse(?:ly)?|succinct(?:ly)?|one sentence|to the point)\b/

/** "Do not give only the number" asks for the opposite. */
const negated = /(?:\bnot|n't|\bnever)\s+(?:\w+\s+){0,3}$/

const asks = (text: string, pattern: RegExp): boolean => {
  const found = pattern.exec(text)
  return found !== null && !negated.test(text.slice(0, found.index))
}

/** The style that instructions ask for; the most specific request wins. */
export const styleAskedFor = (instructions: string): AnswerStyle => {
  const text = instructions.slice(0, 100_000).toLowerCase().replaceAll("’", "'").replace(/\s+/g, " ")
  if (text.includes("####")) return "marked"
  if (bare.some((pattern) => asks(text, pattern))) return "answer"
  return asks(text, brief) ? "sentence" : "explain"
}
