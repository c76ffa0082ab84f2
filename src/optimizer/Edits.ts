/** Edits of a text, a line or two each. */
import { beginning } from "./Records.js"

export type Edit =
  /** A new line after an existing one; at the end where that is empty or not there. */
  | { readonly op: "add"; readonly after: string; readonly text: string }
  | { readonly op: "replace"; readonly find: string; readonly text: string }
  | { readonly op: "delete"; readonly find: string }

export interface Edited {
  readonly text: string
  /** Those that had an effect. */
  readonly edits: ReadonlyArray<Edit>
}

/**
 * One after the other. An edit whose `find` does not occur exactly once is left out. Of a text with the line ends of Windows,
 * which models do not write, they stay.
 */
export const applyEdits = (text: string, edits: ReadonlyArray<Edit>): Edited => {
  if (!text.includes("\r\n") || /(?<!\r)\n/.test(text)) return appliedTo(text, edits)
  const edited = appliedTo(unix(text), edits.map(unixEdit))
  return { ...edited, text: edited.text.replaceAll("\n", "\r\n") }
}

/** An edit may end in half of such a line end. */
const unix = (text: string): string => text.replace(/\r(?=\n|$)/g, "")

const unixEdit = (edit: Edit): Edit => {
  switch (edit.op) {
    case "add":
      return { ...edit, text: unix(edit.text) }
    case "replace":
      return { ...edit, find: unix(edit.find), text: unix(edit.text) }
    case "delete":
      return { ...edit, find: unix(edit.find) }
  }
}

const appliedTo = (text: string, edits: ReadonlyArray<Edit>): Edited => {
  const applied: Array<Edit> = []
  let current = text
  for (const edit of edits) {
    const next = applyEdit(current, edit)
    if (next === null || next === current) continue
    applied.push(edit)
    current = next
  }
  return { text: current, edits: applied }
}

const applyEdit = (text: string, edit: Edit): string | null => {
  switch (edit.op) {
    case "add":
      return added(text, edit.after.trim(), edit.text)
    case "replace": {
      const at = onlyIndexOf(text, edit.find)
      return at < 0 ? null : text.slice(0, at) + edit.text + text.slice(at + edit.find.length)
    }
    case "delete":
      return deleted(text, edit.find)
  }
}

const added = (text: string, after: string, line: string): string => {
  if (text === "") return line
  const lines = text.split("\n")
  const at = after === "" ? -1 : onlyLine(lines, after)
  if (at < 0) return `${text}${text.endsWith("\n") ? "" : "\n"}${line}`
  return [...lines.slice(0, at + 1), line, ...lines.slice(at + 1)].join("\n")
}

/** Whole lines only: a delete within a line would leave half a sentence. */
const deleted = (text: string, find: string): string | null => {
  const lines = text.split("\n")
  const at = onlyLine(lines, find.trim())
  if (at >= 0) return [...lines.slice(0, at), ...lines.slice(at + 1)].join("\n")
  const within = `\n${text}\n`
  const from = onlyIndexOf(within, `\n${find}\n`)
  return from < 0 ? null : (within.slice(0, from) + within.slice(from + find.length + 1)).slice(1, -1)
}

const onlyLine = (lines: ReadonlyArray<string>, line: string): number => {
  const at = lines.findIndex((other) => other.trim() === line)
  return at >= 0 && lines.findLastIndex((other) => other.trim() === line) === at ? at : -1
}

const onlyIndexOf = (text: string, find: string): number => {
  const at = find.trim() === "" ? -1 : text.indexOf(find)
  return at >= 0 && text.lastIndexOf(find) === at ? at : -1
}

/** One line, for people and for the next reflection. */
export const describeEdit = (edit: Edit): string => {
  switch (edit.op) {
    case "add":
      return edit.after.trim() === ""
        ? `add at the end: ${line(edit.text)}`
        : `add after "${line(edit.after)}": ${line(edit.text)}`
    case "replace":
      return `replace "${line(edit.find)}" with "${line(edit.text)}"`
    case "delete":
      return `delete "${line(edit.find)}"`
  }
}

const lineMax = 300

const line = (text: string): string => {
  const flat = text.replace(/\s+/g, " ").trim()
  return flat.length > lineMax ? `${beginning(flat, lineMax - 1)}…` : flat
}
