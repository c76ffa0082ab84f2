import * as Effect from "effect/Effect"
import { safeJson, visible } from "../../domain/TerminalText.js"
import { anySpan } from "../../store/SpanStore.js"
import { fact } from "../reading/facts.js"
import { printJson, reading } from "../reading/reading.js"
import { type Column, table } from "../reading/Table.js"
import { paint, print } from "../reading/Terminal.js"
import { inline } from "../reading/text.js"
import type { Paging, Place } from "../ReadingFlags.js"
import { type Component, discover } from "./Discovery.js"

export const run = (mode: Place & Paging) =>
  reading(
    mode.storePath,
    Effect.gen(function*() {
      const { calls, compressed, resources, rewrite, texts } = yield* discover(anySpan, mode.limit)
      const config = { resources, rewrite }
      if (mode.json) {
        return yield* printJson({ store_path: mode.storePath, calls, compressed, texts: texts.map(textJson), config })
      }
      if (texts.length === 0) {
        return yield* print([
          `No system messages, instructions or tool descriptions in ${visible(mode.storePath)}: ` +
          "record an agent's calls first (docs/proxy.md)."
        ])
      }
      return yield* print([
        ...table(texts, columns),
        "",
        ...texts.filter(({ isRedacted, varying }) => isRedacted || varying.length > 0).flatMap((text) => [
          paint("strong", visible(titleOf(text))),
          ...fact("forms", String(text.forms)),
          ...text.varying.flatMap((piece) => fact("varies", inline(piece))),
          ...(text.isRedacted ? fact("redacted", redactedWords(text)) : []),
          ...fact("stable", text.stable === null ? nothingStable(text) : inline(text.stable)),
          ""
        ]),
        ...(compressed === 0 ? [] : [
          `${compressed} of the ${calls} calls came compressed: the proxy does not rewrite those.`,
          ""
        ]),
        "For a config:",
        "",
        ...safeJson(config, 2).split("\n")
      ])
    })
  )

const titleOf = ({ component, place, tool }: Component) => component ?? (tool === null ? place : `${place} of ${tool}`)

const redactedWords = ({ tool }: Component) =>
  "a secret was taken out of it before it was stored, so that what the agent sends is not known: "
  + (tool === null
    ? "a rule can be about another part of it"
    : "a rule would replace the whole, and the secret with it")

const nothingStable = ({ isRedacted }: Component) =>
  isRedacted ? "no part long enough to name it by" : "no part that all forms have"

const textJson = ({ calls, component, forms, isRedacted, place, share, stable, text, tool, varying }: Component) => ({
  component,
  place,
  tool,
  calls,
  share,
  chars: text.length,
  first_line: firstLine(text),
  forms,
  varying,
  redacted: isRedacted,
  stable_chars: stable?.length ?? null
})

const firstLine = (text: string): string => text.trimStart().split("\n", 1)[0]!.trim()

const columns: ReadonlyArray<Column<Component>> = [
  { title: "component", cell: ({ component }) => visible(component ?? "") },
  { title: "place", cell: ({ place, tool }) => visible(tool === null ? place : `tool ${tool}`) },
  { title: "calls", align: "right", cell: ({ calls }) => String(calls) },
  { title: "share", align: "right", cell: ({ share }) => `${(100 * share).toFixed(0)}%` },
  { title: "chars", align: "right", cell: ({ text }) => String(text.length) },
  { title: "forms", align: "right", cell: ({ forms }) => String(forms) },
  { title: "first line", least: 16, cell: ({ text }) => inline(firstLine(text)) }
]
