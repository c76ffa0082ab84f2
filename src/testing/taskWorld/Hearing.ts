/** What an agent makes of its texts: all that counts of them. */
import { type AgentTexts, asksForJson, heard, isTrap, sentencesOf, type TaskSpec } from "./Rule.js"

export interface Hearing {
  /** By field: how often the rule is followed, in [0, 1], before anything distracts. */
  readonly followed: Readonly<Record<string, number>>
  /** How often the answer is JSON. */
  readonly inJson: number
  /** Every chance of following a rule is multiplied with this. */
  readonly attention: number
  /** Requests whose ids the texts quote: these are answered from memory. */
  readonly copied: ReadonlySet<string>
}

/** How often a rule is followed that is stated, stated and denied, or only denied. */
const stated = 0.96
const confused = 0.5
const denied = 0.1

/** What each sentence costs that says nothing of use, each request that is quoted, and each word beyond those that are read well. */
const perSentence = 0.985
const perCopy = 0.96
const perWord = 0.999
const wordsRead = 250

/** How often the answer is JSON when nothing asks for it. */
const jsonUnasked = 0.4

export const hear = (spec: TaskSpec, texts: AgentTexts): Hearing => {
  const sentences = Object.keys(spec.seed).map((component) => [component, sentencesOf(texts[component] ?? "")] as const)
  const own = new Set(Object.values(spec.seed).flatMap(sentencesOf))
  const isSaid = new Map<string, { readonly stated: boolean; readonly denied: boolean }>()
  const sprung = new Set<string>()
  let isJson = false
  let useless = 0
  for (const [component, said] of sentences) {
    for (const sentence of said) {
      let isUseful = own.has(sentence)
      if (component === spec.formatComponent && asksForJson(sentence)) {
        isUseful ||= !isJson
        isJson = true
      }
      for (const trap of spec.traps) {
        if (trap.component !== component || !isTrap(trap, sentence)) continue
        isUseful ||= !sprung.has(trap.text)
        sprung.add(trap.text)
      }
      for (const rule of spec.rules) {
        if (rule.component !== component) continue
        const how = heard(rule, sentence)
        if (how === null) continue
        const before = isSaid.get(rule.field) ?? { stated: false, denied: false }
        isUseful ||= !before[how]
        isSaid.set(rule.field, { ...before, [how]: true })
      }
      if (!isUseful) useless += 1
    }
  }
  const whole = Object.values(texts).join("\n")
  const copied = new Set(
    spec.formatComponent === null ? [] : whole.match(new RegExp(`\\b${spec.prefix}-\\d{4}\\b`, "g"))
  )
  const words = whole.match(/\S+/g)?.length ?? 0
  return {
    followed: Object.fromEntries(spec.rules.map((rule) => [rule.field, followed(spec, rule, isSaid, sprung)])),
    inJson: spec.formatComponent === null || isJson ? 1 : jsonUnasked,
    attention: spec.formatComponent === null
      ? 1
      : perSentence ** useless * perCopy ** copied.size * perWord ** Math.max(0, words - wordsRead),
    copied
  }
}

const followed = (
  { traps }: TaskSpec,
  { field, unasked }: TaskSpec["rules"][number],
  isSaid: ReadonlyMap<string, { readonly stated: boolean; readonly denied: boolean }>,
  sprung: ReadonlySet<string>
): number => {
  const said = isSaid.get(field)
  const plain = said === undefined
    ? unasked
    : said.stated
    ? said.denied ? confused : stated
    : Math.min(denied, unasked)
  return traps.filter(({ text }) => sprung.has(text)).reduce(
    (often, { harm, helped, helps, hurts }) =>
      (helps.includes(field) ? Math.max(often, helped) : often) * (hurts.includes(field) ? harm : 1),
    plain
  )
}
