/** Patterns that somebody wrote, searched for with a limit on time: some texts take some patterns for ever. Loads no Effect. */
import { createContext, Script } from "node:vm"
import { type Cleaned, redacted } from "./Secrets.js"

export interface Pattern {
  readonly source: string
  /** Of JavaScript's flags `i`, `m`, `s` and `u`. */
  readonly flags: string
}

/** The search was given up: what the text holds is not known. */
export class SearchTimedOut extends Error {}

/** Longest search of all patterns through one text. */
export const searchMsMax = 100

// The engine checks for termination whenever it backtracks, so the limit holds for patterns such as `^(a+)+$`.
const script = new Script(`{
  count = 0
  for (const pattern of patterns) text = text.replace(pattern, (match) => match === "" ? match : (count += 1, mark))
}`)

/** Replaces what any of the patterns matches. The constructor throws where one is no regular expression. */
export class BoundedPatterns {
  private readonly context: { patterns: ReadonlyArray<RegExp>; text: string; count: number; mark: string }

  constructor(patterns: ReadonlyArray<Pattern>) {
    this.context = {
      patterns: patterns.map(({ flags, source }) => new RegExp(source, `g${flags}`)),
      text: "",
      count: 0,
      mark: redacted
    }
    createContext(this.context)
  }

  /** The text without what the patterns match. Throws `SearchTimedOut`. */
  clean(text: string, limitMs = searchMsMax): Cleaned {
    if (this.context.patterns.length === 0) return { text, count: 0 }
    this.context.text = text
    try {
      script.runInContext(this.context, { timeout: limitMs })
      return { text: this.context.text, count: this.context.count }
    } catch (error) {
      throw new SearchTimedOut("the search for patterns took too long", { cause: error })
    } finally {
      this.context.text = ""
    }
  }
}

/** Texts on which patterns that backtrack without bound show it. */
const probes = ["a", "0", " ", "-", "ab", "a ", "a0", "\"", "x=", "aA", ".", "@a.", "\n"].map((part) => ({
  part,
  text: `${part.repeat(20_000)}!\u0000`
}))

/** Whether these are flags that a pattern may have. */
export const areFlags = (text: string): boolean => /^(?!.*(.).*\1)[imsu]*$/.test(text)

/** What is wrong with a pattern, or null. A pattern may pass here and still be given up on some text later. */
export const patternProblem = (pattern: Pattern): string | null => {
  if (!areFlags(pattern.flags)) return "expected flags among i, m, s and u, each once, found others"
  let compiled: RegExp
  try {
    compiled = new RegExp(pattern.source, pattern.flags)
  } catch (error) {
    return error instanceof Error ? error.message : "expected a regular expression"
  }
  if (compiled.test("")) return "expected a pattern that does not match the empty text, found one that does"
  const bounded = new BoundedPatterns([pattern])
  const slow = probes.find(({ text }) => !isDecided(bounded, text))
  return slow === undefined
    ? null
    : `expected a pattern that is decided within ${searchMsMax} ms on any text, found one that backtracks too much where ` +
      `${JSON.stringify(slow.part)} is repeated; \\b before what repeats, or a bound as in \\w{1,64}, often helps`
}

const triesMax = 3
const probeMsMax = 4_000

/** A machine that is busy elsewhere is no fault of the pattern: a try in which it hardly had the processor is made again, with more time. */
const isDecided = (bounded: BoundedPatterns, probe: string): boolean => {
  let limitMs = searchMsMax
  for (let tries = 0; tries < triesMax && limitMs < probeMsMax;) {
    const before = process.cpuUsage()
    try {
      bounded.clean(probe, limitMs)
      return true
    } catch {
      const { system, user } = process.cpuUsage(before)
      if (user + system > searchMsMax * 1_000 / 2) tries += 1
      else limitMs *= 2
    }
  }
  return false
}
