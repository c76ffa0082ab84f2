/** What a model thinks aloud before it answers, in the answer's own text: servers without a parser for it leave it there. */

const thought = /^\s*<(think|thinking)>(?:[^]*?<\/\1>|[^]*$)/i
/** Templates may open the block in the prompt: the answer then has its end alone. Before it stands neither of these. */
const opening = /<think(?:ing)?>|^\s*[{[`]/i
const closing = /<\/think(?:ing)?>/i

/**
 * The answer after its thoughts; empty where those were cut. One that only speaks of such blocks, say of how to write them, is
 * left as it is.
 */
export const withoutThoughts = (answer: string): string => {
  const begun = thought.exec(answer)
  if (begun !== null) return answer.slice(begun[0].length)
  const end = closing.exec(answer)
  return end === null || opening.test(answer.slice(0, end.index)) ? answer : answer.slice(end.index + end[0].length)
}
