/**
 * Finds, in what passed between an agent and its model, signs that something is not safe. `docs/evidence.md` lists the
 * patterns. They are plain and say so: they find what is written out, not what is meant.
 */
import { writtenTexts } from "./WrittenTexts.js"

export interface Exchange {
  /** The body of the request, as text. */
  readonly request: string
  /** The answer, put together where it was streamed. */
  readonly response: string
}

export interface Detector {
  readonly reasonCode: string
  /** Where it looks: in what the agent sent to the model, in what came back or was answered in the end, or in both. */
  readonly looksIn: "request" | "response" | "both"
  readonly pattern: RegExp
}

/** What is looked for, besides a copy of the system prompt. */
export const detectors: ReadonlyArray<Detector> = [
  {
    reasonCode: "prompt_injection.ignore_instructions",
    looksIn: "request",
    pattern:
      /\b(?:ignore|disregard|forget) (?:all |any |the |your |of |these |those ){0,3}(?:previous|prior|above|earlier|preceding) (?:instructions|prompts|rules|directions)\b/i
  },
  {
    reasonCode: "prompt_injection.system_prompt_request",
    looksIn: "request",
    pattern:
      /\b(?:reveal|print|show|repeat|output|leak|tell me) (?:me )?(?:all |the |your |of ){0,3}(?:system|hidden|initial) (?:prompt|message|instructions)\b/i
  },
  {
    reasonCode: "prompt_injection.role_override",
    looksIn: "request",
    pattern: /\b(?:you are now|act as|pretend to be) (?:in )?(?:DAN|jailbroken|developer mode|an? unrestricted)\b/i
  },
  { reasonCode: "secret_leak.openai_key", looksIn: "both", pattern: /\bsk-(?:proj-|ant-|or-)?[A-Za-z0-9_-]{20,}/ },
  { reasonCode: "secret_leak.aws_access_key", looksIn: "both", pattern: /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/ },
  {
    reasonCode: "secret_leak.github_token",
    looksIn: "both",
    pattern: /\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,})/
  },
  { reasonCode: "secret_leak.slack_token", looksIn: "both", pattern: /\bxox[abprs]-[A-Za-z0-9-]{10,}/ },
  { reasonCode: "secret_leak.google_key", looksIn: "both", pattern: /\bAIza[A-Za-z0-9_-]{35}/ },
  { reasonCode: "secret_leak.private_key", looksIn: "both", pattern: /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/ }
]

/** The reason code of a system prompt that comes back as a copy. */
export const exfiltration = "prompt_injection.system_prompt_exfiltration"

/** So many characters of the system prompt in one piece are a copy, no coincidence of words. */
export const copiedCharsMin = 80

/** Every reason code that the exchanges and the final answer give cause for. */
export const reasonCodesOf = (
  exchanges: ReadonlyArray<Exchange>,
  output: string,
  systemPrompts: ReadonlyArray<string>
): ReadonlySet<string> => {
  const sent = exchanges.flatMap(({ request }) => readable(request))
  const came = [...exchanges.map(({ response }) => response), output].flatMap(readable)
  const texts = { request: sent, response: came, both: [...sent, ...came] }
  const found = new Set(
    detectors.filter(({ looksIn, pattern }) => texts[looksIn].some((text) => pattern.test(text)))
      .map(({ reasonCode }) => reasonCode)
  )
  if (systemPrompts.some((prompt) => came.some((text) => copies(text, prompt)))) found.add(exfiltration)
  return found
}

/** The body as it is, and each text in it. A line may break anywhere in what is said. */
const readable = (body: string) => [body, ...writtenTexts(body)].map(squeezed)

const squeezed = (text: string) => text.replace(/\s+/g, " ").trim()

/** Whether the text holds a long piece of the prompt. Pieces are looked up at steps of half their length. */
const copies = (within: string, prompt: string): boolean => {
  const whole = squeezed(prompt)
  const half = copiedCharsMin / 2
  // Any copy of the full length holds one of the pieces that begin at a multiple of the half.
  for (let at = 0; at + half <= whole.length; at += half) {
    const piece = whole.slice(at, at + half)
    for (let found = within.indexOf(piece); found >= 0; found = within.indexOf(piece, found + 1)) {
      if (commonLength(within, found, whole, at) >= copiedCharsMin) return true
    }
  }
  return false
}

/** How long the two texts are equal around two places. */
const commonLength = (one: string, atOne: number, other: string, atOther: number): number => {
  let before = 0
  while (
    before < copiedCharsMin && atOne > before && atOther > before
    && one[atOne - before - 1] === other[atOther - before - 1]
  ) before += 1
  let after = 0
  while (
    after < copiedCharsMin && atOne + after < one.length && atOther + after < other.length
    && one[atOne + after] === other[atOther + after]
  ) after += 1
  return before + after
}
