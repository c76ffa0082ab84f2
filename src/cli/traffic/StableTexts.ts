/**
 * What an agent says alike in many calls: its system messages, instructions and tool descriptions, each with its share of the
 * calls. Texts that differ in a few places, a date or a folder, count as forms of one.
 */
import type { RequestText, TextPlace } from "../../openai/RequestTexts.js"
import { redacted } from "../../openai/Secrets.js"

export type SeenText = Omit<RequestText, "token">

export interface StableText {
  readonly place: TextPlace
  /** The tool that is described; null for anything else. */
  readonly tool: string | null
  /** Calls that held one of its forms. */
  readonly calls: number
  readonly share: number
  /** Its most frequent form. */
  readonly text: string
  /** How many different texts it was. */
  readonly forms: number
  /**
   * What can be replaced: the whole text of a single form, else the longest part that all have; null when there is none. Where a secret
   * was taken out nobody knows what the agent says: the longest part beside it, and nothing of a tool's, which is replaced as a whole.
   */
  readonly stable: string | null
  /** A secret was taken out of what would be stable. */
  readonly isRedacted: boolean
  /** Examples of what differs from form to form. */
  readonly varying: ReadonlyArray<string>
}

/** Different texts of one place that are kept, as many as there are calls to look at and more. */
const textsMax = 4_000
/** Texts that another is compared with, to see whether it is a form of one. */
const groupsMax = 100
/** Forms of one text of which the common part is looked for; of more, the most frequent. */
const formsMax = 24
/** What of the shorter of two texts must be alike for them to be forms of one. */
const likeness = 0.5
/** A shorter part is in too many texts by chance to name one. */
const stableCharsMin = 20
const varyingMax = 3
const varyingCharsMax = 80

interface Counted {
  readonly text: string
  calls: number
}

/** Call after call is added; what was found is asked for at the end. */
export class StableTexts {
  calls = 0
  private readonly places = new Map<string, { readonly first: SeenText; readonly texts: Map<string, Counted> }>()

  /** The texts of one call. */
  add(texts: ReadonlyArray<SeenText>): void {
    this.calls += 1
    for (const seen of new Map(texts.map((one) => [JSON.stringify([one.place, one.tool, one.text]), one])).values()) {
      const key = JSON.stringify([seen.place, seen.tool])
      const place = this.places.get(key) ?? { first: seen, texts: new Map<string, Counted>() }
      this.places.set(key, place)
      const counted = place.texts.get(seen.text)
      if (counted !== undefined) counted.calls += 1
      else if (place.texts.size < textsMax) place.texts.set(seen.text, { text: seen.text, calls: 1 })
    }
  }

  /** The most frequent first; of those as frequent, messages before tools. */
  found(): ReadonlyArray<StableText> {
    const found = [...this.places.values()].flatMap(({ first: { place, tool }, texts }) => {
      const counted = [...texts.values()].toSorted((a, b) => b.calls - a.calls)
      // All that a tool was said to do goes by its name.
      const groups = tool === null ? alike(counted) : [counted]
      return groups.map((forms): StableText => {
        const calls = forms.reduce((sum, form) => sum + form.calls, 0)
        const compared = forms.slice(0, formsMax).map(({ text }) => text)
        const recorded = forms.length === 1 || tool !== null ? forms[0]!.text : commonPart(compared)
        const isRedacted = recorded?.includes(redacted) === true
        return {
          place,
          tool,
          calls,
          share: calls / this.calls,
          text: forms[0]!.text,
          forms: forms.length,
          stable: !isRedacted ? recorded : tool === null ? longestCertain(recorded) : null,
          isRedacted,
          varying: differing(compared)
        }
      })
    })
    return found.toSorted((a, b) => b.calls - a.calls || Number(a.tool !== null) - Number(b.tool !== null))
  }
}

/** Texts of one place in groups that are each forms of one text. */
const alike = (counted: ReadonlyArray<Counted>): ReadonlyArray<ReadonlyArray<Counted>> => {
  const groups: Array<{ readonly pieces: ReadonlySet<string>; readonly forms: Array<Counted> }> = []
  for (const one of counted) {
    const pieces = new Set(piecesOf(one.text))
    const group = groups.slice(0, groupsMax).find((other) => areAlike(pieces, other.pieces))
    if (group === undefined) groups.push({ pieces, forms: [one] })
    else group.forms.push(one)
  }
  return groups.map(({ forms }) => forms)
}

const areAlike = (one: ReadonlySet<string>, other: ReadonlySet<string>): boolean => {
  const size = (pieces: Iterable<string>) => [...pieces].reduce((sum, { length }) => sum + length, 0)
  const common = size([...one].filter((piece) => other.has(piece)))
  // An empty text has nothing in common with any.
  return common > 0 && common >= likeness * Math.min(size(one), size(other))
}

/** Lines, and the sentences within them; put together they are the text. */
const piecesOf = (text: string): ReadonlyArray<string> => text.split(/(?<=\n)|(?<=[.!?:;,] )/)

/** The longest run of pieces of the first text that stands so in every other; null when it is too short to name a text by. */
const commonPart = ([first = "", ...others]: ReadonlyArray<string>): string | null => {
  const pieces = piecesOf(first)
  const isCommon = (from: number, to: number) => {
    const part = pieces.slice(from, to).join("")
    return others.every((other) => other.includes(part))
  }
  let longest = ""
  let to = 0
  for (let from = 0; from < pieces.length; from++) {
    to = Math.max(to, from)
    while (to < pieces.length && isCommon(from, to + 1)) to += 1
    const part = pieces.slice(from, to).join("")
    if (part.length > longest.length) longest = part
  }
  return longEnough(longest)
}

const longEnough = (found: string): string | null => {
  const part = found.trim()
  return part.length < stableCharsMin ? null : part
}

/** The longest run of whole pieces without a secret in it. */
const longestCertain = (text: string): string | null => {
  let [longest, current] = ["", ""]
  for (const piece of piecesOf(text)) {
    current = piece.includes(redacted) ? "" : current + piece
    if (current.length > longest.length) longest = current
  }
  return longEnough(longest)
}

/** Pieces that not every form has. */
const differing = (forms: ReadonlyArray<string>): ReadonlyArray<string> => {
  const sets = forms.map((form) => new Set(piecesOf(form)))
  const pieces = forms.flatMap((form) =>
    piecesOf(form).filter((piece) => sets.some((set) => !set.has(piece))).slice(0, 1)
  )
  return [...new Set(pieces.map((piece) => piece.trim().slice(0, varyingCharsMax)))].filter((piece) => piece !== "")
    .slice(0, varyingMax)
}
