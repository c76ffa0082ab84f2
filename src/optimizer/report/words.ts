/** How the reports of a search write figures and lines. */
import { columnsMax, cut, cutInside, pad, visible, widthOf } from "../../domain/TerminalText.js"
import type { Bounds } from "./SearchReport.js"

export const score = (value: number | null): string => value === null ? "-" : value.toFixed(3)

export const bounds = (interval: Bounds | null): string =>
  interval === null ? "" : `[${score(interval.low)}, ${score(interval.high)}]`

/** `0.812 [0.701, 0.890]`. */
export const scoreWithBounds = (value: (Bounds & { readonly mean: number }) | null): string =>
  value === null ? "-" : `${score(value.mean)} ${bounds(value)}`

/** Anybody's text on one line, harmless for a terminal. */
export const oneLine = (text: string): string => visible(text.replaceAll(/\s+/g, " ").trim())

/** A line that fits. */
export const fitting = (line: string, columns = columnsMax): string => cut(line.trimEnd(), columns)

export interface Column<Row> {
  readonly title: string
  readonly align?: "right"
  readonly cell: (row: Row) => string
}

/** Aligned columns under their titles. Cells are harmless already; the last column gives way when a line is too long. */
export const table = <Row>(rows: ReadonlyArray<Row>, columns: ReadonlyArray<Column<Row>>): ReadonlyArray<string> => {
  const lines = [columns.map(({ title }) => title), ...rows.map((row) => columns.map(({ cell }) => cell(row)))]
  const widths = columns.map((_, place) => Math.max(...lines.map((line) => widthOf(line[place]!))))
  const last = columns.length - 1
  const room = Math.max(1, columnsMax - widths.slice(0, last).reduce((sum, width) => sum + width + 2, 0))
  widths[last] = Math.min(widths[last]!, room)
  return lines.map((line) =>
    fitting(
      line.map((cell, place) =>
        pad(place === last ? cutInside(cell, room) : cell, widths[place]!, columns[place]!.align ?? "left")
      ).join("  ")
    )
  )
}
