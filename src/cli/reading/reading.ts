/** What every command that reads a store does alike. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { shellWord, storeHint } from "../../domain/CommandText.js"
import { safeJson, visible } from "../../domain/TerminalText.js"
import { ClientKeyReader } from "../../store/ClientKeyReader.js"
import type { Page } from "../../store/Page.js"
import * as ReadOnlyStore from "../../store/ReadOnlyStore.js"
import { ResourceReader } from "../../store/ResourceReader.js"
import { RolloutStore } from "../../store/RolloutStore.js"
import { RunFindings } from "../../store/RunFindings.js"
import { type Run, RunReader } from "../../store/RunReader.js"
import { RunStanding } from "../../store/RunStanding.js"
import { SearchReader } from "../../store/SearchReader.js"
import { SpanStore } from "../../store/SpanStore.js"
import type { StoreError } from "../../store/StoreError.js"
import { UsageReader } from "../../store/UsageReader.js"
import { WorkerReader } from "../../store/WorkerReader.js"
import { CommandFailed } from "../CliError.js"
import type { Paging } from "../ReadingFlags.js"
import { print, write } from "./Terminal.js"

export type Readers =
  | RunReader
  | RunFindings
  | RunStanding
  | RolloutStore
  | SearchReader
  | SpanStore
  | ResourceReader
  | WorkerReader
  | UsageReader
  | ClientKeyReader

const readers = Layer.mergeAll(
  RunReader.layer,
  RunFindings.layer,
  RunStanding.layer,
  RolloutStore.layer,
  SearchReader.layer,
  SpanStore.layer,
  ResourceReader.layer,
  WorkerReader.layer,
  UsageReader.layer,
  ClientKeyReader.layer
)

/** Answers from the store in this file. */
export const reading = <E>(
  storePath: string,
  answer: Effect.Effect<number, E, Readers>
): Effect.Effect<number, E | StoreError> =>
  Effect.provide(answer, Layer.provide(readers, ReadOnlyStore.layer(storePath)))

/** The row, or a failure that says what there is none of, and where to look. */
export const found = <A, E, R>(
  read: Effect.Effect<Option.Option<A>, E, R>,
  missing: string
): Effect.Effect<A, E | CommandFailed, R> =>
  Effect.flatMap(
    read,
    Option.match({
      onNone: () => Effect.fail(new CommandFailed({ detail: missing })),
      onSome: Effect.succeed
    })
  )

/** The run of this id, which must be there. */
export const runNamed = (
  runId: string,
  storePath: string
): Effect.Effect<Run, StoreError | CommandFailed, RunReader> =>
  Effect.flatMap(
    RunReader,
    (runs) =>
      found(
        runs.get(runId),
        `there is no run ${visible(runId)} in ${storePath}; tau runs${storeHint(storePath)} lists them`
      )
  )

/** The run that is asked for, else the one that was made last, if there is one. */
export const runOf = (
  runId: string | null,
  storePath: string
): Effect.Effect<Run | null, StoreError | CommandFailed, RunReader> =>
  runId === null
    ? Effect.map(Effect.flatMap(RunReader, ({ latest }) => latest), Option.getOrNull)
    : runNamed(runId, storePath)

/** One object with the version of its schema, indented; success as the exit code. */
export const printJson = (value: object): Effect.Effect<number> =>
  Effect.as(write(`${safeJson({ schema_version: 1, ...value }, 2)}\n`), 0)

/** How long rows are looked for that are not there: a filter may fit few of millions. */
const patienceMs = 2_000

/** Fills a page, also where the store gives it in parts because a filter fits few rows. */
export const filled = <A, E, R>(
  { after, limit }: Paging,
  page: (request: Paging) => Effect.Effect<Page<A>, E, R>
): Effect.Effect<Page<A>, E, R> =>
  Effect.gen(function*() {
    const begunAt = performance.now()
    let whole = yield* page({ after, limit })
    while (whole.next !== null && whole.items.length < limit && performance.now() - begunAt < patienceMs) {
      const part = yield* page({ after: whole.next, limit: limit - whole.items.length })
      whole = { items: [...whole.items, ...part.items], next: part.next }
    }
    return whole
  })

/** Rows that are held at a time where all of them are read. */
const pageSize = 200

/** Page after page until the end, or until `tell` answers false: then false. */
export const everyPage = <A, E, R, E2, R2>(
  page: (request: Paging) => Effect.Effect<Page<A>, E, R>,
  tell: (items: ReadonlyArray<A>) => Effect.Effect<boolean | void, E2, R2>
): Effect.Effect<boolean, E | E2, R | R2> =>
  Effect.gen(function*() {
    for (let after: string | null = null;;) {
      const { items, next }: Page<A> = yield* page({ after, limit: pageSize })
      if ((yield* tell(items)) === false) return false
      if (next === null) return true
      after = next
    }
  })

/** One after the other, until `tell` answers false: then false. */
export const each =
  <A, E, R>(tell: (item: A) => Effect.Effect<boolean | void, E, R>) =>
  (items: ReadonlyArray<A>): Effect.Effect<boolean, E, R> =>
    Effect.gen(function*() {
      for (const item of items) if ((yield* tell(item)) === false) return false
      return true
    })

/** The list, and what to type next; or, where it is empty, what to do about it. */
export const printPage = <A>(
  { items, next }: Page<A>,
  { after, limit }: Paging,
  lines: ReadonlyArray<string>,
  hints: { readonly more: string; readonly next: ReadonlyArray<string>; readonly empty: ReadonlyArray<string> }
): Effect.Effect<number> => {
  const goOn = next === null
    ? []
    : items.length < limit
    ? [`Not all rows were looked at yet; to go on: ${hints.more} --after ${next}`]
    : [`More: ${hints.more} --after ${next}`]
  if (items.length === 0) {
    const nothing = after === null ? hints.empty : [`Nothing that fits comes after ${visible(after)}.`]
    return print(next === null ? nothing : goOn)
  }
  return print([...lines, "", ...goOn, ...hints.next])
}

/** The command again, with the flags that were given; words that a shell would read are quoted. */
export const again = (command: string, flags: Readonly<Record<string, string | number | boolean | null>>): string =>
  [
    `tau ${command}`,
    ...Object.entries(flags).flatMap(([name, value]) =>
      value === null || value === false
        ? []
        : value === true
        ? [`--${name}`]
        : [`--${name} ${shellWord(String(value))}`]
    )
  ].join(" ")

/** What is said of a store without a run, and how to go on. */
export const noRuns = (storePath: string): ReadonlyArray<string> => [
  `No runs in ${visible(storePath)} yet. To make one:`,
  "  tau --model PROVIDER/MODEL --prompt-optimization-config FILE",
  `Calls that a proxy recorded: tau spans${storeHint(storePath)}`
]
