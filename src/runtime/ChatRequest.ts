/** The body of an attempt's chat completion: config, example and resources in, JSON out. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { resourceText, type ResourceValues } from "../domain/Resources.js"
import type { ChatExecutorConfig } from "../domain/RunConfig.js"
import { render, renderResources, type TemplateFieldMissing } from "../domain/Template.js"
import { type Assignment, AttemptFailed } from "./Executor.js"

interface ChatRequest {
  readonly model: string
  readonly messages: ReadonlyArray<unknown>
  readonly [parameter: string]: unknown
}

/** Fails, for good, when a template names a field that is not there, or the example has nothing to ask. */
export const chatRequest = (
  config: typeof ChatExecutorConfig.Type,
  { example, model, resources }: Pick<Assignment, "example" | "model" | "resources">
): Effect.Effect<ChatRequest, AttemptFailed> =>
  Effect.gen(function*() {
    const system = yield* systemMessages(resources)
    const asked = yield* askedMessages(config.user, example, resources)
    const parameters = yield* filled(config.parameters ?? {}, resources)
    // The answer is read whole, so a stream is never asked for.
    const { stream: _, stream_options: __, ...rest } = parameters as Record<string, unknown>
    const tools = config.tools === undefined || config.tools.length === 0
      ? {}
      : { tools: yield* filled(config.tools, resources) }
    const seed = yield* seedOf(config.seed_field, example)
    return { ...rest, ...tools, ...seed, model, messages: [...system, ...asked] }
  }).pipe(
    Effect.catchTag("TemplateFieldMissing", (missing) => notAskable(missing.message))
  )

const systemMessages = (
  resources: ResourceValues
): Either.Either<ReadonlyArray<unknown>, TemplateFieldMissing> => {
  const prompt = resources["system_prompt"]
  if (prompt === undefined || prompt === null || prompt === "") return Either.right([])
  return Either.map(renderResources(resourceText(prompt), resources), (content) => [{ role: "system", content }])
}

const askedMessages = (
  template: string | undefined,
  example: Assignment["example"],
  resources: ResourceValues
): Effect.Effect<ReadonlyArray<unknown>, TemplateFieldMissing | AttemptFailed> => {
  if (template === undefined && !Object.hasOwn(example, "prompt")) {
    const { messages } = example
    return Array.isArray(messages) && messages.length > 0
      ? Effect.succeed(messages)
      : notAskable("the example has neither a prompt nor messages")
  }
  return Either.map(
    render(template ?? "{{prompt}}", { ...example, resources }),
    (content) => [{ role: "user", content }]
  )
}

const seedOf = (
  field: string | undefined,
  example: Assignment["example"]
): Effect.Effect<{ readonly seed?: number }, AttemptFailed> => {
  if (field === undefined) return Effect.succeed({})
  const seed = Object.hasOwn(example, field) ? example[field] : undefined
  return typeof seed === "number" && Number.isSafeInteger(seed)
    ? Effect.succeed({ seed })
    : notAskable(`the example has no whole number in ${JSON.stringify(field)}, which seed_field names`)
}

/** The value with every text in it, however deep, a template over the resources. */
const filled = (value: unknown, resources: ResourceValues): Either.Either<unknown, TemplateFieldMissing> =>
  Either.gen(function*() {
    if (typeof value === "string") return yield* renderResources(value, resources)
    if (typeof value !== "object" || value === null) return value
    const entries: Array<readonly [string, unknown]> = []
    for (const [key, item] of Object.entries(value)) entries.push([key, yield* filled(item, resources)])
    return Array.isArray(value) ? entries.map(([, item]) => item) : Object.fromEntries(entries)
  })

const notAskable = (detail: string) =>
  Effect.fail(new AttemptFailed({ reason: "example", detail, permanent: true, stderrTail: null }))
