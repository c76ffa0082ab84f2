/** Recorded calls by what was said in them: bodies are read one by one, and no more is held than what is shown. */
import * as Effect from "effect/Effect"
import { counted } from "../../domain/Figures.js"
import type { Span } from "../../domain/Span.js"
import { cut, visible } from "../../domain/TerminalText.js"
import { canRedraw } from "../../runtime/Announcer.js"
import type { Page } from "../../store/Page.js"
import type { Paging } from "../ReadingFlags.js"
import { bodiesOf } from "./SpanCommand.js"
import { columns, paint } from "./Terminal.js"
import { type Found, WordSearch } from "./WordSearch.js"

interface CallSaying {
  readonly span: Span
  readonly found: Found
}

/** Calls whose bodies are read between two pages. */
const pageSize = 100

/** Of the calls of `list`, until there are as many as are wanted; `bodiless` counts those of which nothing is recorded. */
export const callsSaying = <E, R>(
  words: string,
  { after, limit }: Paging,
  list: (request: Paging) => Effect.Effect<Page<Span>, E, R>
) =>
  Effect.gen(function*() {
    const search = new WordSearch(words)
    const items: Array<CallSaying> = []
    let lookedAt = 0
    let bodiless = 0
    let from = after
    const ended = (next: string | null) => ({ page: { items, next } satisfies Page<CallSaying>, lookedAt, bodiless })
    return yield* Effect.ensuring(
      Effect.gen(function*() {
        for (;;) {
          const { items: spans, next }: Page<Span> = yield* list({ after: from, limit: pageSize })
          for (const [n, span] of spans.entries()) {
            const bodies = yield* bodiesOf(span)
            lookedAt += 1
            if (bodies.request === null && bodies.answer === null) bodiless += 1
            const found = search.find(bodies)
            if (found !== null) items.push({ span, found })
            if (items.length === limit) return ended(n < spans.length - 1 || next !== null ? span.spanId : null)
          }
          if (next === null) return ended(null)
          from = next
          showProgress(`${counted(lookedAt, "call")} looked at, ${items.length} found`)
        }
      }),
      Effect.sync(() => showProgress(""))
    )
  })

/** For who waits at a terminal. */
const showProgress = (text: string): void => {
  if (canRedraw(process.stderr, process.env)) process.stderr.write(`\r\u001B[K${text}`)
}

export const foundJson = ({ after, before, in: place, match }: Found) => ({ in: place, before, match, after })

/** On one line below its call. */
export const foundText = ({ after, before, in: place, isInside, match }: Found): string => {
  const head = `  ${place}: `
  const lead = (isInside ? "…" : "") + flat(before)
  const words = flat(match)
  const whole = cut(`${lead}${words}${flat(after)}`.trimEnd(), columns - head.length)
  const isShown = whole.startsWith(lead + words)
  return isShown
    ? `${paint("dim", head + lead)}${paint("strong", words)}${paint("dim", whole.slice(lead.length + words.length))}`
    : `${paint("dim", head)}${whole}`
}

const flat = (text: string): string => visible(text.replaceAll(/\s+/g, " "))
