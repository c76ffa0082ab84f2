import { defineCommand } from "../Command.js"
import { Mistake } from "../FlagValue.js"
import type { GivenFlags } from "../GivenFlags.js"
import { after, json, limit, readPaging, readPlace, store, text, textOf } from "../ReadingFlags.js"
import { readSpanFilter, spanFlags } from "../SpanFlags.js"

const saying = text("text", "WORDS", "Only calls whose recorded request or answer contains this text")

const readWords = (flags: GivenFlags): string | null => {
  const words = textOf(flags, saying.name)
  if (words?.trim() === "") throw new Mistake(`${flags.get(saying.name).source}: expected a text, found blanks`)
  return words
}

export const spans = defineCommand({
  name: "spans",
  summary: "List recorded calls, newest first",
  description:
    "tau spans lists recorded calls, newest first, those of runs as those of a capture proxy. With --text it reads their recorded bodies, until "
    + "as many are found as --limit says: messages, reasoning, tool calls and their results, as tau span shows them, whatever the case of "
    + "letters; a blank stands for blanks and line breaks of any number.",
  examples: [
    "tau spans",
    "tau spans --failed --since 2h",
    "tau spans --text 'permission denied'",
    "tau spans --rollout run-0001-d74f2d-train-0001 --json"
  ],
  flags: [store, ...spanFlags, saying, limit(20, "How many calls"), after, json],
  read: ({ flags }) => ({
    ...readPlace(flags),
    ...readPaging(flags),
    filter: readSpanFilter(flags),
    text: readWords(flags)
  }),
  load: () => import("../reading/SpansCommand.js")
})
