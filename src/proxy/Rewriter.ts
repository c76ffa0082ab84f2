import type { IncomingMessage } from "node:http"
import type { Readable } from "node:stream"
import { counted } from "../domain/Figures.js"
import { resourceText, type ResourceValues } from "../domain/Resources.js"
import { type RewriteRule, ruleName } from "../domain/Rewrite.js"
import { endpointOf, socketEndpointOf } from "../openai/Endpoint.js"
import { hasTexts } from "../openai/RequestTexts.js"
import { TextRewrite } from "../openai/TextRewrite.js"
import type { RewriteOutcome, SpanIntent } from "../store/writer/spans.js"
import type { Call } from "./Call.js"
import type { PlacedTexts, TextSource } from "./PlacedTexts.js"
import type { ProxyLimits } from "./ProxyOptions.js"
import { isPlain, sendUpstream } from "./RequestBody.js"

/** What became of a rule in all calls so far. */
export interface RuleCount {
  readonly component: string
  matched: number
  missed: number
}

/** A rule that has found nothing in so many calls is spoken of while there is time to mend it. */
const silentCallsMax = 20
/** A pattern that took too long so often is not tried any more: each time holds up every other call. */
const givenUpMax = 3

/**
 * Puts resources in the place of the agent's own texts, in the bytes of its requests. Every other byte stays as it is. A rule that
 * finds nothing in a call is counted, and the span says so.
 */
export class Rewriter {
  readonly counts: ReadonlyArray<RuleCount>
  private readonly rewrite: TextRewrite
  private readonly givenUp: Array<number>
  private readonly warned = new Set<number>()

  constructor(
    private readonly rules: ReadonlyArray<RewriteRule>,
    private readonly texts: TextSource,
    private readonly limits: ProxyLimits,
    private readonly warn: (message: string) => void
  ) {
    this.rewrite = new TextRewrite(rules.map(({ where }) => where))
    this.counts = rules.map(({ component }) => ({ component, matched: 0, missed: 0 }))
    this.givenUp = rules.map(() => 0)
  }

  /** Whether a call is one whose texts are replaced, where it has any. */
  isFor(isAttributed: boolean): boolean {
    return isAttributed || this.texts.isForAll
  }

  /** Whether a call may hold a text that a rule is about. */
  concerns({ method, path }: SpanIntent): boolean {
    return hasTexts(endpointOf(method, path))
  }

  /**
   * Sends the request's body on as it is to be: `dispatch` is called once the upstream request may begin; for a body that was
   * collected `take` instead, which puts it on the call as well.
   */
  send(
    request: IncomingMessage,
    call: Call,
    intent: SpanIntent,
    dispatch: (body: Buffer | Readable | null) => void,
    take: (body: Buffer) => void
  ): void {
    const whole = (body: Buffer) => {
      void this.rewritten(request, intent, body).then(
        (result) => {
          if (call.isOver) return
          if (result === null) {
            take(body)
            return
          }
          call.record.rewrite = result.outcome
          if (result.body !== body) call.record.keepOriginal(body)
          take(result.body)
        },
        (error: unknown) => {
          // An agent that was sent on with other words than the candidate's would be scored in the candidate's name.
          call.record.request.add(body)
          call.fail("store", `the resources of ${intent.attemptId} could not be read: ${String(error)}`)
        }
      )
    }
    const passing = (body: Buffer | Readable | null) => {
      // Too long to be held, or empty.
      void this.texts.of(intent.attemptId).then(
        (texts) => {
          if (texts !== null) call.record.rewrite = this.counted([], texts)
          dispatch(body)
        },
        () => dispatch(body)
      )
    }
    // A run has few calls at once. Where all are concerned, one too long for what memory there is passes.
    call.record.isHeldAlways = !this.texts.isForAll
    sendUpstream(request, call, this.limits, passing, this.limits.recordedBytesMax, whole)
  }

  /**
   * Whether a WebSocket is offered whose messages would be model calls that can be made over HTTP as well, and rewritten there.
   * Clients that are answered 426 do so at once.
   */
  declines(path: string): boolean {
    return hasTexts(socketEndpointOf(path))
  }

  /** Counts a connection whose model calls cannot be rewritten and cannot be made in another way. */
  passOver({ attemptId, path }: SpanIntent): void {
    if (socketEndpointOf(path).kind !== "llm") return
    void this.texts.of(attemptId).then((texts) => void (texts !== null && this.counted([], texts)), () => {})
  }

  /** Speaks of the rules that have found nothing in any call. */
  close(): void {
    for (const [index, { matched, missed }] of this.counts.entries()) {
      if (matched === 0 && missed > 0) this.complain(index)
    }
  }

  private async rewritten(request: IncomingMessage, intent: SpanIntent, body: Buffer) {
    const texts = await this.texts.of(intent.attemptId)
    if (texts === null) return null
    const result = isPlain(request.headers["content-encoding"])
      ? this.rewrite.apply(endpointOf(intent.method, intent.path).api, body, this.replacements(texts.values))
      : null
    for (const index of result?.gaveUp ?? []) this.giveUp(index)
    return { body: result?.body ?? body, outcome: this.counted(result?.matched ?? [], texts) }
  }

  private replacements(values: ResourceValues) {
    return this.rules.map(({ component }, index) =>
      Object.hasOwn(values, component) && this.givenUp[index]! < givenUpMax ? resourceText(values[component]) : null
    )
  }

  private counted(matched: ReadonlyArray<number>, { values, version }: PlacedTexts): RewriteOutcome {
    const missed: Array<number> = []
    for (const [index, count] of this.counts.entries()) {
      // Without a text to put there, nothing was looked for.
      if (!Object.hasOwn(values, count.component)) continue
      if (matched.includes(index)) {
        count.matched += 1
        continue
      }
      missed.push(index)
      count.missed += 1
      if (count.matched === 0 && count.missed >= silentCallsMax) this.complain(index)
    }
    const components = [...new Set(matched.map((index) => this.rules[index]!.component))]
    return { components, matched, missed, ...(version !== null && { version }) }
  }

  private complain(index: number) {
    if (this.warned.has(index)) return
    this.warned.add(index)
    const { missed } = this.counts[index]!
    this.warn(
      `${ruleName(index, this.rules[index]!)} has found its text in none of ${counted(missed, "call")}; ` +
        "tau resources discover lists the texts that there are"
    )
  }

  private giveUp(index: number) {
    this.givenUp[index]! += 1
    if (this.givenUp[index] !== givenUpMax) return
    this.warn(`${ruleName(index, this.rules[index]!)}: its pattern takes too long and is not tried any more`)
  }
}
