/** What of a search is on record already, by which the row of its next step is drawn up: numbers of candidates, ids of rollouts. */
import { hash } from "node:crypto"
import type { RunId } from "../../domain/Ids.js"
import type { ResourceValues } from "../../domain/Resources.js"
import type { Example } from "../../domain/Rollout.js"
import { canonicalJson } from "../../store/canonicalJson.js"
import type { SearchRollout, SearchStep } from "../../store/writer/search.js"
import { chainOf } from "../../store/writer/searchChain.js"
import type { Work } from "../Conductor.js"
import { type Ask, keyOf, type SearchEvent, type SearchStopped, type Texts } from "../Search.js"

export interface SearchLedgerOptions {
  readonly runId: RunId
  /** All resources of the run: a candidate replaces some of their texts. */
  readonly resources: ResourceValues
  readonly seed: Texts
  /** Every example of the run by its id. */
  readonly examples: ReadonlyMap<string, Example>
  /** What the search is called, with its version: another one does not go on with its steps. */
  readonly optimizer: string
  readonly attemptsMax: number
}

/** A batch as the store will have it. */
export interface PlannedStep {
  readonly row: SearchStep
  /** Numbers of the candidates that are new, by the key of their texts. */
  readonly fresh: ReadonlyMap<string, number>
  /** Ids of the rollouts by the conductor's key. */
  readonly ids: ReadonlyArray<readonly [key: string, id: string]>
}

export class SearchLedger {
  private readonly candidates = new Map<string, number>()
  private readonly versioned = new Set<number>()
  private readonly ids = new Map<string, string>()
  private chain: string
  private events = 0
  private readonly counts = { steps: 0, rollouts: 0, reflections: 0 }

  constructor(private readonly options: SearchLedgerOptions) {
    this.chain = sha256(options.optimizer)
  }

  get spent(): { readonly steps: number; readonly rollouts: number; readonly reflections: number } {
    return this.counts
  }

  /** Number of a candidate that is on record. */
  numberOf(texts: Texts): number {
    return this.candidates.get(keyOf(texts))!
  }

  /** Id of a rollout that is on record, by the conductor's key. */
  idOf(key: string): string {
    return this.ids.get(key)!
  }

  /** What a batch means for the store. Changes nothing: a step may be refused. */
  plan(work: Work, refused: SearchStopped | null): PlannedStep {
    const { attemptsMax, examples, optimizer, resources, runId } = this.options
    const fresh = new Map<string, number>()
    const candidates: Array<SearchStep["candidates"][number]> = []
    const see: See = (texts, from) => {
      const key = keyOf(texts)
      const known = this.candidates.get(key) ?? fresh.get(key)
      if (known !== undefined) return known
      const n = this.candidates.size + fresh.size
      fresh.set(key, n)
      candidates.push({ n, texts: JSON.stringify(texts), ...from })
      return n
    }
    // The seed is candidate 0.
    see(this.options.seed, { parents: [], change: null, path: "seed" })
    const events = work.asks.flatMap((ask) => ask._tag === "Note" ? [eventJson(ask.event, see)] : [])
    const versions = new Map<number, string>()
    const rollouts = work.rollouts.map(({ example, key, sample, split, texts }) => {
      const candidate = see(texts, { parents: [], change: null, path: `step/${work.n}` })
      if (!this.versioned.has(candidate)) versions.set(candidate, canonicalJson({ ...resources, ...texts }))
      const rollout: SearchRollout = {
        id: `${runId}-c${pad(candidate)}-${example.id}${sample === 0 ? "" : `-s${sample}`}`,
        mode: split === "train" ? "train" : "val",
        input: JSON.stringify(examples.get(example.id)),
        candidate,
        example: example.id,
        sample
      }
      return { key, rollout }
    })
    const row: SearchStep = {
      runId,
      n: work.n,
      chain: chainOf(this.chain, work.asks.map(askJson)),
      stop: refused === null ? null : { reason: refused.reason, detail: refused.detail },
      candidates,
      versions: [...versions].map(([n, resources]) => ({ n, resources })),
      rollouts: rollouts.map(({ rollout }) => rollout),
      reflections: work.reflections.map(({ path, prompt }, index) => ({
        n: this.counts.reflections + index,
        path,
        promptSha256: sha256(prompt)
      })),
      events,
      eventsFrom: this.events,
      attemptsMax,
      author: optimizer.split("@")[0]!
    }
    return { row, fresh, ids: rollouts.map(({ key, rollout }) => [key, rollout.id]) }
  }

  /** The step was put down: the next one follows it, whether or not it may be carried out. */
  follow({ row }: PlannedStep): void {
    this.counts.steps += 1
    this.chain = row.chain
  }

  /** And it may: what is new in it is known from here on. */
  settle({ fresh, ids, row }: PlannedStep): void {
    for (const [key, n] of fresh) this.candidates.set(key, n)
    for (const { n } of row.versions) this.versioned.add(n)
    for (const [key, id] of ids) this.ids.set(key, id)
    this.events += row.events.length
    this.counts.rollouts += row.rollouts.length
    this.counts.reflections += row.reflections.length
  }
}

const pad = (n: number) => String(n).padStart(4, "0")

const sha256 = (text: string) => hash("sha256", text, "hex")

/** An ask as far as it decides what is done. */
const askJson = (ask: Ask): unknown => {
  switch (ask._tag) {
    case "Evaluate":
      return { ...ask, texts: keyOf(ask.texts), examples: ask.examples.map(({ id }) => id) }
    case "Reflect": {
      // How its answer is read is on record with what came of it.
      const { fenced: _, ...asked } = ask
      return asked
    }
    case "Note":
      return ask
  }
}

/** Number of a candidate, whether it was seen before or not; `from` is where it comes from if not. */
type See = (
  texts: Texts,
  from: { readonly parents: ReadonlyArray<number>; readonly change: string | null; readonly path: string }
) => number

/** An event with candidates as their numbers. */
const eventJson = (event: SearchEvent, see: See): string => {
  const unknown = { parents: [], change: null, path: "" }
  switch (event.type) {
    case "iteration":
    case "gate_looked":
      return JSON.stringify(event)
    case "proposed": {
      const { candidate, change, parents, path } = event
      const from = parents.map((parent) => see(parent, unknown))
      const n = see(candidate, { parents: from, change: JSON.stringify(change), path })
      return JSON.stringify({ ...event, candidate: n, parents: from })
    }
    default:
      return JSON.stringify({ ...event, candidate: event.candidate === null ? null : see(event.candidate, unknown) })
  }
}
