/** Reads and writes the files that commands are given, and those that they make for people and programs. */
import * as Effect from "effect/Effect"
import { stat, writeFile } from "node:fs/promises"
import { fileTrouble } from "../domain/FileTrouble.js"
import { parseJson } from "../domain/JsonText.js"
import type { Problem } from "../evidence/Fields.js"
import { FileError, readText, replace } from "../runtime/DurableFile.js"
import { removeLeftoversOf } from "../store/writer/temporaryFiles.js"
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
  writeText(file, `${JSON.stringify(value, null, 2)}\n`)

/** The same of any text. A pipe or a device, such as `/dev/stdout`, is written to instead. */
export const writeText = (file: string, text: string, mode?: number): Effect.Effect<void, FileError> =>
  Effect.gen(function*() {
    const found = yield* Effect.promise(() => stat(file).catch(() => null))
    if (found === null || found.isFile() || found.isDirectory()) return yield* putInPlace(file, text, mode)
    yield* Effect.tryPromise({
      try: () => writeFile(file, text),
      catch: (error) => new FileError({ file, detail: fileTrouble(error as NodeJS.ErrnoException) })
    })
  })

/** Replaces whatever has this name, a link too; what a writer of this file left that was killed is taken away. */
export const putInPlace = (file: string, text: string, mode?: number): Effect.Effect<void, FileError> =>
  Effect.zipRight(Effect.promise(() => removeLeftoversOf(file)), replace(file, text, mode))
