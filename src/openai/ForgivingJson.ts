import { parseJson } from "./Json.js"

export interface ForgivenJson {
  readonly value: unknown
  /** Of its last bracket. */
  readonly end: number
}

/**
 * Reads the JSON object or array that begins at `from`, and forgives what models get wrong: a comma before a closing bracket, a
 * line break within a text. Undefined when there is none before `to`. Linear.
 */
export const readForgivingly = (answer: string, from: number, to = answer.length): ForgivenJson | undefined => {
  const pieces: Array<string> = []
  let depth = 0
  let inText = false
  let kept = from
  let comma = -1
  for (let at = from; at < to; at += 1) {
    const character = answer[at]!
    if (inText) {
      if (character === "\\") at += 1
      else if (character === "\"") inText = false
      else if (character < " ") {
        pieces.push(answer.slice(kept, at), JSON.stringify(character).slice(1, -1))
        kept = at + 1
      }
      continue
    }
    if (character === "}" || character === "]") {
      if (comma >= kept) {
        pieces.push(answer.slice(kept, comma))
        kept = comma + 1
      }
      depth -= 1
      if (depth === 0) {
        const value = parseJson(pieces.join("") + answer.slice(kept, at + 1), false)
        return value === undefined ? undefined : { value, end: at }
      }
    }
    if (character === "{" || character === "[") depth += 1
    if (character === "\"") inText = true
    if (character === ",") comma = at
    else if (character > " ") comma = -1
  }
  return undefined
}
