import * as Effect from "effect/Effect"
import { attemptNumberOf } from "../domain/AttemptName.js"
import type { CallHistory, PastCall, ReplayFrom } from "../store/CallHistory.js"
import { canonicalHash, sha256Of } from "./CanonicalBody.js"
import { History } from "./History.js"

/** A call of an attempt that may be answered from an earlier one. */
export interface AskedCall {
  readonly rolloutId: string
  readonly attemptId: string
  readonly method: string
  readonly path: string
  readonly body: Uint8Array
}

/** The recorded answer; `upstream` when there is none; `diverged` when this call is the first that differs. */
export type Verdict = RecordedAnswer | "upstream" | "diverged"

export interface RecordedAnswer {
  readonly spanId: string
  readonly status: number
  readonly contentType: string | null
  readonly contentEncoding: string | null
  readonly body: Uint8Array
}

/** Past calls held in memory, over all attempts, and attempts that are remembered; those used longest ago are read again. */
const callsMax = 200_000
const attemptsMax = 4_096

/** One attempt on its way through its history. */
interface Retracing {
  readonly attemptId: string
  readonly attempt: number
  /** Null before it is read, and once nothing can come from it any more. */
  history: History | null
  isOver: boolean
  /** Hashes of past requests that had to be read to be compared. */
  readonly hashes: WeakMap<PastCall, string>
  /** Calls are looked up one after another: two that ask the same are two. */
  lastAsked: Promise<unknown>
}

/**
 * Answers the calls of an attempt from those of the attempts before it, for as long as it asks the same in the same order.
 * Holds hashes and ids; bodies are read when they are asked for.
 */
export class Journal {
  /** By rollout: it has one attempt at a time. */
  private readonly attempts = new Map<string, Retracing>()

  constructor(
    private readonly past: CallHistory,
    private readonly from: ReplayFrom,
    private readonly warn: (message: string) => void
  ) {}

  /** Whether a call of this attempt is worth being asked about. A first attempt has nothing before it. */
  concerns({ attemptId, rolloutId }: { readonly attemptId: string; readonly rolloutId: string }): boolean {
    const attempt = attemptNumberOf(rolloutId, attemptId)
    if (attempt < 2) return false
    const known = this.attempts.get(rolloutId)
    return known === undefined || known.attempt < attempt || (known.attemptId === attemptId && !known.isOver)
  }

  ask(call: AskedCall): Promise<Verdict> {
    const attempt = this.retracing(call)
    const verdict = attempt.lastAsked.then(() => this.find(attempt, call)).catch((error: unknown): Verdict => {
      end(attempt)
      this.warn(`calls of ${call.attemptId} cannot be answered from the journal: ${String(error)}`)
      return "diverged"
    })
    attempt.lastAsked = verdict
    return verdict
  }

  private retracing({ attemptId, rolloutId }: AskedCall): Retracing {
    const known = this.attempts.get(rolloutId)
    const attempt = known?.attemptId === attemptId ? known : {
      attemptId,
      attempt: attemptNumberOf(rolloutId, attemptId),
      history: null,
      isOver: false,
      hashes: new WeakMap<PastCall, string>(),
      lastAsked: Promise.resolve()
    }
    // A map keeps the order in which entries came: the first is the one used longest ago.
    this.attempts.delete(rolloutId)
    this.attempts.set(rolloutId, attempt)
    return attempt
  }

  private async find(attempt: Retracing, call: AskedCall): Promise<Verdict> {
    if (attempt.isOver) return "upstream"
    if (attempt.history === null) {
      attempt.history = new History(await Effect.runPromise(this.past.before(call.attemptId, this.from)))
      this.forgetSome()
    }
    const { history } = attempt
    if (history.left === 0) {
      end(attempt)
      return "upstream"
    }
    const past = await this.match(attempt, history, call)
    if (past === null) {
      end(attempt)
      return "diverged"
    }
    if (past.answer === null) {
      history.learn(past, exactHash(call))
      return "upstream"
    }
    history.take(past)
    const { contentEncoding, contentType, sha256, status } = past.answer
    const body = await this.bodyOf(sha256)
    if (body === null) {
      end(attempt)
      return "diverged"
    }
    return { spanId: past.spanId, status, contentType, contentEncoding, body }
  }

  /** The earliest call of those that may come next which asks the same; one with an answer before one without. */
  private async match(attempt: Retracing, history: History, call: AskedCall): Promise<PastCall | null> {
    const next = history.next().filter(({ method, path }) => method === call.method && path === call.path)
    const asked = next.filter((past) => past.request !== null)
    const exact = exactHash(call)
    const sameBytes = asked.filter((past) => past.request?.sha256 === exact)
    const sameMeaning = sameBytes.length > 0 ? sameBytes : await this.sameMeaning(attempt, asked, call)
    return sameMeaning.find(({ answer }) => answer !== null) ?? sameMeaning[0]
      // Of a call that was under way at the crash nobody knows what it asked.
      ?? next.find((past) => past.request === null) ?? null
  }

  private async sameMeaning(attempt: Retracing, asked: ReadonlyArray<PastCall>, call: AskedCall) {
    if (asked.length === 0) return []
    const wanted = canonicalHash(call, call.body)
    const same: Array<PastCall> = []
    for (const past of asked) {
      const known = attempt.hashes.get(past)
      const body = known === undefined ? await this.bodyOf(past.request?.sha256 ?? null) : null
      const hash = known ?? (body === null ? "" : canonicalHash(past, body))
      attempt.hashes.set(past, hash)
      if (hash === wanted) same.push(past)
    }
    return same
  }

  private bodyOf(sha256: string | null): Promise<Uint8Array | null> {
    return sha256 === null ? Promise.resolve(new Uint8Array(0)) : Effect.runPromise(this.past.body(sha256))
  }

  private forgetSome() {
    let calls = 0
    for (const { history } of this.attempts.values()) calls += history?.size ?? 0
    for (const [rolloutId, { history }] of this.attempts) {
      if (this.attempts.size === 1 || (calls <= callsMax && this.attempts.size <= attemptsMax)) return
      calls -= history?.size ?? 0
      this.attempts.delete(rolloutId)
    }
  }
}

/** As the store has it: an empty body has none. */
const exactHash = ({ body }: AskedCall) => body.length === 0 ? null : sha256Of(body)

const end = (attempt: Retracing) => {
  attempt.isOver = true
  attempt.history = null
}
