/**
 * List prices in dollars per million tokens, as the providers published them in November 2026. A config's `prices` come first,
 * and what an upstream reports comes before both.
 */

/** Dollars per million tokens. */
export interface Price {
  readonly input: number
  readonly output: number
}

/** A config's `optimizer.prices`, by the name of the model, with its provider or without. */
export type OwnPrices = Readonly<Record<string, Price>> | undefined

/** What calls of one model used. */
export interface ModelUsage {
  readonly model: string | null
  readonly inputTokens: number
  readonly outputTokens: number
  /** What the upstream itself said it cost, in dollars; null where it says nothing. */
  readonly cost: number | null
  /** Calls that said what they used. None where it is left out. */
  readonly metered?: number
  /** Calls that were answered well without a word on what they used: that is not in the sums. None where it is left out. */
  readonly unmetered?: number
  /** Calls whose answer was broken off before it said so, by a crash, say. None where it is left out. */
  readonly brokenOff?: number
}

export interface Cost {
  readonly usd: number
  /** A model that was called and that nobody knows the price of: `usd` is without it. Null when there is none. */
  readonly unpriced: string | null
  /** Calls of all such models. */
  readonly unpricedCalls: number
  /** Calls that nobody knows the use of, answered whole, in part or to nobody: `usd` is without these too. */
  readonly unmeteredCalls: number
}

/** Whether it is all that calls cost, as far as is known. */
export const isWhole = ({ unmeteredCalls, unpriced }: Cost): boolean => unpriced === null && unmeteredCalls === 0

const table: Readonly<Record<string, Price>> = {
  "gpt-4o": { input: 2.5, output: 10 },
  "gpt-4o-mini": { input: 0.15, output: 0.6 },
  "gpt-4.1": { input: 2, output: 8 },
  "gpt-4.1-mini": { input: 0.4, output: 1.6 },
  "gpt-4.1-nano": { input: 0.1, output: 0.4 },
  "o3": { input: 2, output: 8 },
  "o4-mini": { input: 1.1, output: 4.4 },
  "gpt-5": { input: 1.25, output: 10 },
  "gpt-5-mini": { input: 0.25, output: 2 },
  "gpt-5-nano": { input: 0.05, output: 0.4 },
  "claude-3-5-haiku": { input: 0.8, output: 4 },
  "claude-haiku-4-5": { input: 1, output: 5 },
  "claude-sonnet-4": { input: 3, output: 15 },
  "claude-sonnet-4-5": { input: 3, output: 15 },
  "gemini-2.5-flash": { input: 0.3, output: 2.5 },
  "gemini-2.5-pro": { input: 1.25, output: 10 },
  "deepseek-chat": { input: 0.27, output: 1.1 },
  "mistral-small-latest": { input: 0.1, output: 0.3 },
  "mistral-large-latest": { input: 2, output: 6 }
}

/**
 * The price of a model by the name it was called or answered by: `openai/gpt-4o-mini`, `gpt-4o-mini-2024-07-18`. Undefined
 * when nobody says.
 */
export const priceOf = (own: OwnPrices, model: string): Price | undefined => {
  const bare = model.slice(model.lastIndexOf("/") + 1)
  const undated = bare.replace(/-(\d{4}-\d{2}-\d{2}|\d{8})$/, "")
  for (const name of [model, bare, undated]) {
    const price = ownPrice(own ?? {}, name) ?? (Object.hasOwn(table, name) ? table[name] : undefined)
    if (price !== undefined) return price
  }
  return model.startsWith("sim/") ? { input: 0, output: 0 } : undefined
}

/** A call does not say whose its model is: `openai/my-model` of a config is the price of calls of `my-model`. */
const ownPrice = (own: Readonly<Record<string, Price>>, name: string): Price | undefined =>
  Object.hasOwn(own, name) ? own[name] : Object.entries(own).find(([key]) => key.endsWith(`/${name}`))?.[1]

/** What the calls cost: as the upstream says, which is better than a table, else by their model's price. */
export const costOf = (usage: ReadonlyArray<ModelUsage>, own: OwnPrices): Cost => {
  let usd = 0
  let unpriced: string | null = null
  let unpricedCalls = 0
  let unmeteredCalls = 0
  for (const { brokenOff = 0, cost, inputTokens, metered = 0, model, outputTokens, unmetered = 0 } of usage) {
    const price = model === null ? undefined : priceOf(own, model)
    unmeteredCalls += unmetered + brokenOff
    // Of calls that are billed elsewhere, under a key of one's own, gateways say 0: a price that is known counts.
    if (cost !== null && cost > 0) usd += cost
    else if (price !== undefined) usd += (inputTokens * price.input + outputTokens * price.output) / 1e6
    else if (cost === null && inputTokens + outputTokens > 0) {
      unpriced ??= model ?? "a model without a name"
      unpricedCalls += metered
    }
  }
  return { usd, unpriced, unpricedCalls, unmeteredCalls }
}
