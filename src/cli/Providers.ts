/** The providers a `--model` may name, where they are and which variable holds their key. */
import type { UpstreamUrl } from "../openai/UpstreamUrl.js"
import { parseUpstream } from "../openai/UpstreamUrl.js"
import type { ModelRef } from "./Mode.js"

export interface Provider {
  readonly name: string
  /** OpenAI-compatible base URL; none for the simulated server, which runs inside the process. */
  readonly baseUrl?: string
  /** Variable with the key; none when the server asks for no key. */
  readonly keyVariable?: string
}

export const providers: ReadonlyArray<Provider> = [
  { name: "openai", baseUrl: "https://api.openai.com/v1", keyVariable: "OPENAI_API_KEY" },
  { name: "anthropic", baseUrl: "https://api.anthropic.com/v1", keyVariable: "ANTHROPIC_API_KEY" },
  { name: "openrouter", baseUrl: "https://openrouter.ai/api/v1", keyVariable: "OPENROUTER_API_KEY" },
  { name: "groq", baseUrl: "https://api.groq.com/openai/v1", keyVariable: "GROQ_API_KEY" },
  { name: "together", baseUrl: "https://api.together.xyz/v1", keyVariable: "TOGETHER_API_KEY" },
  { name: "fireworks", baseUrl: "https://api.fireworks.ai/inference/v1", keyVariable: "FIREWORKS_API_KEY" },
  { name: "deepseek", baseUrl: "https://api.deepseek.com/v1", keyVariable: "DEEPSEEK_API_KEY" },
  { name: "mistral", baseUrl: "https://api.mistral.ai/v1", keyVariable: "MISTRAL_API_KEY" },
  { name: "xai", baseUrl: "https://api.x.ai/v1", keyVariable: "XAI_API_KEY" },
  {
    name: "gemini",
    baseUrl: "https://generativelanguage.googleapis.com/v1beta/openai",
    keyVariable: "GEMINI_API_KEY"
  },
  { name: "ollama", baseUrl: "http://127.0.0.1:11434/v1" },
  { name: "lmstudio", baseUrl: "http://127.0.0.1:1234/v1" },
  { name: "vllm", baseUrl: "http://127.0.0.1:8000/v1", keyVariable: "VLLM_API_KEY" },
  { name: "llamacpp", baseUrl: "http://127.0.0.1:8080/v1", keyVariable: "LLAMA_API_KEY" },
  { name: "sim" }
]

export const providerNamed = (name: string): Provider | undefined =>
  providers.find((provider) => provider.name === name)

/** The parts of `provider/model`, whose model may have slashes of its own; null when a text is not written so. */
export const modelRefOf = (text: string): ModelRef | null => {
  const [, provider, name] = /^([^/\s]+)\/([^\s\p{Cc}]+)$/u.exec(text) ?? []
  return provider === undefined || name === undefined ? null : { provider, name }
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Where model calls go, and which variable holds the key that belongs to that place. */
export type UpstreamChoice =
  | {
    readonly kind: "url"
    readonly url: string
    readonly address: UpstreamUrl
    /** The flag, config key, variable or provider that named it. */
    readonly source: string
    readonly keyVariable?: string
  }
  /** The simulated server inside the process. */
  | { readonly kind: "embedded" }
  | { readonly kind: "invalid"; readonly message: string }
  | { readonly kind: "none" }

/**
 * The first that is given of: the flag, the config's `upstream_url`, `OPENAI_BASE_URL`, the provider's own address. The key is
 * the provider's, except that whoever `OPENAI_BASE_URL` names gets `OPENAI_API_KEY` and no other provider's key.
 * `sim` promises no network, so the variable does not count there; an explicit URL does.
 */
export const chooseUpstream = (
  given: { readonly flag?: string | undefined; readonly config?: string | undefined },
  provider: Provider | undefined,
  environment: Environment
): UpstreamChoice => {
  const key = provider === undefined ? "OPENAI_API_KEY" : provider.keyVariable
  if (given.flag !== undefined) return at(given.flag, "--prompt-optimization-proxy-upstream-url", key)
  if (given.config !== undefined) return at(given.config, "upstream_url", key)
  const variable = environment["OPENAI_BASE_URL"]
  if (variable !== undefined && variable !== "" && provider?.name !== "sim") {
    return at(variable, "OPENAI_BASE_URL", "OPENAI_API_KEY")
  }
  if (provider === undefined) return { kind: "none" }
  if (provider.baseUrl === undefined) return { kind: "embedded" }
  return at(provider.baseUrl, `provider ${provider.name}`, key)
}

const at = (url: string, source: string, keyVariable: string | undefined): UpstreamChoice => {
  const address = parseUpstream(url)
  if (typeof address === "string") return { kind: "invalid", message: `${source}: ${address}` }
  return { kind: "url", url, address, source, ...(keyVariable !== undefined && { keyVariable }) }
}
