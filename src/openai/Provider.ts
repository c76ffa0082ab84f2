/** Who serves a call, by the host that it goes to. */

/** Values of `gen_ai.provider.name`; a host that is none of these has none, for an address proves nothing about a model. */
const providers: ReadonlyArray<readonly [host: RegExp, name: string]> = [
  [/(^|\.)openai\.azure\.com$|\.cognitiveservices\.azure\.com$/, "azure.ai.openai"],
  [/\.(services|inference)\.ai\.azure\.com$|\.models\.ai\.azure\.com$/, "azure.ai.inference"],
  [/(^|\.)openai\.com$/, "openai"],
  [/(^|\.)anthropic\.com$/, "anthropic"],
  [/^generativelanguage\.googleapis\.com$/, "gcp.gemini"],
  [/(^|-)aiplatform\.googleapis\.com$/, "gcp.vertex_ai"],
  [/^bedrock[\w.-]*\.amazonaws\.com$/, "aws.bedrock"],
  [/(^|\.)deepseek\.com$/, "deepseek"],
  [/(^|\.)groq\.com$/, "groq"],
  [/(^|\.)mistral\.ai$/, "mistral_ai"],
  [/(^|\.)moonshot\.(ai|cn)$/, "moonshot_ai"],
  [/(^|\.)perplexity\.ai$/, "perplexity"],
  [/(^|\.)x\.ai$/, "x_ai"],
  [/(^|\.)cohere\.(ai|com)$/, "cohere"],
  [/\.ml\.cloud\.ibm\.com$/, "ibm.watsonx.ai"]
]

export interface Server {
  readonly address: string
  readonly port: number
  readonly provider: string | null
}

const servers = new Map<string, Server | null>()

const read = (origin: string): Server | null => {
  if (!URL.canParse(origin)) return null
  const { hostname, port, protocol } = new URL(origin)
  return {
    address: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port !== "" ? Number(port) : protocol === "http:" ? 80 : 443,
    provider: providers.find(([host]) => host.test(hostname))?.[1] ?? null
  }
}

/** The server of an http(s) URL; null when it is none. */
export const serverOf = (url: string): Server | null => {
  let server = servers.get(url)
  if (server === undefined) {
    // A proxy has one upstream, or a few, and its agents ask for few paths: more would be a caller that makes them up.
    if (servers.size > 100) servers.clear()
    servers.set(url, server = read(/^\w+:\/\/[^/?#]*/.exec(url)?.[0] ?? ""))
  }
  return server
}
