/** A JSON object somewhere in an answer: bare, fenced, or with words around it. */

/** The most places that an object is looked for at, from either end of what comes before the key. */
const placesMax = 24

/** The first object that has the key, as far as it can be read; undefined without one. Linear in the length of the answer. */
export const objectWith = (answer: string, key: string): Readonly<Record<string, unknown>> | undefined => {
  const quoted = `"${key}"`
  for (const mention of new Set([answer.indexOf(quoted), answer.lastIndexOf(quoted)])) {
    for (const place of placesOf(answer, mention)) {
      const value = readAt(answer, place)
      if (typeof value === "object" && value !== null && Object.hasOwn(value, key)) {
        return value as Readonly<Record<string, unknown>>
      }
    }
  }
  return undefined
}

/** Opening braces before the key: the first few, for an object that begins the answer, then the nearest. */
const placesOf = (answer: string, key: number): ReadonlyArray<number> => {
  const first: Array<number> = []
  for (
    let at = answer.indexOf("{");
    at >= 0 && at < key && first.length < placesMax;
    at = answer.indexOf("{", at + 1)
  ) {
    first.push(at)
  }
  const nearest: Array<number> = []
  for (let at = answer.lastIndexOf("{", key); at > (first.at(-1) ?? key) && nearest.length < placesMax;) {
    nearest.push(at)
    at = at === 0 ? -1 : answer.lastIndexOf("{", at - 1)
  }
  return [...first, ...nearest]
}

/**
 * Reads the object that begins there, and forgives what models get wrong: a comma before a closing bracket, a line break within
 * a text.
 */
const readAt = (answer: string, from: number): unknown => {
  const pieces: Array<string> = []
  let depth = 0
  let inText = false
  let kept = from
  let comma = -1
  for (let at = from; at < answer.length; at += 1) {
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
      if (depth === 0) return parsed(pieces.join("") + answer.slice(kept, at + 1))
    }
    if (character === "{" || character === "[") depth += 1
    if (character === "\"") inText = true
    if (character === ",") comma = at
    else if (character > " ") comma = -1
  }
  return undefined
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
