/** Every endpoint of the dashboard, declared once: requests are decoded by it, answers encoded, and the document made of it. */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import { RolloutMode, RolloutStatus } from "../domain/Rollout.js"
import { SpanState } from "../domain/Span.js"
import { Run } from "../store/RunReader.js"
import { ActionAnswer, ActionRequest, Alerts, Health, QueueTimeline, Widgets } from "./Payloads.js"
import { problems } from "./Problem.js"
import { AttemptRow, ResourcesRow, RolloutRow, RunRow, SpanRow, WorkerRow } from "./Rows.js"

const whole = (min: number, max: number) =>
  Schema.String.pipe(
    Schema.pattern(/^(?:0|[1-9]\d{0,14})$/, { description: "a whole number" }),
    Schema.compose(Schema.NumberFromString),
    Schema.int(),
    Schema.between(min, max)
  )

/** More than any id has: those of a call have at most 200 characters. */
export const idLengthMax = 512
const Id = Schema.String.pipe(Schema.minLength(1), Schema.maxLength(idLengthMax))
const Score = Schema.String.pipe(
  Schema.pattern(/^\d{1,3}(?:\.\d{1,18})?$/, { description: "a number between 0 and 1" }),
  Schema.compose(Schema.NumberFromString),
  Schema.between(0, 1)
)
const Flag = Schema.Literal("true", "false")
const Version = Schema.Union(Schema.Literal("latest"), whole(1, Number.MAX_SAFE_INTEGER))

const query = <Fields extends Schema.Struct.Fields>(fields: Fields) =>
  Schema.Struct(fields).annotations({ parseOptions: { onExcessProperty: "error" } })

const paging = {
  after: Schema.optional(Id.annotations({ description: "the row to go on after: `next` of the page before" })),
  limit: Schema.optional(whole(1, 1_000).annotations({ description: "a number of rows, 1 to 1000; 20 unless told" }))
}

/** One page of rows under their own name, with the place to go on from. A page may end early although `next` is not null. */
const page = <Name extends string>(name: Name, row: Schema.Schema<Record<string, unknown>>) =>
  Schema.Struct({
    schema_version: Schema.Literal(1),
    store_path: Schema.String,
    [name]: Schema.Array(row),
    next: Schema.NullOr(Schema.String)
  }) as unknown as Schema.Schema<Record<string, unknown>>

const one = (fields: Schema.Struct.Fields) =>
  Schema.Struct({
    schema_version: Schema.Literal(1),
    store_path: Schema.String,
    ...fields
  }) as unknown as Schema.Schema<Record<string, unknown>>

const get = HttpApiEndpoint.get
const idPath = Schema.Struct({ id: Id })
/** Of a page that takes no query. */
const empty = Schema.Struct({}).pipe(
  Schema.filter((given) => Object.keys(given).length === 0 || "this page takes no query")
)

const dashboard = HttpApiGroup.make("dashboard", { topLevel: true })
  .add(get("health", "/dashboard/health").setUrlParams(empty).addSuccess(Health))
  .add(get("widgets", "/dashboard/widgets").setUrlParams(empty).addSuccess(Widgets))
  .add(
    get("queueTimeline", "/dashboard/queue-timeline")
      .setUrlParams(query({
        run: Schema.optional(
          Id.annotations({ description: "a run's id; by default of the one that control verbs are about" })
        ),
        bucket_ms: Schema.optional(
          whole(1_000, 86_400_000).annotations({
            description: "the milliseconds of a bucket, 1000 to 86400000; 60000 unless told"
          })
        ),
        buckets: Schema.optional(
          whole(1, 500).annotations({
            description: "a number of buckets, 1 to 500; 60 unless told, and the last one ends now"
          })
        )
      }))
      .addSuccess(QueueTimeline)
      .addError(problems.notFound)
  )
  .add(get("alerts", "/dashboard/alerts").setUrlParams(empty).addSuccess(Alerts))
  .add(
    HttpApiEndpoint.post("actions", "/dashboard/actions")
      .setUrlParams(empty)
      .setPayload(ActionRequest)
      .addSuccess(ActionAnswer)
      .addError(problems.denied)
      .addError(problems.refused)
  )
  .add(
    get("stream", "/dashboard/stream")
      .setUrlParams(empty)
      .setHeaders(Schema.Struct({ "last-event-id": Schema.optional(Schema.String.pipe(Schema.maxLength(256))) }))
      .addSuccess(
        Schema.String.pipe(HttpApiSchema.withEncoding({ kind: "Text", contentType: "text/event-stream" }))
          .annotations({
            description:
              "Events `dashboard.snapshot`, and `dashboard.unavailable` with an error while the store cannot be read; "
              + "after `Last-Event-ID` a `dashboard.reset` comes first"
          })
      )
      .addError(problems.busy)
  )
  .annotate(OpenApi.Description, "How the store's run stands, and the actions of an operator.")

const rows = HttpApiGroup.make("store", { topLevel: true })
  .add(
    get("runs", "/dashboard/api/runs")
      .setUrlParams(query({ ...paging, state: Schema.optional(Run.fields.stands) }))
      .addSuccess(page("runs", RunRow))
  )
  .add(
    get("rollouts", "/dashboard/api/rollouts")
      .setUrlParams(query({
        ...paging,
        run: Schema.optional(Id.annotations({ description: "a run's id; by default of the one that was made last" })),
        status: Schema.optional(RolloutStatus),
        mode: Schema.optional(RolloutMode),
        min_score: Schema.optional(Score),
        max_score: Schema.optional(Score)
      }))
      .addSuccess(
        one({
          run_id: Schema.NullOr(Schema.String),
          rollouts: Schema.Array(RolloutRow),
          next: Schema.NullOr(Schema.String)
        })
      )
      .addError(problems.notFound)
  )
  .add(
    get("rollout", "/dashboard/api/rollouts/:id")
      .setPath(idPath)
      .setUrlParams(empty)
      .addSuccess(one({ rollout: RolloutRow, attempts: Schema.Array(AttemptRow) }))
      .addError(problems.notFound)
  )
  .add(
    get("attemptSpans", "/dashboard/api/attempts/:id/spans")
      .setPath(idPath)
      .setUrlParams(query({ ...paging, state: Schema.optional(SpanState), failed: Schema.optional(Flag) }))
      .addSuccess(page("spans", SpanRow))
      .addError(problems.notFound)
  )
  .add(
    get("span", "/dashboard/api/spans/:id")
      .setPath(idPath)
      .setUrlParams(empty)
      .addSuccess(one({ span: SpanRow }))
      .addError(problems.notFound)
  )
  .add(
    get("resources", "/dashboard/api/resources")
      .setUrlParams(query({ ...paging, after: Schema.optional(whole(1, Number.MAX_SAFE_INTEGER)) }))
      .addSuccess(page("resources", ResourcesRow))
  )
  .add(
    get("version", "/dashboard/api/resources/:version")
      .setPath(Schema.Struct({ version: Version.annotations({ description: "a version's number, or `latest`" }) }))
      .setUrlParams(empty)
      .addSuccess(one({ resources: ResourcesRow }))
      .addError(problems.notFound)
  )
  .add(
    get("workers", "/dashboard/api/workers")
      .setUrlParams(query({ ...paging, run: Schema.optional(Id), live: Schema.optional(Flag) }))
      .addSuccess(page("workers", WorkerRow))
  )
  .add(
    get("openapi", "/dashboard/api/openapi.json")
      .setUrlParams(empty)
      .addSuccess(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
  )
  .annotate(OpenApi.Description, "The rows of the store, a page at a time.")

/** The errors that every endpoint may answer. */
export const DashboardApi = HttpApi.make("dashboard")
  .add(dashboard)
  .add(rows)
  .addError(problems.badRequest)
  .addError(problems.unauthorized)
  .addError(problems.forbidden)
  .addError(problems.notFound)
  .addError(problems.methodNotAllowed)
  .addError(problems.lengthRequired)
  .addError(problems.tooLarge)
  .addError(problems.mediaType)
  .addError(problems.misdirected)
  .addError(problems.failed)
  .addError(problems.unavailable)
  .annotate(OpenApi.Title, "tau dashboard")
  .annotate(OpenApi.Version, "1")
