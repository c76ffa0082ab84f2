/** Takes one line out of a text: what nobody needs only distracts. */
import type { Patch } from "./Admission.js"
import { placeholderFault } from "./Guards.js"
import type { Task, Texts } from "./Search.js"

/** A text of fewer lines has nothing to spare. */
const ablationLinesMin = 4

/**
 * The texts without one line that the seed does not have, chosen at random; null where there is none to take. No line goes with
 * which a placeholder would, nor the last one.
 */
export const ablated = (
  task: Task,
  texts: Texts,
  path: string
): { readonly texts: Texts; readonly patch: Patch } | null => {
  const spare = Object.entries(texts).flatMap(([component, text]) => {
    const seed = task.seed[component]!.split("\n")
    const lines = text.split("\n")
    const filled = lines.filter((line) => line.trim() !== "")
    if (Math.max(seed.length, lines.length) < ablationLinesMin || filled.length < 2) return []
    const kept = new Set(seed.map((line) => line.trim()))
    const isNeeded = (line: string, at: number) =>
      line.includes("{{") && placeholderFault(text, lines.toSpliced(at, 1).join("\n")) !== null
    return lines.flatMap((line, at) =>
      line.trim() === "" || kept.has(line.trim()) || isNeeded(line, at) ? [] : [{ component, lines, at }]
    )
  })
  if (spare.length === 0) return null
  const { at, component, lines } = task.chance.pick(path, spare)
  return {
    texts: { ...texts, [component]: lines.toSpliced(at, 1).join("\n") },
    patch: { component, edits: [{ op: "delete", find: lines[at]! }] }
  }
}
