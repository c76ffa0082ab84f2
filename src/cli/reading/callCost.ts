/** What recorded calls cost, as the summary of a run counts it: see `spanUsage.ts`, which adds up in SQL. */
import * as Effect from "effect/Effect"
import type { RunId } from "../../domain/Ids.js"
import { type Cost, costOf, type ModelUsage, type OwnPrices } from "../../domain/Prices.js"
import type { Span } from "../../domain/Span.js"
import { GenAi } from "../../openai/GenAi.js"
import { costLines } from "../../runtime/summaryText.js"
import { RunReader } from "../../store/RunReader.js"
import { fact } from "./facts.js"

/** By the prices of their run, where they are of one, and list prices. */
export const costOfCalls = (runId: RunId | null, calls: ReadonlyArray<Span>) =>
  Effect.gen(function*() {
    const prices = runId === null ? null : (yield* (yield* RunReader).rules(runId)).prices
    return costOf(calls.filter(isPaid).map(usageOf), JSON.parse(prices ?? "{}") as OwnPrices)
  })

const isPaid = ({ attributes, kind, state }: Span): boolean =>
  kind === "llm" && state !== "open" && attributes[GenAi.replayed] !== true

const usageOf = (span: Span): ModelUsage => {
  const { attributes, inputTokens, model, outputTokens, state } = span
  const cost = attributes[GenAi.usageCost]
  const isMetered = inputTokens !== null || outputTokens !== null
  const isSilent = !isMetered && typeof cost !== "number" && wasAtWork(span)
  return {
    model,
    inputTokens: inputTokens ?? 0,
    outputTokens: outputTokens ?? 0,
    cost: typeof cost === "number" ? cost : null,
    metered: Number(isMetered),
    unmetered: Number(isSilent && state === "done"),
    brokenOff: Number(isSilent && state !== "done")
  }
}

/** A call that was refused used nothing. */
const wasAtWork = ({ state, statusCode }: Span): boolean =>
  state === "timeout" || (statusCode === null
    ? state === "client_cancel" || state === "unknown_after_crash"
    : statusCode < 400)

/** `isAll` false where not all calls are in it. */
export const costText = (cost: Cost, isAll = true): ReadonlyArray<string> =>
  costLines(cost, "", isAll).flatMap((line, n) => fact(n === 0 ? "cost" : "", line))
