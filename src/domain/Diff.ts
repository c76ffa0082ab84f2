/** The shortest edit from one list to another, by E. W. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986). */

export interface Edit {
  readonly op: "same" | "removed" | "added"
  readonly text: string
}

/**
 * Most differences that are looked for. The work grows with their square: two texts that differ more have little in common,
 * and what is between their common beginning and end is then replaced as a whole.
 */
const differencesMax = 2_000

/** What is left of `before`, and what of `after` is new, in order; removals come before additions. */
export const diff = (before: ReadonlyArray<string>, after: ReadonlyArray<string>): ReadonlyArray<Edit> => {
  let start = 0
  while (start < before.length && start < after.length && before[start] === after[start]) start++
  let end = 0
  while (
    end < before.length - start && end < after.length - start &&
    before[before.length - 1 - end] === after[after.length - 1 - end]
  ) end++
  const same = (text: string): Edit => ({ op: "same", text })
  return [
    ...before.slice(0, start).map(same),
    ...middle(before.slice(start, before.length - end), after.slice(start, after.length - end)),
    ...before.slice(before.length - end).map(same)
  ]
}

const middle = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): ReadonlyArray<Edit> => {
  const frontiers = search(a, b)
  return frontiers === null ? replaced(a, b) : backtrack(a, b, frontiers)
}

const replaced = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): ReadonlyArray<Edit> => [
  ...a.map((text): Edit => ({ op: "removed", text })),
  ...b.map((text): Edit => ({ op: "added", text }))
]

/** For each number of differences, how far into `a` each diagonal reaches; null when there are too many. */
const search = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): ReadonlyArray<Int32Array> | null => {
  const most = Math.min(a.length + b.length, differencesMax)
  const frontiers: Array<Int32Array> = []
  let reach = new Int32Array(3)
  for (let d = 0; d <= most; d++) {
    // Diagonal k of d differences is at k + d + 2, so that those beside it, of one less, are at k + d + 2 and k + d.
    const next = new Int32Array(2 * d + 5)
    frontiers.push(reach)
    for (let k = -d; k <= d; k += 2) {
      let x = d === 0 ? 0 : stepsDown(reach, k, d) ? reach[k + d + 2]! : reach[k + d]! + 1
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++
      next[k + d + 2] = x
      if (x >= a.length && x - k >= b.length) return frontiers
    }
    reach = next
  }
  return null
}

/** Whether diagonal `k` is best reached by an addition, from the diagonal above it. No removal then follows an addition at once. */
const stepsDown = (reach: Int32Array, k: number, d: number): boolean =>
  k === -d || (k !== d && reach[k + d]! < reach[k + d + 2]!)

const backtrack = (
  a: ReadonlyArray<string>,
  b: ReadonlyArray<string>,
  frontiers: ReadonlyArray<Int32Array>
): ReadonlyArray<Edit> => {
  const edits: Array<Edit> = []
  let x = a.length
  let y = b.length
  for (let d = frontiers.length - 1; d >= 0; d--) {
    const reach = frontiers[d]!
    const k = x - y
    const down = d > 0 && stepsDown(reach, k, d)
    const fromX = d === 0 ? 0 : down ? reach[k + d + 2]! : reach[k + d]!
    const fromY = d === 0 ? 0 : fromX - (down ? k + 1 : k - 1)
    while (x > fromX && y > fromY) {
      x--
      y--
      edits.push({ op: "same", text: a[x]! })
    }
    if (d === 0) break
    if (down) {
      y--
      edits.push({ op: "added", text: b[y]! })
    } else {
      x--
      edits.push({ op: "removed", text: a[x]! })
    }
  }
  return edits.toReversed()
}
