/** The private folder of one attempt: the example, one file per resource, and a place for the answer. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { constants } from "node:fs"
import { mkdir, mkdtemp, open, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { nameProblems, variableOf } from "../domain/ResourceNames.js"
import { resourceText, type ResourceValues } from "../domain/Resources.js"
import * as OrphanGuard from "../process/OrphanGuard.js"
import { type Assignment, AttemptFailed } from "./Executor.js"

export interface AgentFiles {
  /** The example as JSON. */
  readonly examplePath: string
  /** Where the agent may write its answer; nothing is there at first. */
  readonly outputPath: string
  readonly resourcesDir: string
  /** Where the agent may report what its own safety layer saw; nothing is there at first. */
  readonly safetyEventsPath: string
}

/** Writes the files into a new folder (mode 0700) and removes it with all that is in it when the scope closes. */
export const agentFiles = (
  { example, resources }: Pick<Assignment, "example" | "resources">
): Effect.Effect<AgentFiles, AttemptFailed, Scope.Scope> =>
  Effect.gen(function*() {
    const [problem] = nameProblems(Object.keys(resources))
    if (problem !== undefined) return yield* refused(problem.detail)
    const dir = yield* Effect.acquireRelease(
      Effect.tap(
        Effect.tryPromise({ try: () => mkdtemp(join(tmpdir(), "tau-attempt-")), catch: notWritten }),
        (dir) => Effect.sync(() => OrphanGuard.watchFolder(dir))
      ),
      (dir) =>
        // A process that is just being killed may add a file meanwhile: then the folder is emptied again.
        Effect.tryPromise(() => rm(dir, { recursive: true, force: true, maxRetries: 5 })).pipe(
          Effect.ignoreLogged,
          Effect.zipRight(Effect.sync(() => OrphanGuard.releaseFolder(dir)))
        )
    )
    const files = {
      examplePath: join(dir, "example.json"),
      outputPath: join(dir, "output"),
      resourcesDir: join(dir, "resources"),
      safetyEventsPath: join(dir, "safety-events.jsonl")
    }
    yield* Effect.tryPromise({
      try: async () => {
        await writeFile(files.examplePath, JSON.stringify(example), { flag: "wx" })
        await mkdir(files.resourcesDir)
      },
      catch: notWritten
    })
    for (const [name, value] of Object.entries(resources)) {
      yield* Effect.tryPromise({
        try: () => writeFile(join(files.resourcesDir, name), resourceText(value), { flag: "wx" }),
        catch: (cause) =>
          codeOf(cause) === "EEXIST"
            ? refused(
              `another resource name differs from ${JSON.stringify(name)} only in case, which this disk ignores`
            )
            : notWritten(cause)
      })
    }
    return files
  })

/** Linux refuses variables of 128 KiB and more. */
const variableBytesMax = 100_000

/**
 * `TAU_RESOURCE_<UPPER_SNAKE>` for every resource. One that a variable cannot hold, for its length or a NUL in it, is a
 * file only.
 */
export const resourceVariables = (resources: ResourceValues): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(resources).flatMap(([name, value]) => {
      const text = resourceText(value)
      return text.includes("\0") || Buffer.byteLength(text) > variableBytesMax
        ? []
        : [[variableOf(name), text] as const]
    })
  )

/**
 * Reads the answer an agent wrote. What is at the path is the agent's doing, so only a regular file counts: no link to
 * somewhere else, no pipe that would block.
 */
export const readOutput = (
  path: string,
  bytesMax: number,
  variable = "TAU_OUTPUT_FILE"
): Effect.Effect<Buffer, AttemptFailed> =>
  Effect.scoped(Effect.gen(function*() {
    const file = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () => open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK),
        catch: (cause) =>
          notRead(
            codeOf(cause) === "ENOENT"
              ? `wrote nothing to ${variable}`
              : `left an unreadable ${variable}: ${codeOf(cause)}`
          )
      }),
      (file) => Effect.promise(() => file.close())
    )
    const bytes = yield* Effect.tryPromise({
      try: async () => {
        const stats = await file.stat()
        if (!stats.isFile()) return "irregular" as const
        // One byte more than allowed tells a file that is too large, even one that is still growing.
        const buffer = Buffer.alloc(Math.min(stats.size, bytesMax) + 1)
        let length = 0
        for (;;) {
          const { bytesRead } = await file.read(buffer, length, buffer.length - length)
          length += bytesRead
          if (bytesRead === 0 || length === buffer.length) return buffer.subarray(0, length)
        }
      },
      catch: (cause) => notRead(`left an unreadable ${variable}: ${codeOf(cause)}`)
    })
    if (bytes === "irregular") return yield* notRead(`left something at ${variable} that is no regular file`)
    if (bytes.length > bytesMax) return yield* notRead(`wrote more than ${bytesMax} bytes to ${variable}`)
    return bytes
  }))

const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause ? String(cause.code) : "unknown error"

const refused = (detail: string) => new AttemptFailed({ reason: "spawn", detail, permanent: true, stderrTail: null })

const notWritten = (cause: unknown) =>
  new AttemptFailed({
    reason: "unstarted",
    detail: `the agent's files cannot be written: ${codeOf(cause)}`,
    permanent: false,
    stderrTail: null
  })

const notRead = (what: string) =>
  new AttemptFailed({ reason: "output", detail: `the agent ${what}`, permanent: false, stderrTail: null })
