/** Simulated embeddings: unit vectors made of hashes of the words, so that texts that share words lie near each other. */
import { createHash } from "node:crypto"
import { listAt, numberAt, textAt } from "../openai/Json.js"
import { parseModelCall, Refusal, refusal } from "./ChatRequest.js"
import { countTokens } from "./Tokens.js"

export const embeddingModel = "sim/embedding"

const dimensionsByDefault = 256
const dimensionsMax = 4096
const inputsMax = 2048

export interface EmbeddingRequest {
  readonly model: string
  readonly inputs: ReadonlyArray<string>
  readonly dimensions: number
  readonly isBase64: boolean
}

/** Inputs are texts, or lists of token ids, which count as texts of their own. */
const inputsOf = (input: unknown): ReadonlyArray<string> | null => {
  if (typeof input === "string") return [input]
  if (!Array.isArray(input) || input.length === 0) return null
  if (input.every((item) => typeof item === "number")) return [input.join(" ")]
  const texts = input.map((item: unknown) =>
    typeof item === "string" ? item : Array.isArray(item) ? item.join(" ") : ""
  )
  return texts.some((text) => text === "") ? null : texts
}

export const parseEmbeddingRequest = (bytes: Uint8Array): EmbeddingRequest | Refusal => {
  const body = parseModelCall(bytes)
  if (body instanceof Refusal) return body
  const inputs = inputsOf(body["input"])
  if (inputs === null || listAt(body, "input").length > inputsMax) {
    return refusal(400, "'input' must be a text, or a list of them that is not empty.", "invalid_value", "input")
  }
  const dimensions = numberAt(body, "dimensions") ?? dimensionsByDefault
  if (!(Number.isInteger(dimensions) && dimensions >= 1 && dimensions <= dimensionsMax)) {
    return refusal(
      400,
      `'dimensions' must be a whole number from 1 to ${dimensionsMax}.`,
      "invalid_value",
      "dimensions"
    )
  }
  return { model: body.model, inputs, dimensions, isBase64: textAt(body, "encoding_format") === "base64" }
}

/** A vector of length 1 in single precision. */
const vectorOf = (text: string, dimensions: number): Float32Array => {
  const vector = new Float64Array(dimensions)
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu)?.slice(0, 10_000) ?? [text]) {
    const hash = createHash("sha256").update(word).digest()
    for (let n = 0; n < 8; n++) {
      const place = hash.readUInt16LE(2 * n) % dimensions
      vector[place] = vector[place]! + (hash[16 + n]! < 128 ? 1 : -1)
    }
  }
  const length = Math.hypot(...vector)
  return Float32Array.from(vector, (value) => length === 0 ? 1 / Math.sqrt(dimensions) : value / length)
}

const encoded = (vector: Float32Array, isBase64: boolean) =>
  isBase64
    ? Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64")
    : Array.from(vector)

export const embeddingsOf = ({ dimensions, inputs, isBase64 }: EmbeddingRequest): object => {
  const tokens = inputs.reduce((sum, text) => sum + countTokens(text), 0)
  return {
    object: "list",
    data: inputs.map((text, index) => ({
      object: "embedding",
      index,
      embedding: encoded(vectorOf(text, dimensions), isBase64)
    })),
    model: embeddingModel,
    usage: { prompt_tokens: tokens, total_tokens: tokens }
  }
}
