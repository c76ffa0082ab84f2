/**
 * A task whose truth is known: requests, an agent that follows the rules its texts state, verdicts that tell symptoms and never
 * rules, and the exact expected score of any texts. For tests and benches of optimizers.
 */
import { createHash } from "node:crypto"
import { uniform } from "../Chance.js"
import { hear, type Hearing } from "./Hearing.js"
import type { AgentTexts, Demand, Rule, TaskSpec } from "./Rule.js"

/** Requests of a task: they are all there is, and the true score is the mean over them. */
const requestsPerTask = 2000

/** Most rules one request depends on. */
const demandsMax = 4

/** A request, and what it depends on. */
export interface TaskRequest {
  readonly id: string
  /** What the agent is given. */
  readonly input: string
  /** The right answer, JSON. */
  readonly expected: string
  readonly demands: ReadonlyArray<{ readonly rule: Rule; readonly demand: Demand }>
  /** How often the agent slips for no reason that a text could take away. */
  readonly slips: number
}

/** Luck of a world. */
export interface TaskWorldOptions {
  /** Luck is a function of this; the requests are not. `"1"` by default. */
  readonly seed?: string
  /**
   * In [0, 1]: the share of runs whose luck is drawn anew for each prompt and sample; in the others it is the request's own,
   * the same under any prompt. 1 by default.
   */
  readonly temperature?: number
}

/** How a run ended. */
export interface TaskOutcome {
  readonly output: string
  /** 1 for the right answer, else 0. */
  readonly score: number
  /** Where the answer differs first, in the words of the `json_equal` scorer; empty for the right answer. */
  readonly feedback: string
}

/** A task with its requests, in which an agent can be run without a model: what its texts state decides what it gets right. */
export class TaskWorld {
  private readonly requests: ReadonlyArray<TaskRequest>
  private readonly byId: ReadonlyMap<string, TaskRequest>
  private readonly hearings = new Map<string, { readonly hash: string; readonly hearing: Hearing }>()
  private inOrder: ReadonlyArray<TaskRequest> | undefined
  private readonly seed: string
  private readonly temperature: number

  constructor(readonly spec: TaskSpec, { seed = "1", temperature = 1 }: TaskWorldOptions = {}) {
    this.seed = seed
    this.temperature = temperature
    this.requests = requestsOf(spec)
    this.byId = new Map(this.requests.map((request) => [request.id, request]))
  }

  /** So many requests, all different, from a place in an order that depends on the seed. */
  examples(from: number, count: number): ReadonlyArray<TaskRequest> {
    this.inOrder ??= this.requests.map((request) => [uniform("order", this.seed, request.id), request] as const)
      .toSorted(([a], [b]) => a - b).map(([, request]) => request)
    return this.inOrder.slice(from, from + count)
  }

  /** The request that a text quotes by its id, if it is one of this task. */
  find(text: string): TaskRequest | undefined {
    return this.byId.get(new RegExp(`\\b${this.spec.prefix}-\\d{4}\\b`).exec(text)?.[0] ?? "")
  }

  /** Runs the agent. Equal texts, request and sample are the same run, with the same end. */
  run(texts: AgentTexts, request: TaskRequest, sample: string | number = 0, temperature?: number): TaskOutcome {
    return verdict(this.answer(texts, request, sample, temperature), request)
  }

  /** What the agent answers. */
  answer(
    texts: AgentTexts,
    { demands, id, slips }: TaskRequest,
    sample: string | number = 0,
    temperature = this.temperature
  ): string {
    const { hash, hearing } = this.hearing(texts)
    const fresh = drawsOf(this.seed, hash, id, String(sample))
    const luck = fresh(7) < temperature ? fresh : drawsOf(this.seed, id)
    const known = hearing.copied.has(id)
    const answer: Record<string, unknown> = {}
    for (const [place, { demand, rule }] of demands.entries()) {
      const isRight = known || luck(place) < hearing.followed[rule.field]! * hearing.attention
      answer[rule.field] = isRight ? demand.right : demand.naive
    }
    if (luck(4) < slips) spoil(answer, luck(5))
    const json = JSON.stringify(answer)
    return luck(6) < hearing.inJson ? json : `This is what I found: ${Object.values(answer).join(", ")}.`
  }

  /** The expected score of the texts over all requests: exact, no luck in it. */
  trueScore(texts: AgentTexts): number {
    const { hearing } = this.hearing(texts)
    const total = this.requests.reduce((sum, { demands, id, slips }) => {
      const rules = hearing.copied.has(id) ? [] : demands
      return sum + rules.reduce(
        (product, { rule }) => product * hearing.followed[rule.field]! * hearing.attention,
        (1 - slips) * hearing.inJson
      )
    }, 0)
    return total / this.requests.length
  }

  /** Texts that state every rule and nothing else. */
  get best(): AgentTexts {
    const { rules, seed } = this.spec
    return Object.fromEntries(
      Object.entries(seed).map(([component, text]) => [
        component,
        [text, ...rules.filter((rule) => rule.component === component).map(({ phrasings }) => phrasings[0])].join("\n")
      ])
    )
  }

  private hearing(texts: AgentTexts) {
    const key = JSON.stringify(Object.keys(this.spec.seed).map((component) => texts[component] ?? ""))
    let known = this.hearings.get(key)
    if (known === undefined) {
      known = { hash: createHash("sha256").update(key).digest("hex"), hearing: hear(this.spec, texts) }
      this.hearings.set(key, known)
    }
    return known
  }
}

/** Eight numbers in [0, 1) by place, even over all parts. */
const drawsOf = (...parts: ReadonlyArray<string>): (place: number) => number => {
  const digest = createHash("sha256").update(parts.join("\n")).digest()
  return (place) => digest.readUInt32LE(4 * place) / 2 ** 32
}

/** One field comes out as nothing anybody asked for, as happens. */
const spoil = (answer: Record<string, unknown>, luck: number): void => {
  const fields = Object.keys(answer)
  const field = fields[Math.floor(luck * fields.length)]!
  answer[field] = answer[field] === "see above" ? "" : "see above"
}

const requestsOf = (spec: TaskSpec): ReadonlyArray<TaskRequest> => {
  const known = made.get(spec)
  if (known !== undefined) return known
  const requests = Array.from({ length: requestsPerTask }, (_, number) => requestAt(spec, number))
  made.set(spec, requests)
  return requests
}

const made = new WeakMap<TaskSpec, ReadonlyArray<TaskRequest>>()

const requestAt = (spec: TaskSpec, number: number): TaskRequest => {
  const id = `${spec.prefix}-${String(number + 1).padStart(4, "0")}`
  const luck = (...parts: ReadonlyArray<string>) => uniform("request", id, ...parts)
  const inOrder = spec.rules.toSorted((a, b) => luck("order", a.field) - luck("order", b.field))
  const chosen = inOrder.filter((rule) => luck("demand", rule.field) < rule.share).slice(0, demandsMax)
  const demands = (chosen.length > 0 ? chosen : inOrder.slice(0, 1)).map((rule) => ({
    rule,
    demand: rule.demand((label, from) => from[Math.floor(luck("choose", rule.field, label) * from.length)]!)
  }))
  return {
    id,
    input: [`${spec.title} ${id}`, ...demands.map(({ demand }) => demand.line)].join("\n"),
    expected: JSON.stringify(Object.fromEntries(demands.map(({ demand, rule }) => [rule.field, demand.right]))),
    demands,
    slips: 0.02 + 0.2 * luck("difficulty") ** 2
  }
}

/** Scores an answer as the scorer `json_equal` does, and says of a miss what that says first. */
const verdict = (output: string, { expected }: TaskRequest): TaskOutcome => {
  if (output === expected) return { output, score: 1, feedback: "" }
  const right = JSON.parse(expected) as Record<string, unknown>
  let got: Record<string, unknown>
  try {
    got = JSON.parse(output) as Record<string, unknown>
  } catch {
    return {
      output,
      score: 0,
      feedback: `the answer is not JSON, nor has it a fenced block of JSON; got ${JSON.stringify(output)}`
    }
  }
  const field = Object.keys(right).find((name) => right[name] !== got[name])!
  return {
    output,
    score: 0,
    feedback: `$.${field} differs: expected ${JSON.stringify(right[field])}, got ${JSON.stringify(got[field])}`
  }
}
