/**
 * GEPA: reflective evolution of texts, with Pareto parents. Agrawal et al. 2025 (arXiv 2507.19457), as the reference implementation
 * (gepa 0.1.4) does it.
 */
import { shuffled } from "../statistics/Draws.js"
import { Merge } from "./Merge.js"
import { Minibatches } from "./Minibatches.js"
import { drawParent, type FrontOrder, type Selector, type Stream } from "./ParetoFront.js"
import { type Candidate, Pool } from "./Pool.js"
import { PythonRandom, pythonSetOrder } from "./PythonRandom.js"
import { readRewrite, rewritePrompt } from "./RewriteContract.js"
import {
  type Change,
  evaluate,
  type Found,
  keyOf,
  note,
  type Outcome,
  reflect,
  refused,
  scoreSum,
  type Steps,
  type Task,
  type TaskExample,
  type Texts,
  together,
  unbroken,
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
  /** Whether candidates with a common ancestor are crossed. */
  readonly merge: boolean
  /** The most crossings that join the pool. */
  readonly mergesMax: number
  /** Ends the search once the best mean is this high. */
  readonly target: number | null
  /**
   * `python` draws what the reference implementation draws from `random.Random(rngSeed)`, and like it takes in a child whose
   * texts are those of another candidate.
   */
  readonly rng: "path" | "python"
  /** For `python` alone. */
  readonly rngSeed: number
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
  merge: false,
  mergesMax: 5,
  target: null,
  rng: "path",
  rngSeed: 0
}

export function* gepa(task: Task, given: Partial<GepaSettings> = {}): Steps<Found> {
  const settings = { ...defaultGepaSettings, ...given }
  const pool = new Pool(task)
  return yield* untilStopped(search(task, settings, pool), (reason) => pool.found(reason))
}

function* search(task: Task, settings: GepaSettings, pool: Pool): Steps<Found> {
  if (!(yield* pool.plant())) return pool.found("finished")
  const { parents, perParent } = settings.proposals
  const { at, order } = randomOf(task, settings)
  const minibatches = new Minibatches(
    task.train,
    settings.minibatch,
    (epoch, items) => shuffled(at(`epoch/${epoch}`), items)
  )
  const merge = new Merge(task, pool, { mergesMax: settings.mergesMax, at, order })
  for (let n = 1;; n += 1) {
    const ended = pool.ended(settings.target)
    if (ended !== null) return pool.found(ended)
    yield* note({ type: "iteration", n })
    if (settings.merge && (yield* merge.attempt(`iter/${n}/merge`))) continue
    const attempts = Array.from({ length: parents }, (_, k) => {
      const parent = drawParent(settings.selector, pool.candidates, pool.best!, at(`iter/${n}/parent/${k}`), order)
      return Array.from({ length: perParent }, (_, j) => {
        const attempt = k * perParent + j
        const examples = minibatches.at(n - 1, attempt)
        return { parent, examples, path: `iter/${n}/reflect/${attempt}` }
      })
    }).flat()
    const children = yield* together(attempts.map((attempt) => propose(task, settings, pool, attempt)))
    const passed = children.filter((child) => child !== null)
    const kept = yield* chosen(settings, passed)
    const outcomes = yield* together(kept.map(({ texts }) => evaluate(texts, "selection", task.selection)))
    for (const [index, { parent, texts }] of kept.entries()) {
      const scores = outcomes[index]!.map(({ score }) => score)
      yield* note(...pool.join({ texts, parents: [parent.index] }, scores, outcomes[index]!))
      merge.schedule()
    }
  }
}

interface Random {
  readonly at: (path: string) => Stream
  readonly order: FrontOrder
}

const randomOf = ({ chance }: Task, { rng, rngSeed }: GepaSettings): Random => {
  if (rng === "path") return { at: (path) => chance.at(path), order: (front) => front }
  const stream = new PythonRandom(rngSeed)
  return { at: () => stream, order: pythonSetOrder }
}

interface Attempt {
  readonly parent: Candidate
  readonly examples: ReadonlyArray<TaskExample>
  readonly path: string
}

interface Child {
  readonly texts: Texts
  readonly parent: Candidate
  readonly gain: number
}

/** A child that did better than its parent on the minibatch, or null. */
function* propose(
  task: Task,
  { acceptance, componentSelector, perfectScore, rng, skipPerfectScore }: GepaSettings,
  pool: Pool,
  { examples, parent, path }: Attempt
): Steps<Child | null> {
  const before = unbroken(yield* evaluate(parent.texts, "train", examples, { withTraces: true }))
  if (before.length === 0) return null
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
  if (rng === "path" && pool.has(texts)) {
    yield* note({
      type: "rejected",
      candidate: texts,
      reason: "seen",
      detail: "a candidate with these texts is in the pool"
    })
    return null
  }
  const told = before.map(({ example }) => example)
  const after = yield* evaluate(texts, "train", told, { withTraces: true })
  const gain = scoreSum(after) - scoreSum(before)
  if (acceptance === "strict" ? gain > 0 : gain >= 0) return { texts, parent, gain }
  yield* note({
    type: "rejected",
    candidate: texts,
    reason: "screen",
    detail: `${scoreSum(after)} against ${scoreSum(before)} on ${told.length} training examples`
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
  const reflection = yield* reflect(path, rewritePrompt(component, text, before), { fenced: true })
  if ("failure" in reflection) return yield* refused("reflection", reflection.failure)
  const read = readRewrite(reflection.text, { before: text, seed: task.seed[component]! })
  return "text" in read ? read.text : yield* refused(read.reason, read.detail)
}

/** The children that are evaluated in full, in the order of their paths, none twice. */
function* chosen({ selection }: GepaSettings, passed: ReadonlyArray<Child>): Steps<ReadonlyArray<Child>> {
  const most = selection === "all" ? passed.length : selection === "best" ? 1 : selection.topK
  const ranked = new Set(passed.toSorted((a, b) => b.gain - a.gain).slice(0, most))
  const keys = new Set<string>()
  const kept: Array<Child> = []
  for (const child of passed) {
    const key = keyOf(child.texts)
    if (ranked.has(child) && !keys.has(key)) kept.push(child)
    else {
      const [reason, detail] = ranked.has(child) ?
        ["seen", "another child has the same texts"] as const :
        ["beam", "another child gained more"] as const
      yield* note({ type: "rejected", candidate: child.texts, reason, detail })
    }
    if (ranked.has(child)) keys.add(key)
  }
  return kept
}
