/** Puts other texts in the place of an agent's own, in the bytes of its request; every byte around them stays. */
import { SearchTimedOut } from "./BoundedPatterns.js"
import { BoundedSearch } from "./BoundedSearch.js"
import type { Endpoint } from "./Endpoint.js"
import { placesIn } from "./JsonTokens.js"
import { type RequestText, requestTexts } from "./RequestTexts.js"

/** Where a text is found. Of `equal`, `containing` and `matching` there is one. */
export type TextWhere =
  | {
    readonly kind: "system" | "instructions"
    readonly equal?: string
    readonly containing?: string
    /** A regular expression, with `flags` among i, m, s and u. */
    readonly matching?: string
    readonly flags?: string
  }
  | { readonly kind: "tool_description"; readonly tool: string }

/** What a text is replaced by, rule by rule; null leaves the rule out. */
export type Replacements = ReadonlyArray<string | null>

export interface Rewritten {
  /** The body that was given when nothing had to be changed. */
  readonly body: Buffer
  /** Positions of the rules that found their text, whether or not it was the wanted one already. */
  readonly matched: ReadonlyArray<number>
  /** Positions of the rules whose pattern took too long. */
  readonly gaveUp: ReadonlyArray<number>
}

/** Longest text that is searched for a pattern. */
const searchedCharsMax = 1024 * 1024

/** One replacement: from and to in the text, and what is put there. */
interface Edit {
  readonly from: number
  readonly to: number
  readonly by: string
}

/** Rules ready to be applied to many requests. */
export class TextRewrite {
  private readonly searches: ReadonlyArray<BoundedSearch | null>

  constructor(private readonly rules: ReadonlyArray<TextWhere>) {
    this.searches = rules.map((where) =>
      where.kind === "tool_description" || where.matching === undefined
        ? null
        : new BoundedSearch({ source: where.matching, flags: where.flags ?? "" })
    )
  }

  /**
   * Every text that a rule fits gets its replacement: whole where it is equal, in its first occurrence where it contains or
   * matches. Rules look at the agent's own words, never at what another rule has put there; where two want the same words
   * the earlier has them. Null when the body is not one JSON object.
   */
  apply(api: Endpoint["api"], body: Buffer, replacements: Replacements): Rewritten | null {
    const texts = requestTexts(api, body)
    if (texts === null) return null
    const matched = new Set<number>()
    const gaveUp = new Set<number>()
    const parts: Array<Uint8Array> = []
    let kept = 0
    for (const text of texts.toSorted((a, b) => a.token.start - b.token.start)) {
      const edits = this.editsOf(text, replacements, matched, gaveUp)
      const changes = edits.filter(({ by, from, to }) => text.text.slice(from, to) !== by)
      if (changes.length === 0) continue
      const places = placesIn(body, text.token, changes.flatMap(({ from, to }) => [from, to]))
      for (const [index, { by }] of changes.entries()) {
        parts.push(body.subarray(kept, places[2 * index]!), Buffer.from(JSON.stringify(by).slice(1, -1)))
        kept = places[2 * index + 1]!
      }
    }
    return {
      body: parts.length === 0 ? body : Buffer.concat([...parts, body.subarray(kept)]),
      matched: [...matched].toSorted((a, b) => a - b),
      gaveUp: [...gaveUp]
    }
  }

  /** In the order of the text, none overlapping another. */
  private editsOf(
    { place, text, tool }: RequestText,
    replacements: Replacements,
    matched: Set<number>,
    gaveUp: Set<number>
  ): ReadonlyArray<Edit> {
    const edits: Array<Edit> = []
    for (const [index, where] of this.rules.entries()) {
      const by = replacements[index] ?? null
      if (by === null || where.kind !== place || (where.kind === "tool_description" && where.tool !== tool)) continue
      let found: readonly [number, number] | null = null
      try {
        found = foundIn(text, where, this.searches[index]!)
      } catch (error) {
        if (!(error instanceof SearchTimedOut)) throw error
        gaveUp.add(index)
      }
      if (found === null) continue
      const [from, to] = found
      if (edits.some((edit) => from < edit.to && edit.from < to) || splits(text, from) || splits(text, to)) continue
      matched.add(index)
      edits.push({ from, to, by })
    }
    return edits.toSorted((a, b) => a.from - b.from)
  }
}

const foundIn = (
  text: string,
  where: TextWhere,
  search: BoundedSearch | null
): readonly [from: number, to: number] | null => {
  if (where.kind === "tool_description" || where.equal !== undefined) {
    return where.kind === "tool_description" || where.equal === text ? [0, text.length] : null
  }
  if (search !== null) return text.length > searchedCharsMax ? null : search.first(text)
  const at = text.indexOf(where.containing ?? "")
  return at === -1 || where.containing === undefined ? null : [at, at + where.containing.length]
}

/** Whether a position is between the two halves of a character. */
const splits = (text: string, at: number): boolean =>
  at > 0 && at < text.length && (text.codePointAt(at - 1) ?? 0) > 0xffff
