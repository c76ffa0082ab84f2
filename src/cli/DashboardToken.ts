import * as Effect from "effect/Effect"
import { tokenLengthMin } from "../dashboard/Access.js"
import { UsageError } from "./CliError.js"
import type { Environment } from "./Providers.js"

/** The token that callers of the dashboard must show, or null when none is set. One that can be guessed is refused. */
export const dashboardToken = (environment: Environment): Effect.Effect<string | null, UsageError> => {
  const token = environment["TAU_DASHBOARD_TOKEN"]?.trim()
  if (token === undefined || token === "") return Effect.succeed(null)
  if (token.length < tokenLengthMin || !/^[\w.~+/=-]+$/.test(token)) {
    return new UsageError({
      detail: `TAU_DASHBOARD_TOKEN: expected at least ${tokenLengthMin} letters, digits or any of . _ ~ + / = -`
    })
  }
  return Effect.succeed(token)
}
