import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RcRef from "effect/RcRef"
import * as Schema from "effect/Schema"
import { existsSync, statSync } from "node:fs"
import { ActivityReader } from "../store/ActivityReader.js"
import * as ReadOnlyStore from "../store/ReadOnlyStore.js"
import { ResourceReader } from "../store/ResourceReader.js"
import { RolloutStore } from "../store/RolloutStore.js"
import { RunEvents } from "../store/RunEvents.js"
import { RunReader } from "../store/RunReader.js"
import { RunStanding } from "../store/RunStanding.js"
import { SpanStore } from "../store/SpanStore.js"
import * as Sqlite from "../store/Sqlite.js"
import type { StoreError } from "../store/StoreError.js"
import { WorkerReader } from "../store/WorkerReader.js"
import { logPathOf } from "../store/writer/realPath.js"

export type Readers =
  | ActivityReader
  | ResourceReader
  | RolloutStore
  | RunEvents
  | RunReader
  | RunStanding
  | SpanStore
  | WorkerReader

/** There is no store to read yet. */
export class StoreAbsent extends Schema.TaggedError<StoreAbsent>()("StoreAbsent", { path: Schema.String }) {
  override get message() {
    return `there is no store at ${this.path}`
  }
}

/** The store that the dashboard tells about: read-only. */
export class DashboardStore extends Context.Tag("tau/dashboard/DashboardStore")<DashboardStore, {
  readonly path: string
  readonly read: <A, E>(question: Effect.Effect<A, E, Readers>) => Effect.Effect<A, E | StoreError | StoreAbsent>
}>() {
  /** The store that this process has open. */
  static readonly live = Layer.scoped(
    DashboardStore,
    Effect.gen(function*() {
      const { path } = yield* Sqlite.StoreProcess
      const context = yield* Layer.build(readers)
      return DashboardStore.of({ path, read: (question) => Effect.provide(question, context) })
    })
  )

  /** A store at rest, or one that others have open. It is opened when it is asked, and again when another file is there. */
  static readonly atRest = (path: string) =>
    Layer.scoped(
      DashboardStore,
      Effect.gen(function*() {
        const opened = yield* RcRef.make({ acquire: opening(path), idleTimeToLive: "5 seconds" })
        let known: string | null = null
        return DashboardStore.of({
          path,
          read: (question) =>
            Effect.scoped(Effect.gen(function*() {
              if (!existsSync(path)) {
                yield* RcRef.invalidate(opened)
                // One that held data is lost, and not one that nobody made yet.
                yield* ReadOnlyStore.refuseUnseen(path)
                return yield* new StoreAbsent({ path })
              }
              const { dev, ino } = statSync(path)
              if (known !== `${dev}/${ino}`) yield* RcRef.invalidate(opened)
              known = `${dev}/${ino}`
              if ((yield* RcRef.get(opened)).isOutdated()) yield* RcRef.invalidate(opened)
              return yield* Effect.provide(question, (yield* RcRef.get(opened)).context)
            }))
        })
      })
    )
}

/** A copy is made anew no sooner than this, however often the store changes. */
const copiedForMs = 5_000

/** Everybody who asks meanwhile waits as well, and what cannot be read now may be read at the next question. */
const busyMs = 250

const opening = (path: string) =>
  Effect.gen(function*() {
    const openedMs = performance.now()
    const version = versionOf(path)
    const file = yield* ReadOnlyStore.openable(path, busyMs)
    const context = yield* Layer.build(Layer.provide(readers, Sqlite.readOnly(file, busyMs)))
    /** What was copied has changed since: the copy would tell of that moment for ever. */
    const isOutdated = () => file !== path && performance.now() - openedMs >= copiedForMs && versionOf(path) !== version
    return { context, isOutdated }
  })

/** Changes with what is written to the store or its log. */
const versionOf = (path: string): string =>
  [path, logPathOf(path)].map((file) => statSync(file, { bigint: true, throwIfNoEntry: false }))
    .map((stat) => `${stat?.ino}/${stat?.size}/${stat?.mtimeNs}`).join()

const readers = Layer.mergeAll(
  ActivityReader.layer,
  ResourceReader.layer,
  RolloutStore.layer,
  RunEvents.layer,
  RunReader.layer,
  RunStanding.layer,
  SpanStore.layer,
  WorkerReader.layer
)
