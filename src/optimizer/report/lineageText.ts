import { changeOf, fate } from "./candidatesTable.js"
import { parentOf, type ReportedCandidate, type SearchReport } from "./SearchReport.js"
import { fitting, score } from "./words.js"

/** Deeper branches are drawn no further to the right: their lines begin with how deep they are. */
const depthShown = 12

/** Which candidate came of which, as a tree of at most 80 columns; other parents than the first are named. */
export const lineageText = ({ candidates }: Pick<SearchReport, "candidates">): string => {
  const byNumber = new Map(candidates.map((candidate) => [candidate.n, candidate]))
  const children = new Map<number, Array<ReportedCandidate>>()
  const roots: Array<ReportedCandidate> = []
  for (const candidate of byNumber.values()) {
    const parent = parentOf(byNumber, candidate)
    if (parent === undefined) roots.push(candidate)
    else children.set(parent.n, [...children.get(parent.n) ?? [], candidate])
  }
  const lines: Array<string> = []
  const open: Array<Branch> = roots.toReversed().map((candidate) => ({ candidate, depth: 0, head: "", rest: "" }))
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { candidate, depth, head, rest } = next
    lines.push(fitting(`${head}${described(candidate)}`))
    const below = children.get(candidate.n) ?? []
    for (const [index, child] of [...below.entries()].toReversed()) {
      const isLast = index === below.length - 1
      open.push(
        depth >= depthShown
          ? { candidate: child, depth: depth + 1, head: `${rest}(${depth + 1} deep) `, rest }
          : {
            candidate: child,
            depth: depth + 1,
            head: `${rest}${isLast ? "└─ " : "├─ "}`,
            rest: `${rest}${isLast ? "   " : "│  "}`
          }
      )
    }
  }
  return lines.join("\n")
}

interface Branch {
  readonly candidate: ReportedCandidate
  readonly depth: number
  /** What its own line begins with, and those of its children. */
  readonly head: string
  readonly rest: string
}

const described = (candidate: ReportedCandidate): string => {
  const { examples, mean, n, parents } = candidate
  const others = parents.slice(1)
  const scored = mean === null ? "" : `  ${score(mean)} n=${examples}`
  const merged = others.length === 0 ? "" : `  (also from ${others.join(", ")})`
  return `${n} ${changeOf(candidate)}${scored}  ${fate(candidate)}${merged}`
}
