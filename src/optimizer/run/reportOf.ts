/** A search's rows as the report that people read. */
import * as Effect from "effect/Effect"
import { storeHint } from "../../domain/CommandText.js"
import type { RunId } from "../../domain/Ids.js"
import type { OptimizerConfig } from "../../domain/OptimizerConfig.js"
import type { Example } from "../../domain/Rollout.js"
import { mean } from "../../statistics/Moments.js"
import type { Run } from "../../store/RunReader.js"
import { type ScoredExample, SearchReader, type SearchRecord } from "../../store/SearchReader.js"
import type { StoreError } from "../../store/StoreError.js"
import { meanBounds } from "../MeanBounds.js"
import { decided } from "../report/decided.js"
import type {
  Bounds,
  Budget,
  ExampleScores,
  GateOutcome,
  ReportedCandidate,
  SearchReport,
  Slice,
  SliceScore
} from "../report/SearchReport.js"
import type { Change, SearchEvent, Texts } from "../Search.js"
import { slicesOf } from "../Slices.js"
import { gateFirstSample } from "./gateSamples.js"
import { reflectionsMax } from "./SearchPlan.js"
import type { SearchResult } from "./SearchResult.js"
import { Spending } from "./Spending.js"
import { notBegun, type Standing, Watched } from "./Standing.js"

/** What a report needs to know of its run: a run that is about to end knows it before the store does. */
type ReportedRun = Pick<Run, "id" | "stands" | "stopReason" | "configPath">

/** The report of a run's search as it stands; null when the run searches nothing. Its hints name the store in this file. */
export const searchReport = (
  { configPath, id: runId, stands, stopReason }: ReportedRun,
  storePath: string
): Effect.Effect<SearchReport | null, StoreError, SearchReader> =>
  Effect.gen(function*() {
    const reader = yield* SearchReader
    const record = yield* reader.record(runId)
    if (record === null) return null
    const result = resultOf(record)
    const { dated, events, optimizer, seed, texts, watched } = replayed(record)
    // A run that ended otherwise than by its search has what was best until then.
    const isOver = result !== null || stands === "cancelled" || stands === "failed"
    const standing = lastIncumbent(events)
    const winner = isOver ? texts[result?.best ?? standing] ?? null : null
    const { candidates, incumbents } = decided(seed, dated, winner)
    const versions = new Map(record.candidates.map(({ n, resourcesVersion }) => [n, resourcesVersion]))
    const best = result?.best ?? standing
    const without = candidates.filter(({ interval, mean }) => mean !== null && interval === null).map(({ n }) => n)
    const scored = yield* reader.scored(runId, [...new Set([0, best, ...without])], gateFirstSample)
    return {
      runId,
      algorithm: optimizer.algorithm,
      randomSeed: optimizer.seed,
      ended: result?.reason ?? (isOver ? stands : null),
      stopped: isOver ? null : stoppedBy(stands, stopReason),
      configPath,
      seed,
      winner,
      candidates: candidates.map((candidate) => ({
        ...candidate,
        interval: candidate.interval ?? intervalOf(candidate, scored),
        resourcesVersion: versions.get(candidate.n) ?? null
      })),
      best,
      incumbents,
      budget: budgetOf(record, optimizer, result),
      examples: examplesOf(scored, best),
      slices: slicesIn(scored, best),
      gate: gateOf(record, result, storePath),
      openGate: isOver ? null : watched.standing.gate,
      troubles: troublesOf(record, events),
      unanswered: result !== null && best === 0 ? unansweredOf(record) : null,
      promotedVersion: record.promotion?.version ?? null
    }
  })

/** What a search came to; null before its end. */
const resultOf = ({ result }: SearchRecord): SearchResult | null =>
  result === null ? null : JSON.parse(result) as SearchResult

/** Where a run's search stands by its rows, before it goes on. */
export const storedStanding = (runId: RunId): Effect.Effect<Standing, StoreError, SearchReader> =>
  Effect.gen(function*() {
    const record = yield* Effect.flatMap(SearchReader, (reader) => reader.record(runId))
    if (record === null) return notBegun
    const result = resultOf(record)
    const { optimizer, watched } = replayed(record)
    const { reflections, rollouts, tokens, usd } = budgetOf(record, optimizer, result)
    const phase = watched.standing.gate === null ? "search" : "gate"
    return {
      ...watched.standing,
      // Killed after its end, its run is still to be closed.
      phase: result === null ? phase : "ended",
      rollouts: rollouts.spent,
      reflections: reflections.spent,
      tokens: tokens.spent,
      usd: usd.spent
    }
  })

/** What a search's rows say, its events seen again in their order. */
const replayed = (record: SearchRecord) => {
  const texts = record.candidates.map((candidate) => JSON.parse(candidate.texts) as Texts)
  const seed = texts[0] ?? {}
  const events = record.events.map(({ data, step }) => ({ step, event: JSON.parse(data) as StoredEvent }))
  const dated = eventsOf(record, events, texts)
  const watched = new Watched(seed)
  for (const { event } of dated) watched.see(event)
  const { optimizer } = JSON.parse(record.run.config) as { readonly optimizer: OptimizerConfig }
  return { dated, events, optimizer, seed, texts, watched }
}

/** Why nothing works on a search that has not ended; null where something does. */
const stoppedBy = (stands: ReportedRun["stands"], stopReason: string | null): string | null => {
  if (stands === "crashed") return stands
  return stopReason ?? (stands === "paused" || stands === "stopped" ? stands : null)
}

const lastIncumbent = (events: ReadonlyArray<DatedStep>): number =>
  events.findLast(({ event }) => event.type === "incumbent")?.event.candidate ?? 0

/** Proposals without a text, or with one that was known already, by why it was so. */
const troublesOf = ({ failedReflections }: SearchRecord, events: ReadonlyArray<DatedStep>) => {
  const kinds = new Map<string, { n: number; last: string }>()
  for (const { event } of events) {
    if (event.type !== "rejected" || event.reason === "reflection") continue
    if ((event.candidate ?? null) !== null && event.reason !== "seen") continue
    const kind = `answers (${event.reason ?? "unknown"})`
    kinds.set(kind, { n: (kinds.get(kind)?.n ?? 0) + 1, last: event.detail ?? "" })
  }
  const failed = failedReflections.n === 0
    ? []
    : [{ kind: "reflections failed", n: failedReflections.n, last: failedReflections.last ?? "" }]
  return [...failed, ...[...kinds].map(([kind, { last, n }]) => ({ kind, n, last })).toSorted((a, b) => b.n - a.n)]
}

/** Null where a reflection was answered, or none was asked for. */
const unansweredOf = ({ failedReflections: { last, n }, steps }: SearchRecord): string | null =>
  n > 0 && n === steps.reduce((sum, { reflections }) => sum + reflections, 0) ? last ?? "unknown" : null

/** Events as the optimizer wrote them, and what had been spent by then. */
const eventsOf = (
  { steps }: SearchRecord,
  events: ReadonlyArray<DatedStep>,
  texts: ReadonlyArray<Texts>
) => {
  const before = new Map<number, number>()
  let rollouts = 0
  for (const step of steps) {
    before.set(step.n, rollouts)
    rollouts += step.rollouts
  }
  return events.map(({ event, step }) => ({
    event: eventOf(event, texts),
    rollouts: before.get(step) ?? rollouts
  }))
}

/** An event as it is stored: candidates are numbers. */
interface StoredEvent {
  readonly type: string
  readonly candidate?: number | null
  readonly parents?: ReadonlyArray<number>
  readonly change?: Change
  readonly reason?: string
  readonly detail?: string
}

interface DatedStep {
  readonly step: number
  readonly event: StoredEvent
}

const eventOf = ({ candidate, parents, ...event }: StoredEvent, texts: ReadonlyArray<Texts>): SearchEvent =>
  ({
    ...event,
    ...(candidate !== undefined && { candidate: candidate === null ? null : texts[candidate] ?? null }),
    ...(parents !== undefined && { parents: parents.map((parent) => texts[parent]!) })
  }) as SearchEvent

const budgetOf = (
  { run, steps, usage }: SearchRecord,
  optimizer: OptimizerConfig,
  result: SearchResult | null
): Budget => {
  const sum = (of: "rollouts" | "reflections") => steps.reduce((total, step) => total + step[of], 0)
  const spending = new Spending({ tokensMax: Infinity, usdMax: Infinity, secondsMax: Infinity }, optimizer.prices)
  spending.addRollout(usage)
  // A step's own time is from its row to the last of what it started. The clock may have been set back between two of them.
  const lastAt = steps.reduce((latest, { atMs }) => Math.max(latest, atMs), run.lastEndedAtMs ?? run.createdAtMs)
  return {
    rollouts: { spent: sum("rollouts"), limit: optimizer.max_rollouts, gate: result?.gateRollouts ?? null },
    reflections: { spent: sum("reflections"), limit: reflectionsMax({ optimizer }) },
    tokens: { spent: result?.spent.tokens ?? run.tokens, limit: optimizer.max_tokens ?? null },
    usd: {
      spent: result?.spent.usd ?? spending.usd,
      limit: optimizer.max_usd ?? null,
      unpriced: spending.unpriced,
      ...spending.leftOut
    },
    seconds: { spent: Math.round((lastAt - (steps[0]?.atMs ?? lastAt)) / 1_000), limit: optimizer.max_seconds ?? null }
  }
}

/**
 * What a candidate scored on each example: of several samples the mean, as where the two best were sampled further to break a
 * tie. What is said of a miss is said of the first of them.
 */
export const scoresOf = (
  scored: ReadonlyArray<ScoredExample>,
  candidate: number
): ReadonlyMap<string, ScoredExample> => {
  const samples = new Map<string, Array<ScoredExample>>()
  for (const one of scored) {
    if (one.candidate !== candidate) continue
    const same = samples.get(one.example)
    if (same === undefined) samples.set(one.example, [one])
    else same.push(one)
  }
  return new Map(
    [...samples].map(([example, all]) => {
      const feedback = all.find((one) => one.feedback !== null)?.feedback ?? null
      return [example, { ...all[0]!, score: mean(all.map(({ score }) => score)), feedback }]
    })
  )
}

/**
 * An optimizer tells the interval of the best alone. Of another candidate it follows from its scores, where those are the ones
 * that its mean is over; else there is none.
 */
const intervalOf = (candidate: ReportedCandidate, scored: ReadonlyArray<ScoredExample>): Bounds | null => {
  const scores = [...scoresOf(scored, candidate.n).values()].map(({ score }) => score)
  const isOverThese = candidate.mean !== null && scores.length === candidate.examples && scores.length > 0
    && Math.abs(mean(scores) - candidate.mean) < 1e-9
  return isOverThese ? meanBounds(scores) : null
}

const examplesOf = (scored: ReadonlyArray<ScoredExample>, best: number): ReadonlyArray<ExampleScores> => {
  const seeds = scoresOf(scored, 0)
  const winners = scoresOf(scored, best)
  return [...new Set([...seeds.keys(), ...winners.keys()])].map((id) => {
    const winner = winners.get(id)
    return {
      id,
      input: inputOf((winner ?? seeds.get(id))!),
      seed: seeds.get(id)?.score ?? null,
      winner: winner?.score ?? null,
      feedback: winner?.feedback ?? null
    }
  })
}

const inputOf = ({ input }: ScoredExample): string => {
  const example = JSON.parse(input) as Example
  const { prompt } = example
  return typeof prompt === "string" ? prompt : input
}

/** All examples, and each tag of theirs. */
const slicesIn = (scored: ReadonlyArray<ScoredExample>, best: number): ReadonlyArray<Slice> => {
  const seeds = scoresOf(scored, 0)
  const winners = scoresOf(scored, best)
  const all = [...new Set([...seeds.keys(), ...winners.keys()])]
  if (all.length === 0) return []
  const tagged = new Map<string, Array<string>>()
  for (const id of all) {
    for (const tag of slicesOf(JSON.parse((seeds.get(id) ?? winners.get(id))!.input) as Example)) {
      tagged.set(tag, [...tagged.get(tag) ?? [], id])
    }
  }
  return [["all", all] as const, ...[...tagged].toSorted(([one], [other]) => one < other ? -1 : 1)].map(
    ([name, ids]) => ({
      name,
      n: ids.length,
      seed: sliceScore(ids.flatMap((id) => seeds.get(id)?.score ?? [])),
      winner: sliceScore(ids.flatMap((id) => winners.get(id)?.score ?? []))
    })
  )
}

const sliceScore = (scores: ReadonlyArray<number>): SliceScore | null =>
  scores.length === 0 ? null : { mean: mean(scores), ...meanBounds(scores) }

const gateOf = (
  { promotion, run }: SearchRecord,
  result: SearchResult | null,
  storePath: string
): GateOutcome | null => {
  if (result === null) return null
  const forced = promotion?.decision === "forced" ? forcedSentence(promotion) : ""
  const { best, gate, gateLeftOut: leftOut, incumbentVersion: incumbent = null, noGate, overtakenBy } = result
  const proposal = `candidate ${best} stays a proposal until tau promote ${run.id} --force${storeHint(storePath)}`
  if (gate === null) {
    // A search that found nothing better has nothing for a gate to decide.
    if (best === 0) return null
    const left = forced === "" ? `; ${proposal}` : forced
    return {
      decision: forced === "" ? "not_testable" : "forced",
      sentence: `${noGate ?? "no gate was held"}${left}`,
      incumbent,
      n: 0,
      wins: 0,
      losses: 0,
      gain: null,
      interval: null,
      p: null,
      test: null,
      guardRails: [],
      opening: 0,
      openingsLeft: 0,
      leftOut
    }
  }
  const overtaken = forced === "" && overtakenBy !== undefined
    ? `; but version ${overtakenBy} became the latest while the gate was open: ${proposal}`
    : ""
  return {
    decision: forced !== "" ? "forced" : overtaken === "" ? gate.decision : "overtaken",
    sentence: `${gate.reason}${forced}${overtaken}`,
    incumbent,
    n: gate.n,
    wins: gate.wins,
    losses: gate.losses,
    gain: gate.gain,
    interval: gate.interval,
    p: gate.test?.p ?? gate.evidence.anytimeP,
    test: gate.n === 0 ? null : gate.test?.p == null ? "e-process, at any stop" : `${gate.test.method}, one-sided`,
    guardRails: gate.guardRails,
    // A gate that was worn out, or had nothing to test, looked at nothing.
    opening: gate.n === 0 && (gate.decision === "not_testable" || gate.decision === "identical")
      ? 0
      : gate.plan.opening,
    openingsLeft: gate.plan.openingsLeft,
    leftOut
  }
}

const forcedSentence = ({ principal, reason, version }: NonNullable<SearchRecord["promotion"]>): string =>
  `; ${principal ?? "somebody"} made version ${version} the latest by force${reason === null ? "" : `: ${reason}`}`
