/** Which texts are put in the place of an agent's own: those of the attempt that calls, or for every call what was promoted. */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type { Resources, ResourceValues } from "../domain/Resources.js"
import type { RewriteRule } from "../domain/Rewrite.js"
import type { AttemptResources } from "../store/AttemptResources.js"
import { resourceRows } from "../store/resourceRows.js"

export interface PlacedTexts {
  readonly values: ResourceValues
  /** Of the resources; null where the attempt says it. */
  readonly version: number | null
}

export interface TextSource {
  /** Whether calls are concerned that name no attempt. */
  readonly isForAll: boolean
  /** Null when nothing is to be put in place: it is not known what the call should say. */
  readonly of: (attemptId: string) => Promise<PlacedTexts | null>
}

/** Attempts whose resources are remembered; those used longest ago are read again. */
const attemptsMax = 512

/** Each attempt of a run has the version that it was made with, for ever. */
export class AttemptTexts implements TextSource {
  readonly isForAll = false
  private readonly known = new Map<string, Promise<PlacedTexts | null>>()

  constructor(private readonly read: AttemptResources) {}

  of(attemptId: string): Promise<PlacedTexts | null> {
    const known = this.known.get(attemptId)
    const reading = known ??
      Effect.runPromise(this.read(attemptId)).then((values) => values === null ? null : { values, version: null })
    // A map keeps the order in which entries came: the first is the one used longest ago.
    this.known.delete(attemptId)
    this.known.set(attemptId, reading)
    if (known === undefined) {
      // What could not be read, or was not there yet, is asked for again.
      const forget = () => void this.known.delete(attemptId)
      reading.then((texts) => texts === null ? forget() : undefined, forget)
      const [oldest] = this.known.keys()
      if (this.known.size > attemptsMax) this.known.delete(oldest!)
    }
    return reading
  }
}

const ownTexts = "the agents' own texts stay"

/** How soon calls are made under a version that was promoted, or gone back to. */
const readEvery = "500 millis"

/**
 * The version that a gate or a person has chosen, as it changes. Before there is one calls pass as they are, and for as long as
 * nothing can be read as they did last.
 */
export const openPromotedTexts = (rules: ReadonlyArray<RewriteRule>, say: (message: string) => void) =>
  Effect.gen(function*() {
    const { promoted } = resourceRows(yield* SqlClient.SqlClient)
    let chosen: Resources | null = null
    const learn = Effect.map(promoted, (found) => {
      const next = Option.getOrNull(found)
      // Its id also holds for its text: where a backup was restored, a number may be of another.
      if (next?.resourcesId === chosen?.resourcesId) return
      say(next === null ? noLonger(chosen!.version) : underVersion(next, rules))
      chosen = next
    })
    yield* Effect.ignore(learn)
    if (chosen === null) say(`tau: no version of the resources has been promoted yet: ${ownTexts}`)
    yield* Effect.ignore(learn).pipe(Effect.repeat(Schedule.spaced(readEvery)), Effect.forkScoped)
    const texts = () => chosen === null ? null : { values: chosen.resources, version: chosen.version }
    return { isForAll: true, of: () => Promise.resolve(texts()) } satisfies TextSource
  })

/** As a backup may have it that was restored: what it knows nothing of is not put in place. */
const noLonger = (version: number) =>
  `tau: version ${version} of the resources is not what has been promoted any more, and no other is: ${ownTexts}`

const underVersion = ({ resources, version }: Resources, rules: ReadonlyArray<RewriteRule>) => {
  const lacking = [...new Set(rules.map(({ component }) => component))].filter((name) =>
    !Object.hasOwn(resources, name)
  )
  return `tau: calls are made under version ${version} of the resources`
    + (lacking.length === 0 ? "" : `, which has no ${lacking.join(", ")}: there the agent's own text stays`)
}
