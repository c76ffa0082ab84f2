import * as Effect from "effect/Effect"
import { diff, type Edit } from "../../domain/Diff.js"
import { counted } from "../../domain/Figures.js"
import { type Resources, resourceText } from "../../domain/Resources.js"
import { visible, visibleLines, wrapped } from "../../domain/TerminalText.js"
import type { Place } from "../ReadingFlags.js"
import { block } from "./facts.js"
import { printJson, reading } from "./reading.js"
import { columns, paint, print } from "./Terminal.js"
import { versionNamed } from "./versionNamed.js"
import { scoresJson, scoresOf, scoreText } from "./versionScores.js"

export interface DiffMode extends Place {
  readonly from: number | "latest"
  readonly to: number | "latest"
  readonly words: boolean
}

interface Component {
  readonly name: string
  readonly change: "same" | "changed" | "added" | "removed"
  readonly edits: ReadonlyArray<Edit>
}

export const run = (mode: DiffMode) =>
  reading(
    mode.storePath,
    Effect.gen(function*() {
      const [before, after] = [
        yield* versionNamed(mode.from, mode.storePath),
        yield* versionNamed(mode.to, mode.storePath)
      ]
      const components = compare(before, after, mode.words)
      const [from, to] = [yield* scoresOf(before.version), yield* scoresOf(after.version)]
      if (mode.json) {
        return yield* printJson({
          store_path: mode.storePath,
          from: { version: before.version, scores: scoresJson(from) },
          to: { version: after.version, scores: scoresJson(to) },
          unit: mode.words ? "word" : "line",
          components
        })
      }
      const widest = Math.max(...[before, after].map(({ version }) => String(version).length))
      return yield* print([
        ...components.flatMap((component) => [...componentText(component, mode.words), ""]),
        ...(components.length === 0 ? ["Neither version has any resources.", ""] : []),
        paint("strong", "scores"),
        ...scoreText(before.version, from, widest),
        ...(after.version === before.version ? [] : scoreText(after.version, to, widest))
      ])
    })
  )

const compare = (from: Resources, to: Resources, words: boolean): ReadonlyArray<Component> => {
  const units = ({ resources }: Resources, name: string) =>
    Object.hasOwn(resources, name) ? split(resourceText(resources[name]), words) : null
  return [...new Set([...Object.keys(from.resources), ...Object.keys(to.resources)])].toSorted().map((name) => {
    const [before, after] = [units(from, name), units(to, name)]
    const edits = diff(before ?? [], after ?? [])
    const change = before === null
      ? "added"
      : after === null
      ? "removed"
      : edits.every(({ op }) => op === "same")
      ? "same"
      : "changed"
    return { name, change, edits }
  })
}

/** Lines, or words and what stands between them: put together again they are the text. */
const split = (text: string, words: boolean): ReadonlyArray<string> =>
  words ? text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [] : text.split("\n")

const componentText = ({ change, edits, name }: Component, words: boolean): ReadonlyArray<string> => {
  const title = `${paint("strong", visible(name))}  ${change}`
  if (change === "same") return [title]
  return [title, ...(words ? wordText(edits) : lineText(edits))]
}

const context = 3
const signs = { same: " ", removed: "-", added: "+" } as const
const colours = { same: null, removed: "bad", added: "new" } as const

const lineText = (edits: ReadonlyArray<Edit>): ReadonlyArray<string> => {
  const changed = edits.flatMap(({ op }, place) => op === "same" ? [] : [place])
  let nearest = 0
  let hidden = 0
  const lines: Array<string> = []
  const tellHidden = () => {
    if (hidden > 0) lines.push(paint("dim", `    (${counted(hidden, "line")} alike)`))
    hidden = 0
  }
  for (const [place, { op, text }] of edits.entries()) {
    while (nearest < changed.length - 1 && changed[nearest]! + context < place) nearest += 1
    if (Math.abs(place - changed[nearest]!) > context) {
      hidden += 1
      continue
    }
    tellHidden()
    for (const line of wrapped(visibleLines(text).join(""), columns - 4)) {
      lines.push(paint(colours[op], `  ${signs[op]} ${line}`))
    }
  }
  tellHidden()
  return lines
}

const wordText = (edits: ReadonlyArray<Edit>): ReadonlyArray<string> => {
  const runs: Array<{ op: Edit["op"]; text: string }> = []
  for (const { op, text } of edits) {
    const last = runs.at(-1)
    if (last?.op === op) last.text += text
    else runs.push({ op, text })
  }
  return block(
    runs.map(({ op, text }) => op === "same" ? text : op === "removed" ? `[-${text}-]` : `{+${text}+}`).join("")
  )
}
