/** A small part of JSONPath (RFC 9535), enough to name what is not for the record: `$.user`, `$.messages[*].content`. */
import { parseJson } from "./Json.js"
import { comma, endOfText, isSpace, listCloses, listOpens, objectCloses, objectOpens, quote } from "./jsonBytes.js"

type Step = { readonly kind: "key"; readonly key: string } | { readonly kind: "every" } | { readonly kind: "below" } | {
  readonly kind: "index"
  readonly index: number
}

export type JsonPath = ReadonlyArray<Step>

const stepPattern =
  /\.\.(?=[A-Za-z_*])|\.?\*|\[\*\]|\.?([A-Za-z_][\w-]*)|\[(\d{1,6})\]|\['([^'\\]*)'\]|\["([^"\\]*)"\]/y

/** The steps of `$.a[*].b`, `$['a'][0]`, `$..a`; or what is wrong with the path. */
export const parseJsonPath = (text: string): JsonPath | string => {
  if (!text.startsWith("$")) return "expected a path that begins with $"
  const steps: Array<Step> = []
  stepPattern.lastIndex = 1
  while (stepPattern.lastIndex < text.length) {
    const from = stepPattern.lastIndex
    const match = stepPattern.exec(text)
    const isBare = /^[A-Za-z_*]/.test(match?.[0] ?? "")
    if (match === null || (isBare && steps.at(-1)?.kind !== "below")) {
      return `expected .name, ['name'], [0], [*] or ..name at character ${from + 1}`
    }
    const key = match[1] ?? match[3] ?? match[4]
    if (match[0] === "..") steps.push({ kind: "below" })
    else if (key !== undefined) steps.push({ kind: "key", key })
    else if (match[2] !== undefined) steps.push({ kind: "index", index: Number(match[2]) })
    else steps.push({ kind: "every" })
  }
  const last = steps.at(-1)
  return last === undefined || last.kind === "below" ? "expected a path to something within the document" : steps
}

/** What is left of a path below some value; null where it has led to the value itself. */
type Goal = { readonly step: Step; readonly next: Goal } | null

/** A text that was replaced: from `start` up to `end`. */
interface Place {
  readonly start: number
  readonly end: number
}

const nowhere: ReadonlyArray<Goal> = []

/**
 * The JSON with `by`, JSON itself, in the place of whatever the paths lead to, and how many places those were. Every other
 * character stays: a number may be longer than one that is parsed, and of a key given twice a parser keeps one. Null for a text
 * that `parseJson` would not read.
 */
export const replacedAt = (
  json: string,
  paths: ReadonlyArray<JsonPath>,
  by: string
): { readonly text: string; readonly count: number } | null => {
  if (parseJson(json) === undefined) return null
  const places = new Walk(json, by).placesOf(paths.map((path) => path.reduceRight<Goal>(before, null)))
  if (places.length === 0) return { text: json, count: 0 }
  const parts: Array<string> = []
  let kept = 0
  for (const { end, start } of places) {
    parts.push(json.slice(kept, start), by)
    kept = end
  }
  return { text: parts.join("") + json.slice(kept), count: places.length }
}

const before = (next: Goal, step: Step): Goal => ({ step, next })

/** Goes once through JSON that is known to be readable, and to nest no deeper than the stack bears. */
class Walk {
  private at = 0
  private readonly places: Array<Place> = []

  constructor(private readonly json: string, private readonly by: string) {}

  placesOf(goals: ReadonlyArray<Goal>): ReadonlyArray<Place> {
    this.value(goals)
    return this.places
  }

  private value(wanted: ReadonlyArray<Goal>) {
    this.space()
    const goals = withDescents(wanted)
    const first = this.json.charCodeAt(this.at)
    if (goals.includes(null)) this.replace()
    else if (goals.length > 0 && first === objectOpens) this.object(goals)
    else if (goals.length > 0 && first === listOpens) this.list(goals)
    else this.pass()
    this.space()
  }

  private replace() {
    const start = this.at
    this.pass()
    if (this.json.slice(start, this.at) !== this.by) this.places.push({ start, end: this.at })
  }

  private object(goals: ReadonlyArray<Goal>) {
    do {
      this.at++
      this.space()
      if (this.json.charCodeAt(this.at) === objectCloses) break
      const key = this.key()
      this.space()
      this.at++
      this.value(below(goals, key))
    } while (this.json.charCodeAt(this.at) === comma)
    this.at++
  }

  private key(): string {
    const start = this.at
    this.at = endOfText(this.json, start)
    const token = this.json.slice(start, this.at)
    return token.includes("\\") ? JSON.parse(token) as string : token.slice(1, -1)
  }

  private list(goals: ReadonlyArray<Goal>) {
    let index = 0
    do {
      this.at++
      this.space()
      if (this.json.charCodeAt(this.at) === listCloses) break
      this.value(below(goals, index++))
    } while (this.json.charCodeAt(this.at) === comma)
    this.at++
  }

  /** Over a whole value. */
  private pass() {
    let depth = 0
    do {
      const code = this.json.charCodeAt(this.at)
      if (code === quote) this.at = endOfText(this.json, this.at)
      else if (depth === 0 && code !== objectOpens && code !== listOpens) this.word()
      else {
        if (code === objectOpens || code === listOpens) depth++
        else if (code === objectCloses || code === listCloses) depth--
        this.at++
      }
    } while (depth > 0)
  }

  /** A number, `true`, `false` or `null`. */
  private word() {
    while (this.at < this.json.length && /[\w+.-]/.test(this.json[this.at]!)) this.at++
  }

  private space() {
    while (isSpace(this.json.charCodeAt(this.at))) this.at++
  }
}

/** `..` leads to what is below a value as well as to the value. */
const withDescents = (goals: ReadonlyArray<Goal>): ReadonlyArray<Goal> => {
  if (!goals.some((goal) => goal?.step.kind === "below")) return goals
  const all = [...goals]
  for (const goal of all) if (goal?.step.kind === "below" && !all.includes(goal.next)) all.push(goal.next)
  return all
}

const below = (goals: ReadonlyArray<Goal>, place: string | number): ReadonlyArray<Goal> => {
  let found: Array<Goal> | null = null
  for (const goal of goals) {
    if (goal === null || !leadsTo(goal.step, place)) continue
    const left = goal.step.kind === "below" ? goal : goal.next
    found ??= []
    if (!found.includes(left)) found.push(left)
  }
  return found ?? nowhere
}

const leadsTo = (step: Step, place: string | number): boolean => {
  switch (step.kind) {
    case "below":
    case "every":
      return true
    case "key":
      return place === step.key
    case "index":
      return place === step.index
  }
}
