/** The lines of two texts that differ, in the unified format that `diff -u` and `patch` speak. */
import { diff, type Edit } from "./Diff.js"

/** Lines that stay around those that change. */
const context = 3
const signs = { same: " ", removed: "-", added: "+" } as const

/** Hunks of `@@ -from,count +from,count @@` and their lines; empty when the texts are the same. */
export const unifiedDiff = (before: string, after: string): ReadonlyArray<string> => {
  const edits = diff(before.split("\n"), after.split("\n"))
  const lines: Array<string> = []
  for (const [first, last] of hunksOf(edits)) {
    lines.push(headOf(edits, first, last), ...edits.slice(first, last).map(signed))
  }
  return lines
}

const signed = ({ op, text }: Edit) => `${signs[op]}${text}`

/** Places in the list of edits, the end excluded: changes and what is around them; hunks that would touch are one. */
const hunksOf = (edits: ReadonlyArray<Edit>): ReadonlyArray<readonly [first: number, end: number]> => {
  const hunks: Array<[first: number, end: number]> = []
  for (const [place, { op }] of edits.entries()) {
    if (op === "same") continue
    const first = Math.max(0, place - context)
    const end = Math.min(edits.length, place + 1 + context)
    const last = hunks.at(-1)
    if (last !== undefined && first <= last[1]) last[1] = end
    else hunks.push([first, end])
  }
  return hunks
}

/** Neither side is ever empty: every text has a line, and a hunk all lines that are near. */
const headOf = (edits: ReadonlyArray<Edit>, first: number, end: number): string => {
  const range = (gone: Edit["op"]) => {
    const count = (part: ReadonlyArray<Edit>) => part.filter(({ op }) => op !== gone).length
    return `${count(edits.slice(0, first)) + 1},${count(edits.slice(first, end))}`
  }
  return `@@ -${range("added")} +${range("removed")} @@`
}
