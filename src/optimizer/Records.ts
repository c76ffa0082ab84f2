/** Rollouts as a reflector reads them. What agents and examples say is shown as it is, but cut, and it closes no tag of the prompt. */
import type { Outcome } from "./Search.js"

/** The most characters of each part of a record. */
const inputMax = 2_000
const outputMax = 2_000
const traceMax = 6_000
const feedbackMax = 2_000

export interface RecordsOptions {
  /** What a record is called in its heading. */
  readonly title: "Example" | "Run"
  /** Whether the score stands beside the feedback. */
  readonly withScore: boolean
}

/** Each as `# Example n`, its parts as `## Inputs` and so on. */
export const renderRecords = (outcomes: ReadonlyArray<Outcome>, { title, withScore }: RecordsOptions): string =>
  outcomes.map(({ example, failed, feedback, output, score, trace }, index) => {
    const parts: Array<readonly [heading: string, text: string]> = [["Inputs", cut(example.input, inputMax)]]
    if (trace !== null && trace !== "") parts.push(["Messages and tool calls", cut(trace, traceMax)])
    parts.push(["Generated Outputs", output === null ? "(none)" : cut(output, outputMax)])
    if (withScore) parts.push(["Score", `${rounded(score)} of 1`])
    parts.push(["Feedback", cut(feedback === "" ? unsaid(score, failed) : feedback, feedbackMax)])
    return [`# ${title} ${index + 1}`, ...parts.map(([heading, text]) => `## ${heading}\n${inert(text)}`)].join("\n")
  }).join("\n\n")

const unsaid = (score: number, failed: boolean): string =>
  failed ? "The agent failed." : score >= 1 ? "Correct." : `Scored ${rounded(score)} of 1.`

export const rounded = (value: number): number => Math.round(value * 1_000) / 1_000

/** Two thirds from the beginning, one from the end. */
export const cut = (text: string, max: number): string => {
  if (text.length <= max) return text
  const tail = Math.floor(max / 3)
  const from = text.length - tail
  const head = whole(text, max - tail)
  return `${text.slice(0, head)}\n[${from - head} characters left out]\n${text.slice(whole(text, from))}`
}

/** At most so much of a text, and no half of a character: servers refuse a request that has one. */
export const beginning = (text: string, max: number): string => text.slice(0, whole(text, max))

/** A place that does not part the two halves of a character. */
const whole = (text: string, at: number): number => {
  const code = text.charCodeAt(at)
  return code >= 0xdc00 && code <= 0xdfff ? at - 1 : at
}

/** Text that cannot be taken for the prompt's own tags. */
export const inert = (text: string): string =>
  text.replace(/<(\/?(?:current|examples|runs|rejected|critique|proposals)\b)/gi, "‹$1")
