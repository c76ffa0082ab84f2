import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ResourceValues } from "../domain/Resources.js"
import { orStoreError } from "./reading.js"
import type { StoreError } from "./StoreError.js"

/** The resources that an attempt was made with; null when no run in this store made the attempt. */
export type AttemptResources = (attemptId: string) => Effect.Effect<ResourceValues | null, StoreError>

const decode = Schema.decodeSync(Schema.parseJson(ResourceValues))

/** An attempt keeps its version for ever, so that an answer may be kept as well. */
export const openAttemptResources: Effect.Effect<AttemptResources, never, SqlClient.SqlClient> = Effect.map(
  SqlClient.SqlClient,
  (sql): AttemptResources => (attemptId) =>
    orStoreError(
      "reading the resources of an attempt",
      Effect.map(
        sql<{ readonly resources: string }>`SELECT resources.resources FROM attempts
          JOIN resources ON resources.version = attempts.resources_version WHERE attempts.id = ${attemptId}`,
        ([row]) => row === undefined ? null : decode(row.resources)
      )
    )
)
