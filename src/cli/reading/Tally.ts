/** What calls used and cost, added up part by part. */
import { type Cost, costOf, type OwnPrices } from "../../domain/Prices.js"
import type { GroupUsage } from "../../store/UsageReader.js"
import { Durations } from "./Durations.js"

export class Tally {
  calls = 0
  failed = 0
  /** Calls that were given an earlier answer again: nothing of theirs is in the sums below. */
  replayed = 0
  inputTokens = 0
  cachedInputTokens = 0
  outputTokens = 0
  reasoningTokens = 0
  cost: Cost = { usd: 0, unpriced: null, unpricedCalls: 0, unmeteredCalls: 0 }
  readonly durations = new Durations()

  add(usage: GroupUsage, prices: OwnPrices): void {
    this.calls += usage.calls
    this.failed += usage.failed
    if (usage.isReplay === 1) {
      this.replayed += usage.calls
      return
    }
    this.inputTokens += usage.inputTokens
    this.cachedInputTokens += usage.cachedInputTokens
    this.outputTokens += usage.outputTokens
    this.reasoningTokens += usage.reasoningTokens
    this.cost = sumOf(this.cost, costOf([usage], prices))
    for (const ms of JSON.parse(usage.took) as ReadonlyArray<number>) this.durations.add(ms)
  }
}

const sumOf = (one: Cost, other: Cost): Cost => ({
  usd: one.usd + other.usd,
  unpriced: one.unpriced ?? other.unpriced,
  unpricedCalls: one.unpricedCalls + other.unpricedCalls,
  unmeteredCalls: one.unmeteredCalls + other.unmeteredCalls
})
