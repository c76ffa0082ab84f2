/** Reads and writes the JSON files of the evidence. */
import * as Effect from "effect/Effect"
import { parseJson } from "../domain/JsonText.js"
import type { Problem } from "../evidence/Fields.js"
import { type FileError, readText, replace } from "../runtime/DurableFile.js"
import { UsageError } from "./CliError.js"

export type Artifact =
  | { readonly _tag: "json"; readonly text: string; readonly value: unknown }
  | { readonly _tag: "unreadable"; readonly problems: ReadonlyArray<Problem> }

/** The parsed file, or why it is no JSON: a key given twice counts, for readers would disagree over it. */
export const readArtifact = (file: string, given: string): Effect.Effect<Artifact, UsageError> =>
  Effect.map(existing(file, given), (text): Artifact => {
    const json = parseJson(text)
    if (json._tag === "syntax") {
      return { _tag: "unreadable", problems: [{ field: `line ${json.line}, column ${json.column}`, text: json.text }] }
    }
    return json.problems.length === 0
      ? { _tag: "json", text, value: json.value }
      : { _tag: "unreadable", problems: json.problems.map(({ path, text }) => ({ field: path.slice(2), text })) }
  })

/** The text of a file that must be there. `given` is the flag or operand that named it. */
export const existing = (file: string, given: string): Effect.Effect<string, UsageError> =>
  readText(file).pipe(
    Effect.mapError(({ message }) => message),
    Effect.filterOrFail((text) => text !== null, () => `${file}: expected a file, found no such file`),
    Effect.mapError((message) => new UsageError({ detail: `${given}: ${message}` }))
  )

/** Replaces the file as a whole; makes its folder. */
export const writeArtifact = (file: string, value: unknown): Effect.Effect<void, FileError> =>
  replace(file, `${JSON.stringify(value, null, 2)}\n`)
