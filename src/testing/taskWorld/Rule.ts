/** What an agent of the task world must be told: a rule that is hidden from whoever improves its prompt. */

/** One request's part of a rule: the line that asks for it, and what the answer should and would say. */
export interface Demand {
  readonly line: string
  readonly right: string | number | null
  /** What an agent writes that does not know the rule. */
  readonly naive: string | number | null
}

/** Chooses among things of one request, the same ones each time. */
export type Choose = <A>(label: string, from: ReadonlyArray<A>) => A

/** One thing that the agent does right only when a text tells it to. */
export interface Rule {
  /** Field of the answer that it governs; unlike that of any other rule of any task. */
  readonly field: string
  /** Component whose text must state it: said elsewhere, it is not heard. */
  readonly component: string
  /** Share of requests that depend on it. */
  readonly share: number
  /** How often the agent does it unasked, in [0, 1]. */
  readonly unasked: number
  /** A sentence in which all of these are found states the rule; nothing states one that has none. */
  readonly states: ReadonlyArray<RegExp>
  /** A sentence in which all of these are found says the contrary, whatever else it says. */
  readonly denies: ReadonlyArray<RegExp>
  /** Ways to state it. */
  readonly phrasings: readonly [string, ...ReadonlyArray<string>]
  /** A way to say the contrary, as one does who has misunderstood the symptoms. */
  readonly contrary: string
  readonly demand: (choose: Choose) => Demand
}

/** A line that mends some symptoms and does harm elsewhere: a local optimum. */
export interface Trap {
  readonly component: string
  readonly states: ReadonlyArray<RegExp>
  readonly text: string
  /** Fields that come out right more often: at least this often. */
  readonly helps: ReadonlyArray<string>
  readonly helped: number
  /** Fields that come out right less often: by this factor. */
  readonly hurts: ReadonlyArray<string>
  readonly harm: number
}

/** The texts of an agent by name of their component. */
export type AgentTexts = Readonly<Record<string, string>>

/** A task: an agent that extracts, triages or books, and the rules it is not told. */
export interface TaskSpec {
  readonly name: string
  /** Prefix of its requests' ids. */
  readonly prefix: string
  /** What a request is called in its first line. */
  readonly title: string
  /** The texts an optimizer starts from. */
  readonly seed: AgentTexts
  /** The component that must ask for a JSON object, or else the agent chats. Null where no text has any effect. */
  readonly formatComponent: string | null
  readonly rules: ReadonlyArray<Rule>
  readonly traps: ReadonlyArray<Trap>
}

const isIn = (patterns: ReadonlyArray<RegExp>, sentence: string): boolean =>
  patterns.length > 0 && patterns.every((pattern) => pattern.test(sentence))

/** Whether a sentence states the rule, says the contrary, or is about something else. */
export const heard = (rule: Rule, sentence: string): "stated" | "denied" | null => {
  if (isIn(rule.denies, sentence)) return "denied"
  return isIn(rule.states, sentence) ? "stated" : null
}

export const isTrap = (trap: Trap, sentence: string): boolean => isIn(trap.states, sentence)

/** Characters of a sentence that are heard. */
const heardMax = 1000

/** The sentences of a text, without the marks of lists. */
export const sentencesOf = (text: string): ReadonlyArray<string> =>
  text.split("\n").flatMap((line) => line.split(/(?<=[.!?;])\s+/))
    .map((sentence) => sentence.slice(0, heardMax).replace(/^\s*(?:[-*•#>]+|\d+[.)])?\s*/, "").trim())
    .filter((sentence) => /\p{L}/u.test(sentence))

/** Whether the sentence asks for an answer in JSON. */
export const asksForJson = (sentence: string): boolean => /\bJSON\b/i.test(sentence)
