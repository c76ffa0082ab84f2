/**
 * Our default: GEPA with edits in place of new texts, a larger minibatch, a screen on the failures alone, and validation as a
 * paired race. Bounded edits and the memory of rejected ones are after SkillOpt (arXiv 2605.23904), hypotheses before edits after
 * VISTA (2603.18388), the pass over the whole corpus after CASD.
 */
import { ablated } from "./Ablation.js"
import { Admission, type AdmissionSettings, gainText, type Proposal } from "./Admission.js"
import { asked, corpusPass } from "./CorpusPass.js"
import { changeOf, editPrompt, editsMax, readEdits } from "./EditContract.js"
import { sharedAnswers } from "./Guards.js"
import { Minibatches } from "./Minibatches.js"
import { drawParent } from "./ParetoFront.js"
import { mergedPatches, patchMergesMax } from "./PatchMerge.js"
import { type Candidate, Pool } from "./Pool.js"
import {
  evaluate,
  type Found,
  note,
  type Outcome,
  scoreSum,
  type Steps,
  type Task,
  type TaskExample,
  together,
  unbroken,
  untilStopped
} from "./Search.js"

export interface RgepaSettings extends AdmissionSettings {
  /** Training examples of an iteration. */
  readonly minibatch: number
  /** Reflections of an iteration; the one that mends most failures goes on. */
  readonly proposals: number
  /** How often the best is the parent; else the parent is drawn as in GEPA. */
  readonly pBest: number
  /** How often a line of the best is left out on trial, where a text has at least four lines. */
  readonly pPrune: number
  /** Whether edits of one line of descent are tried on another. */
  readonly patchMerge: boolean
  /** So many iterations begin without waiting for the one before: `lag + 1` at a time see the same pool. */
  readonly lag: number
  /** Whether to begin with one look at everything the seed gets wrong. */
  readonly corpusPass: boolean
  /** Whether the reflector is shown what was tried on the parent in vain. */
  readonly rejectedMemory: boolean
  /** Whether the reflector is asked for causes before edits. */
  readonly hypotheses: boolean
  /** Ends the search once the best mean is this high. */
  readonly target: number | null
}

export const defaultRgepaSettings: RgepaSettings = {
  minibatch: 6,
  proposals: 1,
  block: 10,
  dropZ: 1.28,
  dropMargin: 0.02,
  pBest: 0.5,
  pPrune: 0.1,
  patchMerge: false,
  lag: 0,
  corpusPass: false,
  rejectedMemory: true,
  hypotheses: true,
  tieBreakSamples: 0,
  target: null
}

export function* rgepa(task: Task, given: Partial<RgepaSettings> = {}): Steps<Found> {
  const settings = { ...defaultRgepaSettings, ...given }
  const pool = new Pool(task, "tokens")
  return yield* untilStopped(search(task, settings, pool), (reason) => pool.found(reason))
}

function* search(task: Task, settings: RgepaSettings, pool: Pool): Steps<Found> {
  if (!(yield* pool.plant())) return pool.found("finished")
  const admission = new Admission(task, settings, pool)
  const shared = sharedAnswers(task.train)
  if (settings.corpusPass && pool.ended(settings.target) === null) {
    yield* corpusPass(task, pool.best!, admission, { hypotheses: settings.hypotheses, sharedAnswers: shared })
  }
  const minibatches = new Minibatches(
    task.train,
    settings.minibatch,
    (epoch, items) => task.chance.shuffled(`epoch/${epoch}`, items)
  )
  const state: State = { task, settings, pool, admission, shared, minibatches, merges: { tried: 0, poolSize: 1 } }
  for (let first = 1;; first += settings.lag + 1) {
    const ended = pool.ended(settings.target)
    if (ended !== null) return pool.found(ended)
    const candidates = [...pool.candidates]
    yield* together(Array.from({ length: settings.lag + 1 }, (_, at) => iteration(state, first + at, candidates)))
  }
}

interface State {
  readonly task: Task
  readonly settings: RgepaSettings
  readonly pool: Pool
  readonly admission: Admission
  /** Expected answers that a text may name. */
  readonly shared: ReadonlySet<string>
  readonly minibatches: Minibatches<TaskExample>
  readonly merges: { tried: number; poolSize: number }
}

/** `candidates` is the pool as this iteration sees it. */
function* iteration(state: State, n: number, candidates: ReadonlyArray<Candidate>): Steps<void> {
  const { admission, minibatches, pool, settings, task: { chance } } = state
  yield* note({ type: "iteration", n })
  const best = pool.bestOf(candidates)!
  const parent = chance.uniform(`iter/${n}/greedy`) < settings.pBest ?
    best :
    drawParent("pareto", candidates, best, chance.at(`iter/${n}/parent`))
  if (chance.uniform(`iter/${n}/prune`) < settings.pPrune) yield* prune(state, best, `iter/${n}/line`)
  if (settings.patchMerge) yield* merge(state, candidates, `iter/${n}/merge`)

  // A minibatch that was filled up may have an example twice, which would tell nothing new.
  const examples = [...new Set(minibatches.at(n - 1))]
  const before = unbroken(yield* evaluate(parent.texts, "train", examples, { withTraces: true }))
  const failures = before.filter(({ score }) => score < 1)
  if (failures.length === 0) return
  const component = pool.takeTurn(parent.index)
  const outcomes = [...failures, ...before.filter(({ score }) => score >= 1)]
  const proposals = yield* together(
    Array.from(
      { length: settings.proposals },
      (_, at) => propose(state, parent, component, outcomes, `iter/${n}/reflect/${at}`)
    )
  )
  const screened = yield* together(
    proposals.filter((proposal) => proposal !== null).map((proposal) => screen(state, proposal, failures))
  )
  let winner: Screened | null = null
  for (const one of screened) if (one.gain > 0 && (winner === null || one.gain > winner.gain)) winner = one
  for (const { gain, proposal } of screened) {
    if (gain <= 0 || proposal === winner!.proposal) continue
    yield* note({ type: "rejected", candidate: proposal.texts, reason: "beam", detail: "another proposal mended more" })
  }
  if (winner !== null) yield* admission.admit(winner.proposal, parent)
}

/** Tries the best without one of its lines. */
function* prune({ admission, task }: State, best: Candidate, path: string): Steps<void> {
  const shorter = ablated(task, best.texts, path)
  if (shorter === null) return
  const { patch, texts } = shorter
  const change = changeOf(patch.component, "ablation", patch.edits, [])
  const proposal: Proposal = { texts, parents: [best], change, patches: [patch], path }
  if (yield* admission.propose(proposal)) yield* admission.admit(proposal, best)
}

/** Once after each candidate that joined. */
function* merge(
  { admission, merges, pool, task }: State,
  candidates: ReadonlyArray<Candidate>,
  path: string
): Steps<void> {
  if (merges.tried >= patchMergesMax || candidates.length <= merges.poolSize) return
  merges.poolSize = candidates.length
  const proposal = mergedPatches(task, pool, candidates, admission, path)
  if (proposal === null || !(yield* admission.propose(proposal))) return
  merges.tried += 1
  yield* admission.admit(proposal, proposal.parents[0]!)
}

/** Edits of the parent that are new, or null. */
function* propose(
  { admission, settings, shared, task }: State,
  parent: Candidate,
  component: string,
  outcomes: ReadonlyArray<Outcome>,
  path: string
): Steps<Proposal | null> {
  const text = parent.texts[component]!
  const rejected = settings.rejectedMemory ? admission.rejectedOf(parent) : []
  const prompt = editPrompt({ component, text, outcomes, rejected, hypotheses: settings.hypotheses, editsMax })
  const reading = yield* asked(path, prompt, (answer) =>
    readEdits(answer, {
      component,
      before: text,
      seed: task.seed[component]!,
      examples: outcomes.map(({ example }) => example),
      sharedAnswers: shared,
      editsMax
    }))
  if (reading === null) return null
  const proposal: Proposal = {
    texts: { ...parent.texts, [component]: reading.text },
    parents: [parent],
    change: reading.change,
    patches: reading.edits.length === 0 ? [] : [{ component, edits: reading.edits }],
    path
  }
  return (yield* admission.propose(proposal)) ? proposal : null
}

interface Screened {
  readonly proposal: Proposal
  readonly gain: number
}

/** Whether a proposal mends what its parent failed at. What the parent got right is the race's to check. */
function* screen({ admission }: State, proposal: Proposal, failures: ReadonlyArray<Outcome>): Steps<Screened> {
  const examples = failures.map(({ example }) => example)
  const after = yield* evaluate(proposal.texts, "train", examples, { withTraces: true })
  const gain = scoreSum(after) - scoreSum(failures)
  if (gain <= 0) {
    const result = gainText(gain, failures.length)
    admission.remember(proposal, result)
    yield* note({
      type: "rejected",
      candidate: proposal.texts,
      reason: "screen",
      detail: `${result} training examples that the parent failed`
    })
  }
  return { proposal, gain }
}
