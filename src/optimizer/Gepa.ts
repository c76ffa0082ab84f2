/**
 * GEPA: reflective evolution of texts, with Pareto parents. Agrawal et al. 2025 (arXiv 2507.19457), as the reference implementation
 * (gepa 0.1.4) does it.
 */
import { sum } from "../statistics/Moments.js"
import { lengthFault, placeholderFault } from "./Guards.js"
import { Minibatches } from "./Minibatches.js"
import { drawParent, type Selector } from "./ParetoFront.js"
import { type Candidate, Pool } from "./Pool.js"
import { readRewrite, rewritePrompt } from "./RewriteContract.js"
import {
  type Change,
  evaluate,
  type Found,
  keyOf,
  note,
  type Outcome,
  reflect,
  type Steps,
  type Task,
  type TaskExample,
  type Texts,
  together,
  untilStopped
} from "./Search.js"

export interface GepaSettings {
  /** Training examples of a proposal. */
  readonly minibatch: number
  /** A score that leaves nothing to improve. */
  readonly perfectScore: number
  /** Whether a minibatch of nothing but perfect scores makes no proposal. */
  readonly skipPerfectScore: boolean
  readonly selector: Selector
  /** Which components a proposal changes: one after the other, or all. */
  readonly componentSelector: "round_robin" | "all"
  /** How the sum of a child over its minibatch must compare with its parent's: greater, or not less. */
  readonly acceptance: "strict" | ">="
  /** An iteration draws so many parents, and so many minibatches for each. */
  readonly proposals: { readonly parents: number; readonly perParent: number }
  /** Which of the children of an iteration that pass are evaluated in full. */
  readonly selection: "all" | "best" | { readonly topK: number }
  /** Ends the search once the best mean is this high. */
  readonly target: number | null
}

export const defaultGepaSettings: GepaSettings = {
  minibatch: 3,
  perfectScore: 1,
  skipPerfectScore: true,
  selector: "pareto",
  componentSelector: "round_robin",
  acceptance: "strict",
  proposals: { parents: 1, perParent: 1 },
  selection: "all",
  target: null
}

export function* gepa(task: Task, given: Partial<GepaSettings> = {}): Steps<Found> {
  const settings = { ...defaultGepaSettings, ...given }
  const pool = new Pool(task)
  return yield* untilStopped(search(task, settings, pool), (reason) => pool.found(reason))
}

function* search(task: Task, settings: GepaSettings, pool: Pool): Steps<Found> {
  if (!(yield* pool.plant())) return pool.found("finished")
  const { chance } = task
  const { parents, perParent } = settings.proposals
  const minibatches = new Minibatches(
    task.train,
    settings.minibatch,
    (epoch, items) => chance.shuffled(`epoch/${epoch}`, items)
  )
  for (let n = 1;; n += 1) {
    const ended = pool.ended(settings.target)
    if (ended !== null) return pool.found(ended)
    yield* note({ type: "iteration", n })
    const attempts = Array.from({ length: parents }, (_, k) => {
      const parent = drawParent(settings.selector, pool.candidates, pool.best!, chance.at(`iter/${n}/parent/${k}`))
      return Array.from({ length: perParent }, (_, j) => {
        const at = k * perParent + j
        return { parent, examples: minibatches.at((n - 1) * parents * perParent + at), path: `iter/${n}/reflect/${at}` }
      })
    }).flat()
    const children = yield* together(attempts.map((attempt) => propose(task, settings, pool, attempt)))
    const passed = children.filter((child) => child !== null)
    const kept = yield* chosen(settings.selection, passed, pool)
    const outcomes = yield* together(kept.map(({ texts }) => evaluate(texts, "selection", task.selection)))
    for (const [index, { change, parent, texts }] of kept.entries()) {
      const scores = outcomes[index]!.map(({ score }) => score)
      yield* note(...pool.join({ texts, parents: [parent.index], change }, scores, outcomes[index]!))
    }
  }
}

interface Attempt {
  readonly parent: Candidate
  readonly examples: ReadonlyArray<TaskExample>
  readonly path: string
}

interface Child {
  readonly texts: Texts
  readonly change: Change
  readonly parent: Candidate
  readonly gain: number
}

const sumOf = (outcomes: ReadonlyArray<Outcome>): number => sum(outcomes.map(({ score }) => score))

/** A child that did better than its parent on the minibatch, or null. */
function* propose(
  task: Task,
  { acceptance, componentSelector, perfectScore, skipPerfectScore }: GepaSettings,
  pool: Pool,
  { examples, parent, path }: Attempt
): Steps<Child | null> {
  const before = yield* evaluate(parent.texts, "train", examples, { withTraces: true })
  if (skipPerfectScore && before.every(({ score }) => score >= perfectScore)) return null
  const components = componentSelector === "all" ? Object.keys(task.seed) : [pool.takeTurn(parent.index)]
  const written = yield* together(
    components.map((component) =>
      rewrite(task, parent, component, before, components.length === 1 ? path : `${path}/${component}`)
    )
  )
  const changed = components.flatMap((component, index) =>
    written[index] === null ? [] : [[component, written[index]!] as const]
  )
  if (changed.length === 0) return null
  const texts = { ...parent.texts, ...Object.fromEntries(changed) }
  const change: Change = {
    component: changed.map(([component]) => component).join(", "),
    kind: "rewrite",
    edits: [],
    hypotheses: []
  }
  yield* note({ type: "proposed", candidate: texts, parents: [parent.texts], change, path })
  if (pool.has(texts)) {
    yield* note({
      type: "rejected",
      candidate: texts,
      reason: "seen",
      detail: "a candidate with these texts is in the pool"
    })
    return null
  }
  const after = yield* evaluate(texts, "train", examples, { withTraces: true })
  const gain = sumOf(after) - sumOf(before)
  if (acceptance === "strict" ? gain > 0 : gain >= 0) return { texts, change, parent, gain }
  yield* note({
    type: "rejected",
    candidate: texts,
    reason: "screen",
    detail: `${sumOf(after)} against ${sumOf(before)} on ${examples.length} training examples`
  })
  return null
}

/** A new text of one component, or null. */
function* rewrite(
  task: Task,
  parent: Candidate,
  component: string,
  before: ReadonlyArray<Outcome>,
  path: string
): Steps<string | null> {
  const text = parent.texts[component]!
  const reflection = yield* reflect(path, rewritePrompt(component, text, before))
  if ("failure" in reflection) {
    yield* note({ type: "rejected", candidate: null, reason: "reflection", detail: reflection.failure })
    return null
  }
  const written = readRewrite(reflection.text)
  if (written === "") {
    yield* note({ type: "rejected", candidate: null, reason: "parse", detail: "the answer has no text" })
    return null
  }
  const fault = placeholderFault(text, written) ?? lengthFault(task.seed[component]!, written)
  if (fault === null) return written
  yield* note({ type: "rejected", candidate: null, reason: "guard", detail: fault })
  return null
}

/** The children that are evaluated in full, in the order of their paths, none twice. */
function* chosen(
  selection: GepaSettings["selection"],
  passed: ReadonlyArray<Child>,
  pool: Pool
): Steps<ReadonlyArray<Child>> {
  const most = selection === "all" ? passed.length : selection === "best" ? 1 : selection.topK
  const ranked = passed.toSorted((a, b) => b.gain - a.gain).slice(0, most)
  const keys = new Set<string>()
  const kept: Array<Child> = []
  for (const child of passed) {
    const key = keyOf(child.texts)
    if (!ranked.includes(child) || keys.has(key) || pool.has(child.texts)) {
      const reason = ranked.includes(child) ? "seen" : "beam"
      const detail = reason === "seen" ? "another child has the same texts" : "another child gained more"
      yield* note({ type: "rejected", candidate: child.texts, reason, detail })
      continue
    }
    keys.add(key)
    kept.push(child)
  }
  return kept
}
