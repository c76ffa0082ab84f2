/** What the events of a search say of its candidates: who came of whom, what became of each, and which was the best when. */
import { type Change, keyOf, type SearchEvent, type Texts } from "../Search.js"
import type { Incumbent, ReportedCandidate } from "./SearchReport.js"

/** An event, and how many rollouts the search had spent by then. */
export interface DatedEvent {
  readonly event: SearchEvent
  readonly rollouts: number
}

export interface Decided {
  readonly candidates: ReadonlyArray<ReportedCandidate & { readonly texts: Texts }>
  readonly incumbents: ReadonlyArray<Incumbent>
}

/**
 * In the order of the events. A text that was proposed twice is one candidate, with the change that first made it; a proposal
 * without a text is none. `winner` is the text that the search ended with, null while it is under way.
 */
export const decided = (seed: Texts, events: ReadonlyArray<DatedEvent>, winner: Texts | null): Decided => {
  const candidates = new Map<string, Candidate>()
  const incumbents: Array<Incumbent> = []
  const enter = (texts: Texts, parents: ReadonlyArray<number>, change: Change | null, rollouts: number): Candidate => {
    const known = candidates.get(keyOf(texts))
    if (known !== undefined) return known
    const candidate = { ...untried, n: candidates.size, texts, parents, change, rollouts }
    candidates.set(keyOf(texts), candidate)
    return candidate
  }
  enter(seed, [], null, 0)
  for (const { event, rollouts } of events) {
    switch (event.type) {
      case "iteration":
        break
      case "proposed": {
        const parents = event.parents.flatMap((texts) => candidates.get(keyOf(texts))?.n ?? [])
        enter(event.candidate, parents, event.change, rollouts)
        break
      }
      case "accepted": {
        const candidate = enter(event.candidate, [], null, rollouts)
        Object.assign(candidate, { state: "accepted", reason: null, mean: event.mean, examples: event.n, rollouts })
        break
      }
      case "rejected": {
        const candidate = event.candidate === null ? undefined : candidates.get(keyOf(event.candidate))
        // Proposed again, a text that is known is turned away as such; and who joined the pool once may fall out of a beam later:
        // what became of it before still holds.
        if (candidate === undefined || candidate.state === "accepted" || event.reason === "seen") break
        Object.assign(candidate, { state: "rejected", reason: event.reason, rollouts })
        break
      }
      case "incumbent": {
        const { high, low, mean, n } = event
        const candidate = enter(event.candidate, [], null, rollouts)
        Object.assign(candidate, { mean, examples: n, interval: { low, high } })
        if (candidate.state === "undecided") candidate.state = "accepted"
        incumbents.push({ rollouts, mean, low, high })
        break
      }
    }
  }
  const won = winner === null ? undefined : candidates.get(keyOf(winner))
  if (won !== undefined && won.n > 0) Object.assign(won, { state: "winner", reason: null })
  return { candidates: [...candidates.values()], incumbents }
}

type Candidate = { -readonly [Key in keyof ReportedCandidate]: ReportedCandidate[Key] } & { readonly texts: Texts }

const untried = {
  state: "undecided",
  reason: null,
  mean: null,
  examples: 0,
  interval: null,
  resourcesVersion: null
} as const
