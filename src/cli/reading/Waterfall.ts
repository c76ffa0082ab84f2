/** The calls of an attempt along its time. */
import { elapsed } from "../../domain/Figures.js"
import type { Span } from "../../domain/Span.js"
import { visible, wrapped } from "../../domain/TerminalText.js"
import { marksOf, outcomeColour, outcomeOf, tokensOf } from "./spanText.js"
import { type Column, table } from "./Table.js"
import { columns, paint } from "./Terminal.js"
import { took } from "./text.js"

export interface Times {
  readonly startMs: number
  /** The latest time that is known: of an attempt that goes on, now. */
  readonly endMs: number
}

/** The times of calls that belong to no attempt of a run. */
export const timesOf = (spans: ReadonlyArray<Span>, nowMs: number): Times => ({
  startMs: Math.min(...spans.map(({ startTimeUs }) => startTimeUs / 1_000)),
  endMs: Math.max(...spans.map(({ endTimeUs }) => endTimeUs === null ? nowMs : endTimeUs / 1_000))
})

const barLeast = 12
/** Where a line below a call begins: behind the span's id. */
const markAt = 18

/** A line per call, with a bar of when it was under way, and below it whatever is out of the ordinary. */
export const waterfall = (spans: ReadonlyArray<Span>, times: Times): ReadonlyArray<string> => {
  const facts: ReadonlyArray<Column<Span>> = [
    { title: "span", cell: ({ spanId }) => visible(spanId) },
    { title: "call", least: 14, cell: ({ name }) => visible(name) },
    { title: "outcome", cell: outcomeOf, colour: outcomeColour },
    { title: "tokens", align: "right", cell: tokensOf },
    {
      title: "took",
      align: "right",
      cell: ({ endTimeUs, startTimeUs }) => took(startTimeUs / 1_000, endTimeUs === null ? null : endTimeUs / 1_000)
    }
  ]
  const left = table(spans, facts, columns - 4 - barLeast)
  const width = Math.max(barLeast, Math.min(40, columns - 4 - plainWidth(left[0]!)))
  const length = elapsed(times.endMs - times.startMs)
  const scale = `0${length.padStart(width - 1)}`
  return [
    `${left[0]}  ${paint("dim", scale)}`,
    ...spans.flatMap((span, index) => [
      `${left[index + 1]}  ${bar(span, times, width)}`,
      ...marksOf(span).flatMap((mark) => wrapped(mark, columns - 2 - markAt)).map((line) =>
        paint("warn", `${" ".repeat(markAt)}${line}`)
      )
    ])
  ].map((line) => `  ${line}`)
}

// oxlint-disable-next-line no-control-regex -- the colours that `table` put in
const plainWidth = (line: string): number => line.replaceAll(/\u001B\[\d+m/g, "").length

const bar = ({ endTimeUs, startTimeUs }: Span, { endMs, startMs }: Times, width: number): string => {
  const scale = width / Math.max(1, endMs - startMs)
  const place = (ms: number) => Math.min(Math.max((ms - startMs) * scale, 0), width)
  const from = Math.min(Math.floor(place(startTimeUs / 1_000)), width - 1)
  const to = Math.max(from + 1, Math.ceil(place(endTimeUs === null ? endMs : endTimeUs / 1_000)))
  return "·".repeat(from) + (endTimeUs === null ? "▒" : "█").repeat(to - from) + "·".repeat(width - to)
}
