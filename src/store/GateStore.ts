import * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { RunId } from "../domain/Ids.js"
import { orStoreError } from "./reading.js"
import type { StoreError } from "./StoreError.js"
import { Writer } from "./Writer.js"
import type { Opening } from "./writer/search.js"

export interface GateUse {
  /** Examples that an earlier search ran its candidates on: they are no longer fresh. */
  readonly seen: ReadonlyArray<string>
  /** Examples that an earlier gate looked at, and how many gates looked at any of them. */
  readonly used: ReadonlyArray<string>
  readonly openings: number
}

/** The gates of searches: which examples are used up, and which gate is open. */
export class GateStore extends Context.Tag("tau/store/GateStore")<GateStore, {
  /**
   * What earlier runs of this store did with a run's gate examples, until it opened its gate. Their gates' samples are numbered from
   * `samplesFrom`.
   */
  readonly use: (
    runId: RunId,
    examples: ReadonlyArray<string>,
    samplesFrom: number
  ) => Effect.Effect<GateUse, StoreError>
  /** Opens the gate over these examples for the run, once. */
  readonly open: (runId: RunId, gateSet: string, usedBefore: number) => Effect.Effect<Opening, StoreError>
  /** Whether the run has opened it. */
  readonly hasOpened: (runId: RunId, gateSet: string) => Effect.Effect<boolean, StoreError>
}>() {
  static readonly layer = Layer.effect(
    GateStore,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const writer = yield* Writer
      return GateStore.of({
        use: (runId, examples, samplesFrom) =>
          orStoreError("reading what was seen of the gate's examples", gateUse(sql, runId, examples, samplesFrom)),
        open: (runId, gateSet, usedBefore) => writer.run("openGate", { runId, gateSet, usedBefore }),
        hasOpened: (runId, gateSet) =>
          orStoreError(
            "reading whether a gate is open",
            Effect.map(
              sql`SELECT 1 FROM gate_openings WHERE run_id = ${runId} AND gate_set = ${gateSet}`,
              (rows) => rows.length > 0
            )
          )
      })
    })
  )
}

const gateUse = (
  sql: SqlClient.SqlClient,
  runId: string,
  examples: ReadonlyArray<string>,
  samplesFrom: number
) =>
  Effect.map(
    sql<{ readonly example: string; readonly runId: string; readonly isGate: 0 | 1 }>`
      SELECT DISTINCT example, run_id, sample >= ${samplesFrom} AS is_gate FROM rollouts
      WHERE example IS NOT NULL
        AND run_id IN (SELECT id FROM runs WHERE ordinal < (SELECT ordinal FROM runs WHERE id = ${runId}))
        AND created_at_ms <= coalesce((SELECT min(at_ms) FROM gate_openings WHERE run_id = ${runId}), created_at_ms)`,
    (rows): GateUse => {
      const wanted = new Set(examples.map(contentIn))
      const met = rows.filter(({ example }) => wanted.has(contentIn(example)))
      const contents = (isGate: 0 | 1) =>
        new Set(met.flatMap((row) => row.isGate === isGate ? [contentIn(row.example)] : []))
      const [searched, gated] = [contents(0), contents(1)]
      return {
        seen: examples.filter((example) => searched.has(contentIn(example))),
        used: examples.filter((example) => gated.has(contentIn(example))),
        openings: new Set(met.flatMap(({ isGate, runId }) => isGate === 1 ? [runId] : [])).size
      }
    }
  )

/** An example's id is `<split>-<hash of what it says>`, and a number where it is there again. */
const contentIn = (id: string) => id.split("-")[1]
