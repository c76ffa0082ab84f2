/**
 * APO: critiques as gradients, edits as steps, a beam as memory. After ProTeGi (Pryzant et al. 2023, EMNLP) as agent-lightning 0.3
 * does it, without its defects: failed rollouts count, every draw has a path, and candidates of a round are compared on the same
 * examples and only then.
 */
import { mean } from "../statistics/Moments.js"
import { upperConfidence } from "./Bandit.js"
import { changePrompt, critiquePrompt, critiques, edits } from "./Critique.js"
import { Minibatches } from "./Minibatches.js"
import { Pool } from "./Pool.js"
import { rounded } from "./Records.js"
import { readRewrite } from "./RewriteContract.js"
import {
  type Change,
  evaluate,
  type Found,
  keyOf,
  note,
  reflect,
  refused,
  type Steps,
  type Task,
  type TaskExample,
  type Texts,
  together,
  unbroken,
  untilStopped
} from "./Search.js"

export interface ApoSettings {
  /** Candidates that go on into the next round. */
  readonly beamWidth: number
  /** New candidates of each parent in a round. */
  readonly branchFactor: number
  readonly beamRounds: number
  /** Training examples of a critique. */
  readonly gradientBatch: number
  /** Selection examples that the candidates of a round are compared on. */
  readonly valBatch: number
  /** Sampling temperature of critiques and edits. */
  readonly temperature: number
  /** How the candidates of a round are compared: all on one batch, or by upper confidence bounds. */
  readonly bandit: "none" | "ucb"
  /** Ends the search once the best mean is this high. */
  readonly target: number | null
}

const defaultApoSettings: ApoSettings = {
  beamWidth: 4,
  branchFactor: 4,
  beamRounds: 3,
  gradientBatch: 4,
  valBatch: 16,
  temperature: 1,
  bandit: "none",
  target: null
}

/** So many rounds without a better leader end the search. */
const idleRoundsMax = 2

export function* apo(task: Task, given: Partial<ApoSettings> = {}): Steps<Found> {
  const settings = { ...defaultApoSettings, ...given }
  const history = new Pool(task)
  return yield* untilStopped(search(task, settings, history), (reason) => history.found(reason))
}

/** A candidate and what it came from. */
interface Member {
  readonly texts: Texts
  /** Position of its parent in the history, or of the nearest ancestor there. */
  readonly origin: number
}

function* search(task: Task, settings: ApoSettings, history: Pool): Steps<Found> {
  if (!(yield* history.plant())) return history.found("finished")
  const { chance } = task
  const { beamRounds, beamWidth, branchFactor } = settings
  const gradients = new Minibatches(
    task.train,
    Math.min(settings.gradientBatch, task.train.length),
    (epoch, items) => chance.shuffled(`gradient/${epoch}`, items)
  )
  const validations = new Minibatches(
    task.selection,
    Math.min(settings.valBatch, task.selection.length),
    (epoch, items) => chance.shuffled(`validation/${epoch}`, items)
  )
  const components = Object.keys(task.seed)
  const rooted = ({ origin, texts }: Member): Member => ({ texts, origin: history.indexOf(texts) ?? origin })
  let beam: ReadonlyArray<Member> = [{ texts: task.seed, origin: 0 }]
  let idle = 0
  let branches = 0
  for (let round = 1; round <= beamRounds; round += 1) {
    const ended = history.ended(settings.target)
    if (ended !== null) return history.found(ended)
    yield* note({ type: "iteration", n: round })
    const parents = beam.length < beamWidth ?
      Array.from({ length: beamWidth }, (_, at) => beam[at % beam.length]!) :
      chance.shuffled(`r/${round}/parents`, beam).slice(0, beamWidth)
    const written = yield* together(
      parents.flatMap((parent, p) =>
        Array.from({ length: branchFactor }, (_, b) => {
          const at = branches + p * branchFactor + b
          const component = components[at % components.length]!
          return branch(task, settings, rooted(parent), component, gradients.at(at), `r/${round}/${p}/${b}`)
        })
      )
    )
    branches += parents.length * branchFactor
    const members = yield* unlike([...beam, ...written.filter((member) => member !== null)])
    const scores = yield* compared(task, settings, members, validations.at(round - 1), `r/${round}/bandit`)
    // The order of the members is that of their paths, which decides between equal scores.
    const ranked = [...members.keys()].toSorted((a, b) => scores[b]! - scores[a]!)
    for (const at of ranked.slice(beamWidth)) {
      const detail = `${rounded(scores[at]!)} in round ${round}`
      yield* note({ type: "rejected", candidate: members[at]!.texts, reason: "beam", detail })
    }
    beam = ranked.slice(0, beamWidth).map((at) => members[at]!)
    const before = history.best
    yield* remember(task, history, beam[0]!)
    idle = history.best === before ? idle + 1 : 0
    if (idle >= idleRoundsMax) break
  }
  return history.found(history.ended(settings.target) ?? "finished")
}

/** Evaluates the leader of a round in full. */
function* remember(task: Task, history: Pool, { origin, texts }: Member): Steps<void> {
  if (history.has(texts)) return
  const outcomes = yield* evaluate(texts, "selection", task.selection)
  yield* note(...history.join({ texts, parents: [origin] }, outcomes.map(({ score }) => score), outcomes))
}

/** The first of each; what is written once more in a round need not be measured again there. */
function* unlike(members: ReadonlyArray<Member>): Steps<ReadonlyArray<Member>> {
  const keys = members.map(({ texts }) => keyOf(texts))
  const first: Array<Member> = []
  for (const [at, member] of members.entries()) {
    if (keys.indexOf(keys[at]!) === at) first.push(member)
    else {
      const detail = "this round has these texts already"
      yield* note({ type: "rejected", candidate: member.texts, reason: "seen", detail })
    }
  }
  return first
}

function* compared(
  task: Task,
  { bandit }: ApoSettings,
  members: ReadonlyArray<Member>,
  batch: ReadonlyArray<TaskExample>,
  path: string
): Steps<ReadonlyArray<number>> {
  const candidates = members.map(({ texts }) => texts)
  if (bandit === "ucb") return yield* upperConfidence(candidates, task.selection, task.chance, path)
  const answers = yield* together(candidates.map((texts) => evaluate(texts, "selection", batch)))
  return answers.map((outcomes) => mean(outcomes.map(({ score }) => score)))
}

/** Critique, then edit; null where nothing came of it. */
function* branch(
  { chance, seed }: Task,
  { temperature }: ApoSettings,
  parent: Member,
  component: string,
  examples: ReadonlyArray<TaskExample>,
  path: string
): Steps<Member | null> {
  const text = parent.texts[component]!
  const outcomes = unbroken(yield* evaluate(parent.texts, "train", examples, { withTraces: true }))
  if (outcomes.length === 0) return null
  const critique = yield* reflect(
    `${path}/critique`,
    critiquePrompt(chance.pick(`${path}/critique`, critiques), component, text, outcomes),
    { temperature }
  )
  if ("failure" in critique) return yield* refused("reflection", critique.failure)
  const edit = yield* reflect(
    `${path}/edit`,
    changePrompt(chance.pick(`${path}/edit`, edits), component, text, critique.text),
    { fenced: true, temperature }
  )
  if ("failure" in edit) return yield* refused("reflection", edit.failure)
  const read = readRewrite(edit.text, { before: text, seed: seed[component]! })
  if ("reason" in read) return yield* refused(read.reason, read.detail)
  const texts = { ...parent.texts, [component]: read.text }
  const change: Change = { component, kind: "rewrite", edits: [], hypotheses: [] }
  yield* note({ type: "proposed", candidate: texts, parents: [parent.texts], change, path })
  return { texts, origin: parent.origin }
}
