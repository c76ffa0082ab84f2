/** A JSON object somewhere in an answer: bare, fenced, or with words around it. */
import { readForgivingly } from "../openai/ForgivingJson.js"

/** The most places that an object is looked for at, from either end of what comes before the key. */
const placesMax = 24

/** The first object that has the key, as far as it can be read; undefined without one. Linear in the length of the answer. */
export const objectWith = (answer: string, key: string): Readonly<Record<string, unknown>> | undefined => {
  const quoted = `"${key}"`
  for (const mention of new Set([answer.indexOf(quoted), answer.lastIndexOf(quoted)])) {
    for (const place of placesOf(answer, mention)) {
      const value = readForgivingly(answer, place)?.value
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
