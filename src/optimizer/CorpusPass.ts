/** One look at everything the seed gets wrong, before the search begins. After CASD, and ComBEE (arXiv 2604.04247) for the groups. */
import type { Admission, Patch, Proposal } from "./Admission.js"
import { changeOf, editPrompt, type Fault, readEdits, type Reading, reducePrompt } from "./EditContract.js"
import { describeEdit } from "./Edits.js"
import type { Candidate } from "./Pool.js"
import { evaluate, type Outcome, reflect, refused, type Steps, type Task, together, unbroken } from "./Search.js"

/** So many failures are shown in one call; of more, each call sees `groupSize`, and one more makes one of what they propose. */
const togetherMax = 12
const groupSize = 6
const failuresMax = 60
const corpusEditsMax = 12

export interface CorpusSettings {
  readonly hypotheses: boolean
  readonly sharedAnswers: ReadonlySet<string>
}

/** Runs the seed on all training examples, and proposes edits of every component for its failures. */
export function* corpusPass(task: Task, seed: Candidate, admission: Admission, settings: CorpusSettings): Steps<void> {
  const outcomes = yield* evaluate(task.seed, "train", task.train, { withTraces: true })
  const failures = unbroken(outcomes).filter(({ score }) => score < 1).slice(0, failuresMax)
  if (failures.length === 0) return
  const components = Object.keys(task.seed)
  const readings = yield* together(components.map((component) => ofComponent(task, component, failures, settings)))
  let texts = task.seed
  const patches: Array<Patch> = []
  for (const [index, component] of components.entries()) {
    const reading = readings[index]!
    if (reading === null) continue
    texts = { ...texts, [component]: reading.text }
    patches.push({ component, edits: reading.edits })
  }
  if (patches.length === 0) return
  const change = changeOf(
    patches.map(({ component }) => component).join(", "),
    "corpus",
    patches.flatMap(({ edits }) => edits),
    readings.flatMap((reading) => reading?.change.hypotheses ?? [])
  )
  const anew = patches.some(({ edits }) => edits.length === 0)
  const proposal: Proposal = { texts, parents: [seed], change, patches: anew ? [] : patches, path: "corpus" }
  if (yield* admission.propose(proposal)) yield* admission.admit(proposal, seed)
}

function* ofComponent(
  task: Task,
  component: string,
  failures: ReadonlyArray<Outcome>,
  settings: CorpusSettings
): Steps<Reading | null> {
  const text = task.seed[component]!
  const path = `corpus/${component}`
  const read = (answer: string, editsMax: number, outcomes: ReadonlyArray<Outcome>) =>
    readEdits(answer, {
      component,
      before: text,
      seed: text,
      examples: outcomes.map(({ example }) => example),
      sharedAnswers: settings.sharedAnswers,
      editsMax
    })
  const prompt = (outcomes: ReadonlyArray<Outcome>, editsMax: number) =>
    editPrompt({ component, text, outcomes, rejected: [], hypotheses: settings.hypotheses, editsMax })
  if (failures.length <= togetherMax) {
    return yield* asked(path, prompt(failures, corpusEditsMax), (answer) => read(answer, corpusEditsMax, failures))
  }
  const groups = Array.from(
    { length: Math.ceil(failures.length / groupSize) },
    (_, at) => failures.slice(at * groupSize, (at + 1) * groupSize)
  )
  const proposed = yield* together(
    groups.map((group, at) =>
      asked(`${path}/${at}`, prompt(group, corpusEditsMax), (answer) => read(answer, corpusEditsMax, group))
    )
  )
  const lines = [...new Set(proposed.flatMap((reading) => reading?.edits.map(describeEdit) ?? []))]
  if (lines.length === 0) return null
  return yield* asked(
    `${path}/reduce`,
    reducePrompt({ component, text, lines, editsMax: corpusEditsMax }),
    (answer) => read(answer, corpusEditsMax, failures)
  )
}

/** One call, read; null where nothing came of it. */
export function* asked(path: string, prompt: string, read: (answer: string) => Reading | Fault): Steps<Reading | null> {
  const reflection = yield* reflect(path, prompt, { json: true })
  if ("failure" in reflection) return yield* refused("reflection", reflection.failure)
  const reading = read(reflection.text)
  return "reason" in reading ? yield* refused(reading.reason, reading.detail) : reading
}
