/** What a search has used, and whether the next batch still fits: by what rollouts and reflections used so far. */
import { costOf, type ModelUsage, type OwnPrices } from "../../domain/Prices.js"
import { SearchStopped } from "../Search.js"

export interface SpendingLimits {
  readonly tokensMax: number
  readonly usdMax: number
  readonly secondsMax: number
}

export class Spending {
  private rollouts = 0
  private reflections = 0
  private readonly ofRollouts = { tokens: 0, usd: 0, unmetered: 0 }
  private readonly ofReflections = { tokens: 0, usd: 0, unmetered: 0 }
  private firstUnpriced: string | null = null

  constructor(
    private readonly limits: SpendingLimits,
    private readonly prices: OwnPrices
  ) {}

  get tokens(): number {
    return this.ofRollouts.tokens + this.ofReflections.tokens
  }

  /** A model that was called and that nobody knows the price of; null when there is none. */
  get unpriced(): string | null {
    return this.firstUnpriced
  }

  /** Without what an unpriced model costs. */
  get usd(): number {
    return this.ofRollouts.usd + this.ofReflections.usd
  }

  addRollout(usage: ReadonlyArray<ModelUsage>): void {
    this.rollouts += 1
    this.add(this.ofRollouts, usage)
  }

  addReflection(usage: ReadonlyArray<ModelUsage>): void {
    this.reflections += 1
    this.add(this.ofReflections, usage)
  }

  /** Whether anything is reserved by what was used so far. */
  get isReserving(): boolean {
    return this.limits.tokensMax < Infinity || this.limits.usdMax < Infinity
  }

  /**
   * Why a batch of so many more must not be begun; null when it may. `reserved` rollouts come after it: it must leave enough
   * for them.
   */
  refusal(
    batch: { readonly rollouts: number; readonly reflections: number },
    elapsedSecs: number,
    reserved = 0
  ): SearchStopped | null {
    const { secondsMax, tokensMax, usdMax } = this.limits
    const more = { rollouts: batch.rollouts + reserved, reflections: batch.reflections }
    if (elapsedSecs + reserved * elapsedSecs / Math.max(1, this.rollouts) >= secondsMax) {
      return new SearchStopped("seconds", `${Math.floor(elapsedSecs)} s have passed of ${secondsMax} s (max_seconds)`)
    }
    const unmetered = this.isReserving ? this.unmetered : null
    if (unmetered !== null) {
      return new SearchStopped(
        "unmetered",
        `the calls of ${unmetered} were answered without their usage: max_tokens and max_usd cannot be kept`
      )
    }
    const tokens = this.tokens + this.expected("tokens", more)
    if (tokens > tokensMax) {
      return new SearchStopped(
        "tokens",
        `the next batch would come to about ${Math.ceil(tokens)} tokens of ${tokensMax} (max_tokens)`
      )
    }
    if (usdMax < Infinity && this.unpriced !== null) {
      return new SearchStopped("usd", `nobody says what ${this.unpriced} costs: give it in optimizer.prices (max_usd)`)
    }
    const usd = this.usd + this.expected("usd", more)
    return usd > usdMax
      ? new SearchStopped("usd", `the next batch would come to about $${usd.toFixed(4)} of $${usdMax} (max_usd)`)
      : null
  }

  /** What was answered, and never with a word on what it used; null where there is nothing of the kind. */
  private get unmetered(): "rollouts" | "reflections" | null {
    const isUnmetered = ({ tokens, unmetered, usd }: typeof this.ofRollouts) =>
      unmetered > 0 && tokens === 0 && usd === 0
    if (isUnmetered(this.ofRollouts)) return "rollouts"
    return isUnmetered(this.ofReflections) ? "reflections" : null
  }

  private expected(of: "tokens" | "usd", more: { readonly rollouts: number; readonly reflections: number }): number {
    return more.rollouts * this.ofRollouts[of] / Math.max(1, this.rollouts) +
      more.reflections * this.ofReflections[of] / Math.max(1, this.reflections)
  }

  private add(sum: { tokens: number; usd: number; unmetered: number }, usage: ReadonlyArray<ModelUsage>) {
    for (const { inputTokens, outputTokens, unmetered = 0 } of usage) {
      sum.tokens += inputTokens + outputTokens
      sum.unmetered += unmetered
    }
    const { unpriced, usd } = costOf(usage, this.prices)
    sum.usd += usd
    this.firstUnpriced ??= unpriced
  }
}
