/** Asks a program for the score: what to judge goes to its standard input, the verdict comes from its standard output. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Scorable } from "../domain/Reward.js"
import type { ScorerConfig } from "../domain/RunConfig.js"
import * as ChildProcess from "../process/ChildProcess.js"
import { inheritedEnvironment, workingDirectory } from "../process/Environment.js"
import { quoted, readVerdict, type Verdict, verdictForm } from "./Verdict.js"

type CommandScorerConfig = Extract<ScorerConfig, { readonly kind: "command" }>

const verdictBytesMax = 1_048_576

/** Fails with words when the program fails, is late, or prints no score in [0, 1]. */
export const commandScorer =
  ({ command, cwd, timeout_secs }: CommandScorerConfig, baseDir: string) =>
  ({ example, output, rolloutId }: Scorable): Effect.Effect<Verdict, string> =>
    Effect.gen(function*() {
      const finished = yield* ChildProcess.run({
        argv: command,
        cwd: workingDirectory(baseDir, cwd),
        env: inheritedEnvironment(),
        stdin: JSON.stringify({ example, output, rollout_id: rolloutId }),
        stdoutBytesMax: verdictBytesMax,
        timeLimit: Duration.seconds(timeout_secs)
      }).pipe(
        Effect.mapError((error) =>
          error._tag === "SpawnFailed" ? error.message : withTail(error.message, error.stderrTail)
        )
      )
      if (finished.exitCode !== 0) {
        const how = finished.signal === null
          ? `exited with code ${finished.exitCode}`
          : `was ended by ${finished.signal}`
        return yield* Effect.fail(withTail(`it ${how}`, finished.stderrTail))
      }
      const printed = finished.stdout.toString("utf8").trim()
      // A library may print before the verdict does: the last line counts, unless the whole is the verdict.
      const verdict = Option.orElse(
        readVerdict(printed),
        () => readVerdict(printed.slice(printed.lastIndexOf("\n") + 1))
      )
      return yield* Option.match(verdict, {
        onNone: () =>
          Effect.fail(withTail(`it must print ${verdictForm}; it printed ${quoted(printed)}`, finished.stderrTail)),
        onSome: Effect.succeed
      })
    })

const withTail = (detail: string, stderrTail: string): string =>
  stderrTail.trim() === "" ? detail : `${detail}; its standard error ends: ${stderrTail.trim()}`
