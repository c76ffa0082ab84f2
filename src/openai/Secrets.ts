/**
 * What keys and tokens look like: the patterns that are redacted unless told otherwise. Loads nothing.
 *
 * They are matched in text that may be JSON, a query or plain. A match never begins or ends inside an escape of JSON, so that
 * JSON without its secrets is still JSON; and each pattern is linear: no repetition in it can be matched in two ways.
 */

/**
 * What may stand before a secret: no letter or digit, unless it belongs to an escape. `letter` is the secret's first: where a
 * backslash before it would be an escape of JSON, such a backslash means that no secret begins here.
 */
const after = (literal: string): string => {
  const backslash = /^[bfnrtu]/.test(literal) ? "[^A-Za-z0-9\\\\]|(?<!\\\\)(?:\\\\\\\\)+" : "[^A-Za-z0-9]"
  return `${literal}(?<=(?:^|${backslash}|\\\\[bfnrt]|\\\\u[0-9a-fA-F]{4}|%[0-9a-fA-F]{2})${literal})`
}

const token = "[A-Za-z0-9_-]"

const secrets: ReadonlyArray<readonly [literal: string, pattern: string]> = [
  // OpenAI, Anthropic, OpenRouter, DeepSeek and many more.
  ["sk-", `${after("sk-")}${token}{12,}`],
  ["tau_", `${after("tau_")}[0-9a-z]{4,32}_${token}{16,}`],
  ["tau-run-", `${after("tau-run-")}[0-9a-f]{16,}`],
  ["AKIA", `${after("AKIA")}[A-Z0-9]{12,}`],
  ["ASIA", `${after("ASIA")}[A-Z0-9]{12,}`],
  ...["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "hf_", "gsk_", "xai-"].map((literal) =>
    [literal, `${after(literal)}${token}{16,}`] as const
  ),
  // What a browser is given for a Realtime session of OpenAI's.
  ["ek_", `${after("ek_")}[A-Za-z0-9]{16,}`],
  ["xox", `${after("xox")}[abeoprs]-${token}{10,}`],
  ["AIza", `${after("AIza")}${token}{20,}`],
  ...["Bearer ", "bearer "].map((literal) => [literal, `${after(literal)}[A-Za-z0-9._~+/=-]{16,}`] as const),
  [
    "-----BEGIN ",
    "-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:[A-Za-z0-9+/=\\s:,.-]|\\\\[nrt])*"
  ]
]

/**
 * One pass that tells whether any of the literals may be there: what nearly every body costs. Each alternative begins with a
 * character that is rare in prose and JSON, and looks back from there.
 */
const hint =
  /[-_](?<=sk-|tau[_-]|gh[pousr]_|_pat_|lpat-|hf_|gsk_|ek_|xai-|-----(?=BEGIN ))|[IJK](?<=AI(?=za)|eyJ|AK(?=IA))|AS(?=IA)|xox[abeoprs]|[Bb]earer /
const hints = new RegExp(hint, "g")
/** A literal begins and ends no further from where its hint matches. */
const reach = 16

/** Takes the secrets of one kind out; `found` is called for each. */
type Cleaner = (text: string, found: () => void) => string

const wordMin = 6
const word = new RegExp(`${token}*`, "y")

/** Where the word ends that begins at this place, of no letter perhaps. */
const endOfWord = (text: string, at: number): number => {
  word.lastIndex = at
  word.test(text)
  return word.lastIndex
}

/**
 * JSON web tokens: what begins with `{"` in base64, a word more, and the signature, with dots between them. Not by one pattern, which
 * would not be linear; and around each such beginning alone, for bytes in base64 have one by chance in every 260 kB.
 */
const withoutWebTokens: Cleaner = (text, found) => {
  const kept: Array<string> = []
  let rest = 0
  for (let at = text.indexOf("eyJ"); at !== -1;) {
    let end = endOfWord(text, at)
    const second = text[end] === "." ? endOfWord(text, end + 1) : end
    if (end - at >= 3 + wordMin && second - end > wordMin) {
      found()
      kept.push(text.slice(rest, at), redacted)
      const third = text[second] === "." ? endOfWord(text, second + 1) : second
      rest = end = third > second + 1 ? third : second
    }
    at = text.indexOf("eyJ", end)
  }
  return kept.length === 0 ? text : kept.join("") + text.slice(rest)
}

const cleaners: ReadonlyArray<readonly [literal: string, clean: Cleaner]> = [
  ...secrets.map(([literal, source]) => {
    const pattern = new RegExp(source, "g")
    const clean: Cleaner = (text, found) =>
      text.replace(pattern, () => {
        found()
        return redacted
      })
    return [literal, clean] as const
  }),
  ["eyJ", withoutWebTokens]
]

/** Stands where a secret was. */
export const redacted = "[REDACTED]"

export interface Cleaned {
  readonly text: string
  /** How many secrets were taken out. */
  readonly count: number
}

/** False for a text that certainly holds nothing that looks like a secret: most do, and cost one search. */
export const mayHoldSecrets = (text: string): boolean => hint.test(text)

/** The literals that are in the text, by what is around the hints in it; null where those are so many that each is searched for. */
const literalsIn = (text: string): ReadonlySet<string> | null => {
  const literals = new Set<string>()
  const hintsMax = 8 + text.length / 4096
  hints.lastIndex = 0
  for (let n = 0; n < hintsMax; n++) {
    const at = hints.exec(text)?.index
    if (at === undefined) return literals
    const around = text.slice(Math.max(0, at - reach), at + reach)
    for (const [literal] of cleaners) if (around.includes(literal)) literals.add(literal)
  }
  return null
}

/** The text without what looks like a secret. */
export const withoutSecrets = (text: string): Cleaned => {
  const literals = literalsIn(text)
  let clean = text
  let count = 0
  const found = () => {
    count += 1
  }
  for (const [literal, cleaner] of cleaners) {
    if (literals?.has(literal) ?? clean.includes(literal)) clean = cleaner(clean, found)
  }
  return { text: clean, count }
}
