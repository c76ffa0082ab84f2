/** Who is at work in this process: what `tau inspect tree` shows. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { ActorReport } from "./Actor.js"

/** The tree of one process at one moment. */
export const TreeReport = Schema.Struct({
  schemaVersion: Schema.Literal(1),
  kind: Schema.Literal("run", "proxy"),
  pid: Schema.Int,
  storePath: Schema.String,
  /** The run that is worked on; null for a capture proxy, and before a run has begun. */
  runId: Schema.NullOr(Schema.String),
  startedAtMs: Schema.Number,
  nowMs: Schema.Number,
  actors: Schema.Array(ActorReport)
})
export type TreeReport = typeof TreeReport.Type

export interface Branch {
  readonly runId?: string
  readonly actors: () => ReadonlyArray<ActorReport>
}

export class ActorTree extends Context.Tag("tau/runtime/ActorTree")<ActorTree, {
  /** Shows a branch, below those that are there already, for as long as the scope is open. */
  readonly grow: (branch: Branch) => Effect.Effect<void, never, Scope.Scope>
  readonly report: Effect.Effect<TreeReport>
}>() {
  static readonly layer = (kind: TreeReport["kind"], storePath: string): Layer.Layer<ActorTree> =>
    Layer.effect(
      ActorTree,
      Effect.gen(function*() {
        const startedAtMs = yield* Clock.currentTimeMillis
        const branches = new Set<Branch>()
        return ActorTree.of({
          grow: (branch) =>
            Effect.acquireRelease(
              Effect.sync(() => void branches.add(branch)),
              () => Effect.sync(() => void branches.delete(branch))
            ),
          report: Effect.map(Clock.currentTimeMillis, (nowMs) => ({
            schemaVersion: 1,
            kind,
            pid: process.pid,
            storePath,
            runId: [...branches].find(({ runId }) => runId !== undefined)?.runId ?? null,
            startedAtMs,
            nowMs,
            actors: [...branches].flatMap(({ actors }) => actors())
          }))
        })
      })
    )
}
