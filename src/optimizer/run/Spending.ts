/** What a search has used, and whether the next batch still fits: by the dearest rollout and the dearest reflection so far. */
import { costOf, type ModelUsage, type OwnPrices } from "../../domain/Prices.js"
import { SearchStopped } from "../Search.js"

export interface SpendingLimits {
  readonly tokensMax: number
  readonly usdMax: number
  readonly secondsMax: number
}

/** How many rollouts, and reflections. */
interface Batch {
  readonly rollouts: number
  readonly reflections: number
}

/** What rollouts, or reflections, used: all of them, and the one that used most. */
interface Used {
  n: number
  tokens: number
  usd: number
  readonly most: { tokens: number; usd: number }
  unmetered: number
}

/** Three times $0.1 is $0.3, whatever sums of binary fractions make of it: what they may be too large by, as a share. */
const roundingMax = 1e-9

const nothing = (): Used => ({ n: 0, tokens: 0, usd: 0, most: { tokens: 0, usd: 0 }, unmetered: 0 })

export class Spending {
  private readonly ofRollouts = nothing()
  private readonly ofReflections = nothing()
  private firstUnpriced: string | null = null
  private readonly waits = { rollouts: 0, secs: 0 }
  private readonly calls = { unpricedCalls: 0, unmeteredCalls: 0 }

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

  /** Calls that are not in `usd`: those of models that nobody knows the price of, and those that do not say what they used. */
  get leftOut(): { readonly unpricedCalls: number; readonly unmeteredCalls: number } {
    return this.calls
  }

  /** Without what `leftOut` has. */
  get usd(): number {
    return this.ofRollouts.usd + this.ofReflections.usd
  }

  addRollout(usage: ReadonlyArray<ModelUsage>): void {
    this.add(this.ofRollouts, usage)
  }

  addReflection(usage: ReadonlyArray<ModelUsage>): void {
    this.add(this.ofReflections, usage)
  }

  /** How long a batch of rollouts was waited for, pauses aside. Of batches that ended in an earlier start nobody knows. */
  addWait(rollouts: number, secs: number): void {
    this.waits.rollouts += rollouts
    this.waits.secs += secs
  }

  /** Whether anything is reserved by what was used so far. */
  get isReserving(): boolean {
    return this.limits.tokensMax < Infinity || this.limits.usdMax < Infinity
  }

  /**
   * Why a batch must not be begun; null when it may. Each of it is taken to be as dear as the dearest so far, for what is begun
   * is paid. What comes after it, the `rest` of what was asked for and the `reserved` rollouts of the gate, it must leave enough
   * for, as far as the average tells: it will be looked at again.
   */
  refusal(
    batch: Batch,
    elapsedSecs: number,
    { reserved = 0, rest = { rollouts: 0, reflections: 0 } }: { readonly reserved?: number; readonly rest?: Batch } = {}
  ): SearchStopped | null {
    const { secondsMax, tokensMax, usdMax } = this.limits
    const later = { rollouts: rest.rollouts + reserved, reflections: rest.reflections }
    const secs = elapsedSecs + (batch.rollouts + reserved) * this.waits.secs / Math.max(1, this.waits.rollouts)
    if (elapsedSecs >= secondsMax || secs > secondsMax) {
      const passed = `${Math.floor(elapsedSecs)} s have passed of ${secondsMax} s (max_seconds)`
      const more = elapsedSecs >= secondsMax ? "" : `, and what is next may take until ${Math.ceil(secs)} s`
      return new SearchStopped("seconds", passed + more)
    }
    const unmetered = this.isReserving ? this.unmetered : null
    if (unmetered !== null) {
      return new SearchStopped(
        "unmetered",
        `the calls of ${unmetered} were answered without their usage: max_tokens and max_usd cannot be kept`
      )
    }
    const tokens = this.tokens + this.expected("tokens", batch, later)
    if (tokens > tokensMax) {
      return new SearchStopped(
        "tokens",
        `the next batch may come to ${Math.ceil(tokens)} tokens of ${tokensMax} (max_tokens)`
      )
    }
    if (usdMax < Infinity && this.unpriced !== null) {
      return new SearchStopped("usd", `nobody says what ${this.unpriced} costs: give it in optimizer.prices (max_usd)`)
    }
    const usd = this.usd + this.expected("usd", batch, later)
    return usd > usdMax * (1 + roundingMax)
      ? new SearchStopped("usd", `the next batch may come to $${usd.toFixed(4)} of $${usdMax} (max_usd)`)
      : null
  }

  /** What was answered, and never with a word on what it used; null where there is nothing of the kind. */
  private get unmetered(): "rollouts" | "reflections" | null {
    const isUnmetered = ({ tokens, unmetered, usd }: Used) => unmetered > 0 && tokens === 0 && usd === 0
    if (isUnmetered(this.ofRollouts)) return "rollouts"
    return isUnmetered(this.ofReflections) ? "reflections" : null
  }

  private expected(of: "tokens" | "usd", batch: Batch, later: Batch): number {
    const expectedOf = (kind: keyof Batch, used: Used) =>
      batch[kind] * used.most[of] + later[kind] * used[of] / Math.max(1, used.n)
    return expectedOf("rollouts", this.ofRollouts) + expectedOf("reflections", this.ofReflections)
  }

  private add(sum: Used, usage: ReadonlyArray<ModelUsage>) {
    let tokens = 0
    for (const { inputTokens, outputTokens, unmetered = 0 } of usage) {
      tokens += inputTokens + outputTokens
      sum.unmetered += unmetered
    }
    const { unmeteredCalls, unpriced, unpricedCalls, usd } = costOf(usage, this.prices)
    this.calls.unpricedCalls += unpricedCalls
    this.calls.unmeteredCalls += unmeteredCalls
    sum.n += 1
    sum.tokens += tokens
    sum.usd += usd
    sum.most.tokens = Math.max(sum.most.tokens, tokens)
    sum.most.usd = Math.max(sum.most.usd, usd)
    this.firstUnpriced ??= unpriced
  }
}
