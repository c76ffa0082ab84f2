/** A text that a model was asked to put between fences of three backticks. */

const fence = "```"

/**
 * What is between the first and the last fence, so that fences inside the text stay; a first line that is only the name of a
 * language is none of it. With a single fence at an end, the rest; without one, everything. White space at both ends is dropped.
 */
export const fenced = (answer: string): string => {
  const first = answer.indexOf(fence)
  const last = answer.lastIndexOf(fence)
  if (first >= 0 && last >= first + fence.length) return unlabelled(answer.slice(first + fence.length, last)).trim()
  const trimmed = answer.trim()
  if (trimmed.startsWith(fence)) return unlabelled(trimmed.slice(fence.length)).trim()
  return (trimmed.endsWith(fence) ? trimmed.slice(0, -fence.length) : trimmed).trim()
}

/** Whether there is a text between two fences. */
export const isFenced = (answer: string): boolean => {
  const first = answer.indexOf(fence)
  return first >= 0 && answer.lastIndexOf(fence) >= first + fence.length
}

const unlabelled = (text: string): string => {
  const end = text.indexOf("\n")
  return end >= 0 && end <= 40 && /^[\w+#.-]*[ \t\r]*$/.test(text.slice(0, end)) ? text.slice(end + 1) : text
}
