/**
 * The texts that a recorded body holds, as whoever reads it sees them. JSON writes a line break as `\\n` and may write any
 * letter as `\\u0073`: patterns that look at the body alone miss what is written so.
 */
import { parseJson } from "../openai/Json.js"

/** Every text and key in a JSON body or in the events of a stream, and in the JSON that such texts hold in turn. */
export const writtenTexts = (body: string): ReadonlyArray<string> => {
  const texts: Array<string> = []
  const parsed = parseJson(body)
  if (parsed !== undefined) collect(parsed, texts, 0)
  else for (const [, event = ""] of body.matchAll(/^data:(.*)$/gm)) collect(parseJson(event), texts, 0)
  return texts
}

/** JSON within JSON, such as a tool's arguments; each layer at least doubles what its quotes take, so that few are enough. */
const layersMax = 8

const collect = (value: unknown, into: Array<string>, layer: number): void => {
  if (typeof value === "string") {
    into.push(value)
    if (layer < layersMax && /^\s*[[{"]/.test(value)) collect(parseJson(value), into, layer + 1)
  } else if (Array.isArray(value)) {
    for (const held of value) collect(held, into, layer)
  } else if (typeof value === "object" && value !== null) {
    for (const [key, held] of Object.entries(value)) {
      into.push(key)
      collect(held, into, layer)
    }
  }
}
