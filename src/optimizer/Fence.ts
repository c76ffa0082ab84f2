/** A text that a model was asked to put between fences of three backticks. */

/** More of them where the text has fences itself. */
const fence = /`{3,}/g

/**
 * What is between the first and the last fence, so that fences inside the text stay; a first line that is only the name of a
 * language is none of it, nor are marks that the question had around the old text. With a single fence at an end, the rest;
 * without one, everything. White space at both ends is dropped.
 */
export const fenced = (answer: string): string => {
  const between = betweenFences(answer)
  if (between !== null) return unmarked(unlabelled(between).trim())
  const trimmed = answer.trim()
  const begin = /^`{3,}/.exec(trimmed)
  return unmarked((begin === null ? trimmed.replace(/`{3,}$/, "") : unlabelled(trimmed.slice(begin[0].length))).trim())
}

/** Whether there is a text between two fences. */
export const isFenced = (answer: string): boolean => betweenFences(answer) !== null

/** Whether each block that an answer opens has its end: one that was cut may stop in the text, or in a block that the text has. */
export const isClosed = (answer: string): boolean => {
  const all = [...answer.matchAll(fence)]
  // Shorter ones are of the text.
  const fences = all.filter(([marks]) => marks.length >= all[0]![0].length)
  const last = fences.at(-1)
  return last !== undefined && fences.length % 2 === 0 &&
    /^\s*?(?:\n|$)/.test(answer.slice(last.index + last[0].length))
}

const betweenFences = (answer: string): string | null => {
  const fences = [...answer.matchAll(fence)]
  const first = fences[0]
  const last = fences.at(-1)
  if (first === undefined || last === undefined) return null
  // Two fences with nothing between them are one run.
  if (first === last) return first[0].length < 6 ? null : ""
  return answer.slice(first.index + first[0].length, last.index)
}

const unlabelled = (text: string): string => {
  const end = text.indexOf("\n")
  return end >= 0 && end <= 40 && /^[\w+#.-]*[ \t\r]*$/.test(text.slice(0, end)) ? text.slice(end + 1) : text
}

const unmarked = (text: string): string =>
  /^<current(?: name="[^"\n]*")?>([^]*)<\/current>$/.exec(text)?.[1]?.trim() ?? text
