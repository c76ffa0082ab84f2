/** What a run may cost, roughly and before it: by the length of its texts, where they tell what is sent. */
import type { Price } from "../domain/Prices.js"
import { resourceText, type ResourceValues } from "../domain/Resources.js"
import type { JudgeScorerConfig, RunConfig } from "../domain/RunConfig.js"
import type { TaskExample } from "../optimizer/Search.js"

export interface Tokens {
  readonly input: number
  readonly output: number
}

export interface CostEstimate {
  readonly rollout: Tokens
  /** Null where nothing is searched for. */
  readonly reflection: Tokens | null
  /** Of each judge: how often it may be asked, and what a judgement takes. */
  readonly judgements: ReadonlyArray<Tokens & { readonly n: number }>
  /** Of as many rollouts, reflections and judgements as there may be; null where a price is unknown. */
  readonly usd: number | null
}

export interface Estimated {
  readonly config: RunConfig
  readonly resources: ResourceValues
  readonly examples: ReadonlyArray<TaskExample>
  readonly rolloutsMax: number
  readonly reflectionsMax: number
  readonly prices: { readonly rollout: Price | null; readonly reflection: Price | null }
  readonly judges: ReadonlyArray<{ readonly judge: JudgeScorerConfig; readonly price: Price | null }>
}

/** English prose in the tokenizers of today. */
const charsOfToken = 4
/** Guesses of what is answered, where nothing limits it. */
const answerTokens = 300
const reflectionAnswerTokens = 600
/** What the prompt of a reflection says besides the texts and runs that it shows. */
const reflectionFrameChars = 3_000
/** What a judge is told besides its rubric, and a guess of what it answers. */
const judgeFrameChars = 1_000
const judgementTokens = 100

/** Null when the agent is a program of its own: it makes as many calls as it likes. */
export const costEstimate = (estimated: Estimated): CostEstimate | null => {
  const { config: { executor, optimizer }, examples, judges, prices, reflectionsMax, resources, rolloutsMax } =
    estimated
  if (executor.kind !== "chat") return null
  const texts = Object.values(resources).reduce<number>((sum, value) => sum + resourceText(value).length, 0)
  const asked = examples.reduce((sum, { input }) => sum + input.length, 0) / Math.max(1, examples.length)
  const limit = executor.parameters?.["max_tokens"] ?? executor.parameters?.["max_completion_tokens"]
  const rollout = tokensOf(texts + asked, typeof limit === "number" ? Math.min(limit, answerTokens) : answerTokens)
  // An answer stands in a run twice: as the last of its messages, and as its output.
  const shown = asked + 2 * rollout.output * charsOfToken
  const reflection = reflectionsMax === 0 ? null : tokensOf(
    texts + reflectionFrameChars + (optimizer.minibatch ?? examplesShown[optimizer.algorithm] ?? 0) * shown,
    reflectionAnswerTokens
  )
  const judgements = judges.map(({ judge: { max_tokens, rubric, samples } }) => ({
    n: rolloutsMax * samples,
    ...tokensOf(
      judgeFrameChars + rubric.length + asked + rollout.output * charsOfToken,
      Math.min(max_tokens ?? judgementTokens, judgementTokens)
    )
  }))
  const parts = [
    dollars(rollout, rolloutsMax, prices.rollout),
    reflection === null ? 0 : dollars(reflection, reflectionsMax, prices.reflection),
    ...judgements.map((judgement, at) => dollars(judgement, judgement.n, judges[at]!.price))
  ]
  const usd = parts.reduce((sum, part) => sum === null || part === null ? null : sum + part, 0)
  return { rollout, reflection, judgements, usd }
}

/** Runs that a reflection is shown, unless the config says otherwise. */
const examplesShown: { readonly [algorithm: string]: number } = { rgepa: 6, gepa: 3, apo: 4 }

const tokensOf = (chars: number, output: number): Tokens => ({ input: Math.ceil(chars / charsOfToken), output })

const dollars = ({ input, output }: Tokens, n: number, price: Price | null): number | null =>
  price === null ? null : n * (input * price.input + output * price.output) / 1e6
