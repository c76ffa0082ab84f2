/** Where a search stands, as its events tell. */
import type { OpenGate } from "../report/SearchReport.js"
import { keyOf, type SearchEvent, type Texts } from "../Search.js"

/** What a search has used. */
export interface Spent {
  readonly rollouts: number
  readonly reflections: number
  readonly tokens: number
  readonly usd: number
}

/** Where a search stands, for whoever watches. */
export interface Standing extends Spent {
  readonly phase: "search" | "gate" | "ended"
  /** The best so far with the bounds of its mean; null before anything is scored. */
  readonly best: { readonly mean: number; readonly low: number; readonly high: number } | null
  /** Candidates that were proposed, each once, and those of them that joined the pool. */
  readonly tried: number
  readonly accepted: number
  /** Null before the gate opens. */
  readonly gate: OpenGate | null
}

export const notBegun: Standing = {
  phase: "search",
  best: null,
  tried: 0,
  accepted: 0,
  gate: null,
  rollouts: 0,
  reflections: 0,
  tokens: 0,
  usd: 0
}

/** What was seen of a search so far. The same candidate may be proposed more than once; it counts as one. */
export class Watched {
  phase: Standing["phase"] = "search"
  private best: Standing["best"] = null
  private gate: Standing["gate"] = null
  private readonly tried = new Set<string>()
  private readonly accepted = new Set<string>()
  private readonly seed: string

  constructor(seed: Texts) {
    this.seed = keyOf(seed)
  }

  see(event: SearchEvent): void {
    switch (event.type) {
      case "proposed":
        return this.enter(this.tried, event.candidate)
      case "accepted":
        return this.enter(this.accepted, event.candidate)
      case "incumbent":
        this.best = { mean: event.mean, low: event.low, high: event.high }
        return
      case "gate_opened":
        this.gate = { pairs: event.pairs, n: 0, wins: 0, losses: 0 }
        return
      case "gate_looked":
      case "gate_decided":
        if (this.gate !== null) this.gate = { ...this.gate, n: event.n, wins: event.wins, losses: event.losses }
    }
  }

  get standing(): Omit<Standing, keyof Spent> {
    const { best, gate, phase } = this
    return { phase, best, tried: this.tried.size, accepted: this.accepted.size, gate }
  }

  private enter(candidates: Set<string>, texts: Texts): void {
    const key = keyOf(texts)
    if (key !== this.seed) candidates.add(key)
  }
}
