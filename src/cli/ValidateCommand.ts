import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { Problem } from "../evidence/Fields.js"
import { playbookProblems } from "../evidence/PlaybookRules.js"
import { proofProblems } from "../evidence/ProofRules.js"
import { reportProblems } from "../evidence/ReportRules.js"
import { readArtifact } from "./ArtifactFiles.js"
import type { UsageError } from "./CliError.js"
import type { ArtifactKind } from "./commands/validate.js"
import { ExitCode } from "./ExitCode.js"

const rules: Readonly<
  Record<ArtifactKind, { readonly name: string; readonly problems: (value: unknown) => ReadonlyArray<Problem> }>
> = {
  proof: { name: "m24 benchmark proof", problems: proofProblems },
  report: { name: "m24 benchmark report", problems: reportProblems },
  playbook: { name: "m24 resume-after-crash playbook", problems: playbookProblems }
}

export interface ValidateInput {
  readonly kind: ArtifactKind
  readonly file: string
}

/** Prints `ok - …` and ends with 0, or one line per problem on stderr and 1. A file that is not there is a usage error. */
export const run = ({ file, kind }: ValidateInput): Effect.Effect<number, UsageError> =>
  Effect.gen(function*() {
    const artifact = yield* readArtifact(file, "FILE")
    const problems = artifact._tag === "json" ? rules[kind].problems(artifact.value) : artifact.problems
    if (problems.length === 0) {
      yield* Console.log(`ok - ${rules[kind].name} is valid: ${file}`)
      return ExitCode.success
    }
    for (const { field, text } of problems) yield* Console.error(`error: ${file}: ${field}: ${text}`)
    return ExitCode.failure
  })
