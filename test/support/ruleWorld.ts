/**
 * A small task with hidden rules: an example needs some of them, the agent obeys those its text states, and the feedback names a
 * symptom of one that it broke. The reflector reads the prompt as a model would.
 */
import { Chance } from "../../src/optimizer/Chance.js"
import type { TaskExample, Texts } from "../../src/optimizer/Search.js"
import type { World } from "./search.js"

export interface RuleWorldOptions {
  readonly seed?: number
  readonly rules?: number
  /** How often the reflector finds the rule behind a symptom. */
  readonly insight?: number
  /** How likely a rollout succeeds that breaks no rule. */
  readonly skill?: number
  /** How often a rewrite loses a line. */
  readonly forgetful?: number
}

const symptom = (rule: number) => `symptom ${rule} was seen`
export const ruleLine = (rule: number) => `Obey rule number ${rule}.`

const needed = new Map<string, ReadonlyArray<number>>()

/** Which rules an example needs. */
const needs = ({ id }: TaskExample, rules: number): ReadonlyArray<number> => {
  const key = `${id}/${rules}`
  const chance = new Chance(99)
  const known = needed.get(key) ??
    Array.from({ length: rules }, (_, rule) => rule).filter((rule) => chance.uniform(`${id}/${rule}`) < 0.2)
  needed.set(key, known)
  return known
}

export const ruleWorld = (
  { forgetful = 0.1, insight = 0.5, rules = 8, seed = 1, skill = 0.9 }: RuleWorldOptions = {}
): World & { readonly truth: (texts: Texts) => number } => {
  const chance = new Chance(seed)
  const lines = (texts: Texts) => Object.values(texts).join("\n").split("\n").map((line) => line.trim())
  const useless = (texts: Texts) => lines(texts).filter((line) => line.startsWith("Think about")).length
  const succeeds = (texts: Texts) => skill * 0.99 ** useless(texts)
  return {
    truth: (texts) => {
      const stated = new Set(lines(texts))
      const missing = Array.from({ length: rules }, (_, rule) => ruleLine(rule)).filter((line) => !stated.has(line))
      return succeeds(texts) * 0.8 ** missing.length
    },
    rollout: (texts, example, sample) => {
      const stated = new Set(lines(texts))
      const broken = needs(example, rules).filter((rule) => !stated.has(ruleLine(rule)))
      if (broken.length > 0) return { score: 0, feedback: symptom(broken[0]!), output: "wrong" }
      const lucky = chance.uniform(`${JSON.stringify(texts)}/${example.id}/${sample}`) < succeeds(texts)
      return lucky ? { score: 1, output: "right" } : { score: 0, feedback: "a slip", output: "wrong" }
    },
    reflect: (prompt, path, ask) => {
      const text = /<current name="[^"]*">\n([\s\S]*?)\n<\/current>/.exec(prompt)![1]!
      const draws = chance.at(`reflect/${path}/${prompt.length}`)
      const point = /<critique>[^]*?(Obey rule number \d+\.|Think about point \d+\.)/.exec(prompt)?.[1]
      const seen = [...prompt.matchAll(/symptom (\d+) was seen/g)].map(([, rule]) => Number(rule))
      const guessed = seen.length > 0 && draws.uniform() < insight
      const line = point ??
        (guessed ? ruleLine(seen[draws.below(seen.length)]!) : `Think about point ${draws.below(1_000)}.`)
      if (/Do not write the new text yet/.test(prompt)) return { text: `It should say: ${line}` }
      if (ask.json) {
        return {
          text: JSON.stringify({ hypotheses: [{ cause: line }], edits: [{ op: "add", after: "", text: line }] })
        }
      }
      const kept = text.split("\n").filter(() => draws.uniform() >= forgetful)
      return { text: `\`\`\`\n${[...kept, line].join("\n")}\n\`\`\`` }
    }
  }
}
