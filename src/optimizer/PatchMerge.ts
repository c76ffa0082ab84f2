/** Brings together what two lines of descent found: the edits of the one, applied to the other. */
import type { Admission, Patch, Proposal } from "./Admission.js"
import { changeOf } from "./EditContract.js"
import { applyEdits } from "./Edits.js"
import { editFault } from "./Guards.js"
import { undominatedOf } from "./ParetoFront.js"
import type { Candidate, Pool } from "./Pool.js"
import type { Task, Texts } from "./Search.js"

/** Merges of one search. */
export const patchMergesMax = 5

/**
 * Draws two undominated candidates of which neither comes from the other, and gives the better one the edits of the other since
 * they parted. Null where there is no such pair, or nothing fits.
 */
export const mergedPatches = (
  task: Task,
  pool: Pool,
  candidates: ReadonlyArray<Candidate>,
  admission: Admission,
  path: string
): Proposal | null => {
  const undominated = [...new Set(undominatedOf(candidates).flat())].toSorted((a, b) => a - b)
  const pairs = undominated.flatMap((one, at) =>
    undominated.slice(at + 1)
      .filter((other) => !pool.lineage(one).has(other) && !pool.lineage(other).has(one))
      .map((other) => [candidates[one]!, candidates[other]!] as const)
  )
  if (pairs.length === 0) return null
  const [one, other] = task.chance.pick(path, pairs)
  const [base, donor] = other.mean > one.mean ? [other, one] : [one, other]
  const patches = patchesSince(pool, donor, pool.lineage(base.index), admission)
  if (patches === null) return null
  let texts: Texts = base.texts
  const applied: Array<Patch> = []
  for (const { component, edits } of patches) {
    const edited = applyEdits(texts[component]!, edits)
    if (edited.edits.length === 0 || editFault(task.seed[component]!, texts[component]!, edited.text) !== null) continue
    texts = { ...texts, [component]: edited.text }
    applied.push({ component, edits: edited.edits })
  }
  if (applied.length === 0) return null
  const components = [...new Set(applied.map(({ component }) => component))].join(", ")
  const change = changeOf(components, "merge", applied.flatMap(({ edits }) => edits), [])
  return { texts, parents: [base, donor], change, patches: applied, path }
}

/** From the oldest; null where a text on the way was written anew. */
const patchesSince = (
  pool: Pool,
  donor: Candidate,
  ancestors: ReadonlySet<number>,
  admission: Admission
): ReadonlyArray<Patch> | null => {
  const found: Array<Patch> = []
  for (let at = donor; !ancestors.has(at.index);) {
    const patches = admission.patchesOf(at)
    if (patches.length === 0) return null
    found.unshift(...patches)
    at = pool.candidates[at.parents[0]!]!
  }
  return found
}
