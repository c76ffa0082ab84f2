/** Everything the dashboard answers with an error: one shape, and the one place where an error gets its HTTP status. */
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Schema from "effect/Schema"

const problem = <Code extends string>(status: number, code: Code) =>
  Schema.Struct({
    schema_version: Schema.Literal(1),
    error: Schema.Struct({ code: Schema.Literal(code), message: Schema.String })
  }).annotations(HttpApiSchema.annotations({ status }))

/** Each kind with its HTTP status and the code in its body. */
export const problems = {
  badRequest: problem(400, "dashboard_bad_request"),
  unauthorized: problem(401, "dashboard_unauthorized"),
  forbidden: problem(403, "dashboard_forbidden"),
  denied: problem(403, "dashboard_denied"),
  notFound: problem(404, "dashboard_not_found"),
  methodNotAllowed: problem(405, "dashboard_method_not_allowed"),
  refused: problem(409, "dashboard_refused"),
  lengthRequired: problem(411, "dashboard_length_required"),
  tooLarge: problem(413, "dashboard_too_large"),
  mediaType: problem(415, "dashboard_unsupported_media_type"),
  misdirected: problem(421, "dashboard_misdirected"),
  failed: problem(500, "dashboard_failed"),
  unavailable: problem(503, "dashboard_store_unavailable"),
  busy: problem(503, "dashboard_too_many_streams")
} as const

export type ProblemKind = keyof typeof problems

/** The body of an error, which its schema above encodes. */
export type Problem<Kind extends ProblemKind = ProblemKind> = typeof problems[Kind]["Type"]

export const problemOf = <Kind extends ProblemKind>(kind: Kind, message: string): Problem<Kind> =>
  ({ schema_version: 1, error: { code: codeOf(kind), message } }) as Problem<Kind>

const codeOf = (kind: ProblemKind): string => problems[kind].fields.error.fields.code.literals[0]

export const statusOf = (kind: ProblemKind): number => HttpApiSchema.getStatusErrorAST(problems[kind].ast)
