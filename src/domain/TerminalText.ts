/** Text for a terminal: what others wrote is made harmless, cut and padded by the columns it takes. */

/** What a text for people keeps to where no terminal says how wide it is. */
export const columnsMax = 80

/**
 * Control characters, direction overrides and other invisible ones. The joiners of emoji and of Indic and Persian words
 * stay: they change no order and hide nothing.
 */
const invisible = /(?![\u200C\u200D])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

const escaped = (character: string) => `\\u{${character.codePointAt(0)!.toString(16)}}`

/** On one line: nothing in it can move the cursor, change a colour or turn the direction of what follows. */
export const visible = (text: string): string => text.replaceAll(invisible, escaped)

/** The same for a text of several lines: line breaks and tabs stay. */
export const visibleLines = (text: string): ReadonlyArray<string> =>
  text.replaceAll("\r\n", "\n").split("\n").map((line) => line.split("\t").map(visible).join("  "))

/** JSON that is as harmless as `visible` text, and still the same JSON. */
export const safeJson = (value: unknown, indent?: number): string =>
  (JSON.stringify(value, null, indent) ?? "null").replaceAll(invisible, (character) =>
    character === "\n"
      ? character
      : Array.from(
        { length: character.length },
        (_, n) => `\\u${character.charCodeAt(n).toString(16).padStart(4, "0")}`
      )
        .join(""))

/** Characters that take two columns, and those that take none. */
const wide =
  /[\p{Emoji_Presentation}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\uFF01-\uFF60]/u
const narrow = /[\p{Mn}\p{Me}\u200C\u200D]/u

// oxlint-disable-next-line no-control-regex -- plain ASCII needs no look at each character
const ascii = /^[\u0000-\u007F]*$/

const columnsOf = (character: string): number =>
  character <= "\u007F" ? 1 : wide.test(character) ? 2 : narrow.test(character) ? 0 : 1

/** Columns that a text of one line takes. */
export const widthOf = (text: string): number => {
  if (ascii.test(text)) return text.length
  let width = 0
  for (const character of text) width += columnsOf(character)
  return width
}

/** At most so many columns, with an ellipsis where something is missing. */
export const cut = (text: string, columns: number): string => {
  if (widthOf(text) <= columns) return text
  return `${text.slice(0, endOf(text, 0, columns - 1, 0))}…`
}

/** The same with the ellipsis in the middle: names that begin alike may end otherwise. */
export const cutInside = (text: string, columns: number): string => {
  if (widthOf(text) <= columns) return text
  const before = text.slice(0, endOf(text, 0, Math.floor((columns - 1) / 2), 0))
  const backwards = [...text].toReversed().join("")
  const after = backwards.slice(0, endOf(backwards, 0, columns - 1 - widthOf(before), 0))
  return `${before}…${[...after].toReversed().join("")}`
}

/** Filled with blanks to so many columns; a wider text stays as it is. */
export const pad = (text: string, columns: number, align: "left" | "right"): string => {
  const space = " ".repeat(Math.max(0, columns - widthOf(text)))
  return align === "left" ? text + space : space + text
}

/** Lines of at most so many columns, broken at spaces where there are any. Each character is looked at once: a line may have megabytes. */
export const wrapped = (line: string, columns: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let from = 0
  for (;;) {
    const end = endOf(line, from, columns, 1)
    if (end === line.length) return [...lines, line.slice(from)]
    const space = from + line.slice(from, end + 1).lastIndexOf(" ")
    const at = space > from && space - from >= (end - from) / 2 ? space : end
    lines.push(line.slice(from, at))
    from = line[at] === " " ? at + 1 : at
  }
}

/** The place behind the last character that fits into so many columns; the first `least` always do. */
const endOf = (line: string, from: number, columns: number, least: 0 | 1): number => {
  let end = from
  let width = 0
  while (end < line.length) {
    const character = String.fromCodePoint(line.codePointAt(end)!)
    width += columnsOf(character)
    if (width > columns && end >= from + least) break
    end += character.length
  }
  return end
}
