import type { GateVerdict } from "../GateVerdict.js"
import type { Spent } from "./Standing.js"

/** What a search came to, as it is stored. */
export interface SearchResult {
  readonly algorithm: string
  readonly reason: string
  /** Candidate numbers; the seed is 0. */
  readonly best: number
  readonly bestMean: number | null
  readonly seedVersion: number
  readonly bestVersion: number | null
  readonly promotedVersion: number | null
  /** Of a gate that said `promote`: the version that had become the latest while it was open; the best one stayed a proposal. */
  readonly overtakenBy?: number
  /** It became the latest against the gate, or without one. */
  readonly isForced: boolean
  readonly selectionExamples: number
  readonly gateExamples: number
  readonly gateLeftOut: LeftOut
  /** What of `max_rollouts` was kept back for the gate; missing in results of before it was told. */
  readonly gateRollouts?: number
  readonly spent: Spent
  readonly gate: GateVerdict | null
  /** The version that the gate held the best one against where that was not the seed; missing in results of before it was told. */
  readonly incumbentVersion?: number | null
  /** Why no gate was held, in a sentence; null when one was. */
  readonly noGate: string | null
}

/** Examples of the gate's part that it did without: an earlier search had seen them, or earlier gates have worn them out. */
export interface LeftOut {
  readonly seen: number
  readonly wornOut: number
}
