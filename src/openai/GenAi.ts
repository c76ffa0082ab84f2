/**
 * The attribute names of a derived span, pinned: OpenTelemetry's GenAI conventions as of 2026-05 (all in Development
 * there), and our own `tau.*`. Only this file knows the strings; exporters translate from here.
 */
export const GenAi = {
  operationName: "gen_ai.operation.name",
  outputType: "gen_ai.output.type",
  conversationId: "gen_ai.conversation.id",
  requestModel: "gen_ai.request.model",
  requestTemperature: "gen_ai.request.temperature",
  requestTopP: "gen_ai.request.top_p",
  requestTopK: "gen_ai.request.top_k",
  requestMaxTokens: "gen_ai.request.max_tokens",
  requestStopSequences: "gen_ai.request.stop_sequences",
  requestFrequencyPenalty: "gen_ai.request.frequency_penalty",
  requestPresencePenalty: "gen_ai.request.presence_penalty",
  requestSeed: "gen_ai.request.seed",
  requestChoiceCount: "gen_ai.request.choice.count",
  requestStream: "gen_ai.request.stream",
  requestEncodingFormats: "gen_ai.request.encoding_formats",
  embeddingsDimensions: "gen_ai.embeddings.dimension.count",
  responseId: "gen_ai.response.id",
  responseModel: "gen_ai.response.model",
  responseFinishReasons: "gen_ai.response.finish_reasons",
  usageInputTokens: "gen_ai.usage.input_tokens",
  usageOutputTokens: "gen_ai.usage.output_tokens",
  usageCacheRead: "gen_ai.usage.cache_read.input_tokens",
  usageCacheWrite: "gen_ai.usage.cache_write.input_tokens",
  usageReasoning: "gen_ai.usage.reasoning.output_tokens",
  apiType: "openai.api.type",
  requestServiceTier: "openai.request.service_tier",
  responseServiceTier: "openai.response.service_tier",
  systemFingerprint: "openai.response.system_fingerprint",
  errorType: "error.type",
  /** Why the recorded bytes could not be read as an answer; the bytes themselves are kept all the same. */
  unassembled: "tau.unassembled",
  /** The response that this request continues, whose history the request body therefore lacks. */
  linkedResponseId: "tau.linked_response_id"
} as const
