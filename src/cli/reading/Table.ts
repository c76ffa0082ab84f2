import { cut, pad, widthOf } from "../../domain/TerminalText.js"
import { type Colour, columns as columnsOfTerminal, paint } from "./Terminal.js"

export interface Column<Row> {
  readonly title: string
  readonly align?: "right"
  /** Gives way when the line is too long, down to this width; every other column is as wide as its longest cell. */
  readonly least?: number
  readonly cell: (row: Row) => string
  readonly colour?: (row: Row) => Colour | null
}

/** Aligned columns under their titles. Cells are `visible` already. A column without any cell is left out. */
export const table = <Row>(
  rows: ReadonlyArray<Row>,
  columns: ReadonlyArray<Column<Row>>,
  width = columnsOfTerminal
): ReadonlyArray<string> => {
  const cells = rows.map((row) => columns.map(({ cell }) => cell(row)))
  const used = columns.map((_, place) => place).filter((place) => cells.some((line) => line[place] !== ""))
  const widths = new Map(
    used.map((place) =>
      [place, Math.max(widthOf(columns[place]!.title), ...cells.map((line) => widthOf(line[place]!)))] as const
    )
  )
  let excess = [...widths.values()].reduce((sum, one) => sum + one, 0) + 2 * (used.length - 1) - width
  for (const place of used) {
    const { least } = columns[place]!
    if (least === undefined || excess <= 0) continue
    const given = Math.min(excess, Math.max(0, widths.get(place)! - least))
    widths.set(place, widths.get(place)! - given)
    excess -= given
  }
  const line = (texts: ReadonlyArray<string>, colourOf: (place: number) => Colour | null) =>
    used.map((place) => {
      const column = columns[place]!
      const text = cut(texts[place]!, widths.get(place)!)
      return paint(colourOf(place), pad(text, widths.get(place)!, column.align ?? "left"))
    }).join("  ")
  return [
    line(columns.map(({ title }) => title), () => "dim"),
    ...rows.map((row, index) => line(cells[index]!, (place) => columns[place]!.colour?.(row) ?? null))
  ]
}
