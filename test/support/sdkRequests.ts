/** Every request that the official OpenAI client knows how to make, as bytes, by walking its resources. */
import { readdirSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { OpenAI } from "openai"

export interface SdkRequest {
  /** Resource and method, `chat.completions.create`. */
  readonly name: string
  readonly method: string
  /** Path and query, without `/v1`. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** What must be encoded in a path, to see that nobody decodes it. */
const id = "id/1 ü%"

const sources = (): ReadonlyArray<string> => {
  const folder = join(dirname(createRequire(import.meta.url).resolve("openai")), "resources")
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".mjs"))
    .map((name) => readFileSync(join(folder, name), "utf8"))
}

/** Ids that methods take out of their parameters, into a path: `const { thread_id, ...query } = params`. */
const idParameters = (): Record<string, unknown> => {
  const names = sources().flatMap((source) =>
    [...source.matchAll(/const \{ ([^}]*?),? ?(?:\.\.\.\w+ )?\} = /g)].flatMap((match) => match[1]!.split(", "))
  )
  return Object.fromEntries(names.filter((name) => /_id$|^name$/.test(name)).map((name) => [name, id]))
}

const parameters = () => ({
  ...idParameters(),
  include: ["a b", "c"],
  limit: 2,
  metadata: { key: "value ü" },
  model: "m",
  file: new File([new Uint8Array([0, 13, 10, 255])], "a.bin"),
  image: new File(["image"], "a.png", { type: "image/png" })
})

/** Methods that wait for something, or open sockets, rather than make one request. */
const skipped = /poll|wait|stream|^run|connect|unwrap|verify|constructor|^_/i

const argumentsOf = (method: (...values: Array<unknown>) => unknown): Array<unknown> => {
  const names = /^(?:async )?\w+\(([^)]*)\)/.exec(String(method))?.[1] ?? ""
  return names.split(",").map((name) => name.split("=")[0]!.trim()).filter((name) => name !== "" && name !== "options")
    .map((name) => /^(?:params|query|body|_params)$/.test(name) ? parameters() : id)
}

const boundary = "----boundary-of-the-test"

/** The body with a fixed boundary, so that each run sends the same. */
const readRequest = async (name: string, request: Request): Promise<SdkRequest> => {
  const { pathname, search } = new URL(request.url)
  const headers = Object.fromEntries(request.headers)
  const own = /boundary=(\S+)/.exec(headers["content-type"] ?? "")?.[1]
  const body = Buffer.from(await request.arrayBuffer()).toString("latin1")
  return {
    name,
    method: request.method,
    path: pathname + search,
    headers: own === undefined ? headers : { ...headers, "content-type": `multipart/form-data; boundary=${boundary}` },
    body: Buffer.from(own === undefined ? body : body.replaceAll(own, boundary), "latin1")
  }
}

/** Each method of each resource once; requests that are the same in method and path only once. */
export const sdkRequests = async (): Promise<ReadonlyArray<SdkRequest>> => {
  const requests = new Map<string, SdkRequest>()
  let calling = ""
  const client = new OpenAI({
    baseURL: "http://unused.invalid",
    apiKey: "sk-test",
    adminAPIKey: "sk-admin",
    maxRetries: 0,
    fetch: async (url, init) => {
      const request = await readRequest(calling, new Request(url as string, init as RequestInit))
      // The client first tries out what this platform's fetch makes of `data:,`.
      if (request.path.startsWith("/")) requests.set(`${request.method} ${request.path}`, request)
      return new Response("{}", { headers: { "content-type": "application/json" } })
    }
  })
  const visit = async (resource: object, path: string): Promise<void> => {
    for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(resource))) {
      const method = (resource as Record<string, unknown>)[name]
      if (skipped.test(name) || typeof method !== "function") continue
      calling = `${path}.${name}`
      const call = method as (...values: Array<unknown>) => unknown
      // Some methods check their arguments or the answer: the request, if one was made, is all that counts.
      await Promise.resolve().then(() => call.apply(resource, argumentsOf(call))).catch(() => {})
    }
    for (const [name, value] of Object.entries(resource)) {
      if (typeof value === "object" && value !== null && "_client" in value) await visit(value, `${path}.${name}`)
    }
  }
  for (const [name, value] of Object.entries(client)) {
    if (typeof value === "object" && value !== null && "_client" in value) await visit(value as object, name)
  }
  return [...requests.values()]
}
