/** What a simulated reflector reads of the prompt it is given, whoever worded it. */

export interface ReflectionPrompt {
  /** The text that is to be improved; empty where none was found. */
  readonly current: string
  /** All else: runs, feedback, critiques. */
  readonly rest: string
  /** Edits that were tried and did not help. */
  readonly rejected: string
  /** Edits as JSON, a new text as a whole, or an opinion in words. */
  readonly wanted: "edits" | "rewrite" | "critique"
}

/** Longest prompt that is read. */
const charactersMax = 200_000

export const readReflectionPrompt = (prompt: string): ReflectionPrompt => {
  const whole = prompt.slice(0, charactersMax)
  const [current, rest] = inTags(whole, /<current\b[^<>]{0,200}>/) ??
    inTags(whole, /<(?:current_)?(?:instructions?|prompt|text|component|original)\b[^<>]{0,200}>/i) ??
    inFence(whole) ?? underHeading(whole) ?? ["", whole]
  const [rejected, others] = inTags(rest, /<rejected\b[^<>]{0,200}>/) ?? ["", rest]
  return { current, rest: others, rejected, wanted: wantedBy(others) }
}

/** What stands in a frame, and all else. */
type Framed = readonly [inside: string, outside: string] | null

const cutOut = (text: string, from: number, start: number, end: number, to: number): Framed => [
  text.slice(start, end).replace(/^\n/, "").replace(/\n$/, ""),
  `${text.slice(0, from)}\n${text.slice(to)}`
]

const inTags = (text: string, opening: RegExp): Framed => {
  const found = opening.exec(text)
  if (found === null) return null
  const closing = `</${/^<(\w+)/.exec(found[0])![1]!}>`
  const start = found.index + found[0].length
  const end = text.indexOf(closing, start)
  return end === -1 ? null : cutOut(text, found.index, start, end, end + closing.length)
}

/** A fence may be longer than three backticks; it ends with one of its own length. */
const inFence = (text: string): Framed => {
  const found = /^`{3,20}/m.exec(text)
  if (found === null) return null
  const start = text.indexOf("\n", found.index)
  const end = start === -1 ? -1 : text.indexOf(`\n${found[0]}`, start)
  return end === -1 ? null : cutOut(text, found.index, start, end, end + 1 + found[0].length)
}

/** A section that is called the current one, up to the next heading. */
const underHeading = (text: string): Framed => {
  const found = /^#{1,6} (?:the )?(?:current|present|original)/im.exec(text)
  if (found === null) return null
  const start = text.indexOf("\n", found.index)
  if (start === -1) return null
  const next = text.indexOf("\n#", start)
  const end = next === -1 ? text.length : next
  return cutOut(text, found.index, start, end, end)
}

const wantedBy = (text: string): ReflectionPrompt["wanted"] => {
  if (text.includes("\"edits\"")) return "edits"
  if (/\bdo not write\b/i.test(text)) return "critique"
  const asksForText =
    /fence|backticks|```|\b(?:whole|full|complete|new|improved|revised|rewritten)\b[^.\n]{0,40}\b(?:instructions?|prompt|text)\b/i
  return asksForText.test(text) ? "rewrite" : "critique"
}
