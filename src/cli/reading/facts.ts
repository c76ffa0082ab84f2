/** Facts under their names, and longer texts under a title. */
import { visibleLines, wrapped } from "../../domain/TerminalText.js"
import { columns, paint } from "./Terminal.js"

const indent = 12

/** `  name      value`, wrapped under itself; nothing for an empty value. */
export const fact = (name: string, value: string): ReadonlyArray<string> =>
  value === "" ?
    [] :
    wrapped(value, columns - indent).map((line, index) =>
      index === 0 ? `  ${paint("dim", name.padEnd(indent - 2))}${line}` : " ".repeat(indent) + line
    )

/** A text of several lines as it was written, wrapped to the window. */
export const block = (text: string, by = 2): ReadonlyArray<string> =>
  visibleLines(text).flatMap((line) => wrapped(line, columns - by)).map((line) => " ".repeat(by) + line)
