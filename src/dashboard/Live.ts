import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { StoreError } from "../store/StoreError.js"
import { DashboardStore } from "./DashboardStore.js"
import { snapshot } from "./Facts.js"
import { defaultStreamLimits, LiveStream, type LiveStreamLimits } from "./LiveStream.js"
import type { Snapshot } from "./Payloads.js"
import { type Problem, problemOf } from "./Problem.js"

/** How old a snapshot may be. Everybody who asks in the meantime gets the same one: many askers cost what one costs. */
const freshFor = "500 millis"
const lookEvery = "1 second"
/** Looks without a change after which listeners hear that the stream is alive. */
const quietLooks = 15

/** The moment's snapshot, and the listeners that hear of changes. */
export class Live extends Context.Tag("tau/dashboard/Live")<Live, {
  readonly snapshot: Effect.Effect<Snapshot, StoreError>
  /** Looks again now, and tells the listeners. */
  readonly refresh: Effect.Effect<Snapshot, StoreError>
  readonly stream: LiveStream
}>() {
  static readonly layer = (limits: LiveStreamLimits = defaultStreamLimits) =>
    Layer.scoped(
      Live,
      Effect.gen(function*() {
        const store = yield* DashboardStore
        const [fresh, forget] = yield* Effect.cachedInvalidateWithTTL(
          Effect.uninterruptible(Effect.provideService(snapshot, DashboardStore, store)),
          freshFor
        )
        const stream = yield* Effect.acquireRelease(
          Effect.sync(() => new LiveStream(limits)),
          (opened) => Effect.sync(() => opened.close())
        )
        let told = ""
        let quiet = 0
        const tell = (event: string, data: Snapshot | Problem) => {
          told = withoutTime(data)
          quiet = 0
          stream.broadcast(event, data)
        }
        const look = Effect.gen(function*() {
          if (stream.size === 0) return
          // A store that cannot be read now is looked at again in a moment: until then the last snapshot is not what is.
          const [event, data] = yield* Effect.match(fresh, {
            onFailure: ({ message }) => ["dashboard.unavailable", problemOf("unavailable", message)] as const,
            onSuccess: (now) => ["dashboard.snapshot", now] as const
          })
          quiet += 1
          if (withoutTime(data) !== told) tell(event, data)
          else if (quiet >= quietLooks) {
            quiet = 0
            stream.keepAlive()
          }
        })
        yield* look.pipe(Effect.repeat(Schedule.spaced(lookEvery)), Effect.forkScoped)
        return Live.of({
          snapshot: fresh,
          refresh: Effect.zipRight(
            forget,
            Effect.tap(fresh, (now) => Effect.sync(() => tell("dashboard.snapshot", now)))
          ),
          stream
        })
      })
    )
}

const withoutTime = (shown: Snapshot | Problem): string => JSON.stringify({ ...shown, generated_unix_ms: 0 })
