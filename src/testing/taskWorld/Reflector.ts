/**
 * A simulated model that improves prompts: it reads the current text and what became of the runs, guesses the rule behind a
 * symptom or thinks it does, and answers in the form that was asked for. It never sees a rule that nothing points to.
 */
import { idOf, uniform } from "../Chance.js"
import { readReflectionPrompt } from "./ReflectionPrompt.js"
import { asksForJson, heard, isTrap, type Rule, sentencesOf, type TaskSpec, type Trap } from "./Rule.js"
import { taskSpecs } from "./tasks.js"

/** From one that often sees nothing to one that finds most rules: the models `sim/reflector-<strength>`. */
export const reflectorStrengths = ["weak", "medium", "strong"] as const
/** One of `reflectorStrengths`. */
export type ReflectorStrength = (typeof reflectorStrengths)[number]

/** What a reflector is capable of, as probabilities. */
interface Skill {
  /** To see the rule behind a symptom. */
  readonly insight: number
  /** To fall for a trap that would mend the symptom, when it did not see the rule. */
  readonly credulity: number
  /** To take out a line of the current text that does harm which the runs show; of one that does nothing, a third of it. */
  readonly pruning: number
  /** To go on with another symptom after the first. */
  readonly zeal: number
  /** To lose a line when it writes a text anew, each. */
  readonly forgetting: number
  /** To write a short new text that keeps next to nothing. */
  readonly collapse: number
  /** To refuse, or to answer with something else than what was asked for. */
  readonly garbage: number
  /** To put a rule into a text where it is not heard. */
  readonly misplacing: number
}

const skills: Readonly<Record<ReflectorStrength, Skill>> = {
  weak: {
    insight: 0.25,
    credulity: 0.4,
    pruning: 0.05,
    zeal: 0.15,
    forgetting: 0.1,
    collapse: 0.05,
    garbage: 0.08,
    misplacing: 0.5
  },
  medium: {
    insight: 0.5,
    credulity: 0.3,
    pruning: 0.25,
    zeal: 0.3,
    forgetting: 0.05,
    collapse: 0.02,
    garbage: 0.03,
    misplacing: 0.25
  },
  strong: {
    insight: 0.8,
    credulity: 0.2,
    pruning: 0.6,
    zeal: 0.5,
    forgetting: 0.02,
    collapse: 0.005,
    garbage: 0.01,
    misplacing: 0.1
  }
}

/** Most lines added at a time. */
const additionsMax = 3

/** What people write when nothing occurs to them. */
const platitudes = [
  "Think carefully before you answer.",
  "Work step by step.",
  "Double-check your work.",
  "Be precise and thorough.",
  "Pay attention to every detail.",
  "You are an expert with decades of experience.",
  "Take your time.",
  "Consider edge cases.",
  "Quality matters more than speed.",
  "Make sure that nothing is overlooked.",
  "Read the request twice.",
  "Stay professional at all times.",
  "Aim for consistency across all answers."
] as const

/** An addition or a removal of a line, and why. */
type Edit =
  | { readonly op: "add"; readonly text: string; readonly cause: string }
  | { readonly op: "delete"; readonly find: string; readonly cause: string }

/** What the reflector can know: the rules and traps of all tasks, of which only symptoms show which matter. */
const rules: ReadonlyArray<Rule> = taskSpecs.flatMap((spec) => spec.rules)
const traps: ReadonlyArray<Trap> = taskSpecs.flatMap((spec) => spec.traps)

/** A model's answer to a reflection prompt: the same for the same seed, prompt and draw. */
export const reflection = (strength: ReflectorStrength, seed: string, prompt: string, draw: string): string => {
  const skill = skills[strength]
  const place = idOf("reflection", strength, seed, prompt, draw)
  const luck = (...at: ReadonlyArray<string>) => uniform(place, ...at)
  const { current, rejected, rest, wanted } = readReflectionPrompt(prompt)
  if (luck("garbage") < skill.garbage) return garbage(luck("which"))
  // What was tried in vain it does not say again in the same words.
  const edits = editsFor(skill, current, rest, luck).filter((edit) =>
    edit.op === "delete" || !rejected.includes(edit.text)
  )
  switch (wanted) {
    case "edits":
      return inJson(edits)
    case "critique":
      return edits.map(({ cause }) => cause).join("\n")
    case "rewrite":
      return ["The text could say more about what went wrong.", "```", rewritten(skill, current, edits, luck), "```"]
        .join("\n")
  }
}

type Luck = (...at: ReadonlyArray<string>) => number

const one = <A>(items: ReadonlyArray<A>, luck: number): A => items[Math.floor(luck * items.length)]!

const garbage = (luck: number): string =>
  one(["I'm sorry, but I can't help with that.", "", "{\"edits\": [{\"op\": \"add\", \"text\": ", "```\n```"], luck)

const editsFor = (skill: Skill, current: string, rest: string, luck: Luck): ReadonlyArray<Edit> => {
  const symptoms = symptomsOf(rest)
  const told = adviceIn(rest).filter((line) => !current.includes(line))
  if (symptoms.size === 0 && told.length > 0) {
    return told.filter((line) => luck("follow", line) < obedience).map((text) => ({
      op: "add",
      text,
      cause: "As advised."
    }))
  }
  const lines = current.split("\n").filter((line) => line.trim() !== "")
  const edits: Array<Edit> = []
  const [harmful] = traps.filter((trap) => trap.hurts.some((field) => symptoms.has(field))).flatMap((trap) => {
    const line = lines.find((one) => sentencesOf(one).some((said) => isTrap(trap, said)))
    return line === undefined ? [] : [{ trap, line }]
  })
  if (harmful !== undefined && luck("prune") < skill.pruning) {
    edits.push({ op: "delete", find: harmful.line, cause: `"${harmful.trap.text}" makes matters worse` })
  }
  const idle = lines.filter((line) => platitudes.some((platitude) => line.includes(platitude)))
  if (idle.length > 0 && luck("tidy") < skill.pruning / 3) {
    edits.push({ op: "delete", find: one(idle, luck("idle")), cause: "A line that says nothing" })
  }
  const component = componentOf(current)
  let open = suspects(current, rest, component, luck("misplaced") < skill.misplacing)
  for (let n = 0; n < additionsMax && (n === 0 || luck("more", String(n)) < skill.zeal); n += 1) {
    const at = String(n)
    const rule = weighted(open, luck("rule", at))
    open = open.filter(([other]) => other !== rule)
    edits.push(addition(skill, rule, rest, (...parts) => luck(at, ...parts)))
  }
  return edits
}

/** How often each point of a critique is followed by whoever writes the text. */
const obedience = 0.9

/** What a critique, or proposals of others, want to be said. */
const adviceIn = (text: string): ReadonlyArray<string> =>
  [
    ...rules.flatMap(({ contrary, phrasings }) => [...phrasings, contrary]),
    ...traps.map((trap) => trap.text),
    ...platitudes
  ].filter((line) => text.includes(line))

/** Rules whose symptoms show in the runs and which the text does not state; each with how much it shows. */
const suspects = (
  current: string,
  rest: string,
  component: string | null,
  anywhere: boolean
): ReadonlyArray<readonly [Rule, number]> => {
  const said = sentencesOf(current)
  const symptoms = symptomsOf(rest)
  return rules.flatMap((rule): ReadonlyArray<readonly [Rule, number]> => {
    if (component !== null && rule.component !== component && !anywhere) return []
    if (said.some((sentence) => heard(rule, sentence) === "stated")) return []
    const shown = symptoms.get(rule.field) ?? 0
    return shown > 0 ? [[rule, shown]] : []
  })
}

/** How often the feedback names each field. */
const symptomsOf = (text: string): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const [, field] of text.matchAll(/\$\.(\w+)/g)) counts.set(field!, (counts.get(field!) ?? 0) + 1)
  return counts
}

/** The component that a text is of, as its words tell; null when they do not. */
const componentOf = (current: string): string | null => {
  const said = new Set(sentencesOf(current))
  const named = taskSpecs.flatMap((spec: TaskSpec) =>
    Object.entries(spec.seed).filter(([, text]) => sentencesOf(text).some((sentence) => said.has(sentence)))
  )
  return named[0]?.[0] ?? null
}

const weighted = (from: ReadonlyArray<readonly [Rule, number]>, luck: number): Rule | undefined => {
  let left = luck * from.reduce((sum, [, weight]) => sum + weight, 0)
  return from.find(([, weight]) => (left -= weight) < 0)?.[0]
}

const addition = (skill: Skill, rule: Rule | undefined, rest: string, luck: Luck): Edit => {
  const isBlind = /the answer is not JSON/.test(rest) && luck("json") < 0.5
  if (isBlind) {
    return { op: "add", text: "Answer with one JSON object and nothing else.", cause: "The answer is no JSON object." }
  }
  if (rule !== undefined) {
    if (luck("insight") < skill.insight) {
      const text = one(rule.phrasings, luck("wording"))
      return { op: "add", text, cause: `The text lacks a rule. ${text}` }
    }
    const trap = traps.find(({ helps }) => helps.includes(rule.field))
    if (trap !== undefined && luck("trap") < skill.credulity) {
      return { op: "add", text: trap.text, cause: `The agent is too slow. ${trap.text}` }
    }
    const error = luck("error")
    if (error < 0.2) return { op: "add", text: rule.contrary, cause: `The agent invents things. ${rule.contrary}` }
    const quoted = /\b(?:EX|TR|AG|NU)-\d{4}\b/.exec(rest)?.[0]
    if (error < 0.3 && quoted !== undefined) {
      return { op: "add", text: `Remember ${quoted}.`, cause: `The agent did not know ${quoted}.` }
    }
  }
  const text = one(platitudes, luck("platitude"))
  return { op: "add", text, cause: `The agent was careless. ${text}` }
}

const inJson = (edits: ReadonlyArray<Edit>): string =>
  JSON.stringify({
    hypotheses: edits.map(({ cause }, n) => ({ cause, evidence: [`run ${n + 1}`] })),
    edits: edits.map((edit) =>
      edit.op === "add" ? { op: "add", after: "", text: edit.text } : { op: "delete", find: edit.find }
    )
  })

const rewritten = (skill: Skill, current: string, edits: ReadonlyArray<Edit>, luck: Luck): string => {
  const removed = new Set(edits.flatMap((edit) => edit.op === "delete" ? [edit.find] : []))
  const added = edits.flatMap((edit) => edit.op === "add" ? [edit.text] : [])
  const lines = current.split("\n")
  const isCollapsing = luck("collapse") < skill.collapse
  const kept = lines.filter((line, n) =>
    !removed.has(line) && (isCollapsing
      ? n === 0 || asksForJson(line)
      : luck("forget", String(n)) >= skill.forgetting)
  )
  return [...kept, ...added].join("\n")
}
