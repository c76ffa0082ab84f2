import type { PastCall } from "../store/CallHistory.js"

/**
 * The calls that an attempt may make again, in order. Calls that overlapped in time form a set, of which any may come next:
 * an agent that asks several things at once asks them in no order that it could repeat.
 */
export class History {
  private readonly calls: Array<PastCall>
  private answers: number

  /** `calls`: attempt after attempt, in each by their start. */
  constructor(calls: ReadonlyArray<PastCall>) {
    this.calls = [...calls]
    this.answers = calls.filter(({ answer }) => answer !== null).length
  }

  /** Calls that are held, whether or not there is an answer to give again. */
  get size(): number {
    return this.calls.length
  }

  /** Answers that were not given again yet. */
  get left(): number {
    return this.answers
  }

  /**
   * The calls of which one may come next: each overlaps with every one before it that is still to come. A call without an
   * answer to give again keeps none waiting: it may be left out, or be made again.
   */
  next(): ReadonlyArray<PastCall> {
    const found: Array<PastCall> = []
    let attempt = 0
    let earliestEnd = Number.POSITIVE_INFINITY
    for (const call of this.calls) {
      const isOfLater = call.attempt !== attempt && earliestEnd !== Number.POSITIVE_INFINITY
      if (isOfLater || call.startUs >= earliestEnd) break
      attempt = call.attempt
      found.push(call)
      if (call.answer !== null) earliestEnd = Math.min(earliestEnd, call.endUs)
    }
    return found
  }

  /** The call was made again, and has its answer. */
  take(call: PastCall): void {
    const place = this.calls.indexOf(call)
    if (place === -1 || call.answer === null) return
    this.calls.splice(place, 1)
    this.answers -= 1
  }

  /** A call without an answer was made again: it may fail again, and then be tried as often as its client likes. */
  learn(call: PastCall, requestSha256: string | null): void {
    const place = this.calls.indexOf(call)
    if (place !== -1) this.calls[place] = { ...call, request: { sha256: requestSha256 } }
  }
}
