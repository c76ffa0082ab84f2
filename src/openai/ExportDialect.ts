/**
 * The attributes of a span in the words of others. The canonical ones are those of `GenAi.ts`; what was said is added here
 * from the recorded bodies.
 */
import type { Conversation, Message, Part } from "./Conversation.js"
import { GenAi } from "./GenAi.js"

/** `genai` is OpenTelemetry's; `genai-legacy` what OpenLLMetry writes; `openinference` what Phoenix reads. */
export const dialects = ["genai", "openinference", "genai-legacy"] as const
export type Dialect = typeof dialects[number]

/** The conventions that `genai` follows. */
export const genAiSchemaUrl = "https://opentelemetry.io/schemas/gen-ai/1.42.0"

type Attributes = Readonly<Record<string, unknown>>

/** `conversation` is null when what was said is not wanted, or the span is no model call. */
export const inDialect = (
  dialect: Dialect,
  attributes: Attributes,
  conversation: Conversation | null
): Record<string, unknown> => {
  switch (dialect) {
    case "genai":
      return {
        ...attributes,
        // Readers of older conventions look for it under this name.
        ...given("gen_ai.usage.cache_creation.input_tokens", attributes[GenAi.usageCacheWrite]),
        ...(conversation === null ? {} : genAiContent(conversation))
      }
    case "genai-legacy":
      return {
        ...attributes,
        ...given("gen_ai.system", attributes[GenAi.providerName]),
        ...given("gen_ai.usage.prompt_tokens", attributes[GenAi.usageInputTokens]),
        ...given("gen_ai.usage.completion_tokens", attributes[GenAi.usageOutputTokens]),
        ...given("llm.usage.total_tokens", total(attributes)),
        ...given("llm.request.type", attributes[GenAi.operationName]),
        ...(conversation === null ? {} : legacyContent(conversation))
      }
    case "openinference":
      return openInference(attributes, conversation)
  }
}

const given = (name: string, value: unknown): Record<string, unknown> =>
  value === undefined || value === null ? {} : { [name]: value }

const total = (attributes: Attributes): number | undefined => {
  const input = attributes[GenAi.usageInputTokens]
  const output = attributes[GenAi.usageOutputTokens]
  return typeof input === "number" && typeof output === "number" ? input + output : undefined
}

const genAiPart = (part: Part): unknown => {
  if (part.type !== "other") return part
  return { type: part.kind, ...(typeof part.value === "object" && part.value !== null ? part.value : {}) }
}

const genAiMessage = ({ finishReason, parts, role }: Message): unknown => ({
  role,
  parts: parts.map(genAiPart),
  ...(finishReason !== undefined && { finish_reason: finishReason === "tool_calls" ? "tool_call" : finishReason })
})

const genAiContent = ({ input, output, tools }: Conversation): Record<string, unknown> => ({
  ...(input.length > 0 && { "gen_ai.input.messages": JSON.stringify(input.map(genAiMessage)) }),
  ...(output.length > 0 && { "gen_ai.output.messages": JSON.stringify(output.map(genAiMessage)) }),
  ...(tools.length > 0 && { "gen_ai.tool.definitions": JSON.stringify(tools) })
})

/** The text of a message; a result of a tool that is no text is its JSON. */
const textOfMessage = ({ parts }: Message): string =>
  parts.flatMap((part) => {
    if (part.type === "text") return [part.content]
    if (part.type !== "tool_call_response") return []
    return [typeof part.response === "string" ? part.response : JSON.stringify(part.response)]
  }).join("")

const argumentsText = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value)

const isCall = (part: Part) => part.type === "tool_call"

const legacyContent = ({ input, output }: Conversation): Record<string, unknown> => {
  const attributes: Record<string, unknown> = {}
  const add = (prefix: string, message: Message) => {
    attributes[`${prefix}.role`] = message.role
    attributes[`${prefix}.content`] = textOfMessage(message)
    if (message.finishReason !== undefined) attributes[`${prefix}.finish_reason`] = message.finishReason
    for (const [index, call] of message.parts.filter(isCall).entries()) {
      attributes[`${prefix}.tool_calls.${index}.id`] = call.id
      attributes[`${prefix}.tool_calls.${index}.name`] = call.name
      attributes[`${prefix}.tool_calls.${index}.arguments`] = argumentsText(call.arguments)
    }
  }
  for (const [index, message] of input.entries()) add(`gen_ai.prompt.${index}`, message)
  for (const [index, message] of output.entries()) add(`gen_ai.completion.${index}`, message)
  return attributes
}

const parameters: ReadonlyArray<readonly [canonical: string, name: string]> = [
  [GenAi.requestTemperature, "temperature"],
  [GenAi.requestTopP, "top_p"],
  [GenAi.requestTopK, "top_k"],
  [GenAi.requestMaxTokens, "max_tokens"],
  [GenAi.requestStopSequences, "stop"],
  [GenAi.requestFrequencyPenalty, "frequency_penalty"],
  [GenAi.requestPresencePenalty, "presence_penalty"],
  [GenAi.requestSeed, "seed"],
  [GenAi.requestStream, "stream"]
]

const openInference = (attributes: Attributes, conversation: Conversation | null): Record<string, unknown> => {
  const operation = attributes[GenAi.operationName]
  const kind = operation === undefined ? "CHAIN" : operation === "embeddings" ? "EMBEDDING" : "LLM"
  const invocation = Object.fromEntries(
    parameters.flatMap(([canonical, name]) =>
      attributes[canonical] === undefined ? [] : [[name, attributes[canonical]]]
    )
  )
  const model = attributes[GenAi.responseModel] ?? attributes[GenAi.requestModel]
  const own = Object.entries(attributes).filter(([name]) => !name.startsWith("gen_ai."))
  const result: Record<string, unknown> = {
    ...Object.fromEntries(own),
    "openinference.span.kind": kind,
    ...given(kind === "EMBEDDING" ? "embedding.model_name" : "llm.model_name", model),
    ...given("llm.provider", attributes[GenAi.providerName]),
    ...(Object.keys(invocation).length > 0 && { "llm.invocation_parameters": JSON.stringify(invocation) }),
    ...given("llm.finish_reason", (attributes[GenAi.responseFinishReasons] as ReadonlyArray<string> | undefined)?.[0]),
    ...given("llm.token_count.prompt", attributes[GenAi.usageInputTokens]),
    ...given("llm.token_count.completion", attributes[GenAi.usageOutputTokens]),
    ...given("llm.token_count.total", total(attributes)),
    ...given("llm.token_count.prompt_details.cache_read", attributes[GenAi.usageCacheRead]),
    ...given("llm.token_count.prompt_details.cache_write", attributes[GenAi.usageCacheWrite]),
    ...given("llm.token_count.completion_details.reasoning", attributes[GenAi.usageReasoning]),
    ...given("llm.cost.total", attributes[GenAi.usageCost]),
    ...given("session.id", attributes[GenAi.sessionId])
  }
  if (conversation === null) return result
  const add = (prefix: string, message: Message) => {
    result[`${prefix}.message.role`] = message.role
    const text = textOfMessage(message)
    if (text !== "") result[`${prefix}.message.content`] = text
    for (const [index, call] of message.parts.filter(isCall).entries()) {
      const place = `${prefix}.message.tool_calls.${index}.tool_call`
      if (call.id !== null) result[`${place}.id`] = call.id
      result[`${place}.function.name`] = call.name
      result[`${place}.function.arguments`] = argumentsText(call.arguments)
    }
    const answered = message.parts.find((part) => part.type === "tool_call_response")
    if (answered !== undefined && answered.id !== null) result[`${prefix}.message.tool_call_id`] = answered.id
  }
  for (const [index, message] of conversation.input.entries()) add(`llm.input_messages.${index}`, message)
  for (const [index, message] of conversation.output.entries()) add(`llm.output_messages.${index}`, message)
  for (const [index, tool] of conversation.tools.entries()) {
    result[`llm.tools.${index}.tool.json_schema`] = JSON.stringify(tool)
  }
  return result
}
