// One server of the proxy bench in a process of its own: `upstream`, `bare` or `tau`. Prints its URL, runs until killed.
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createServer } from "node:http"
import { Pool } from "undici"

const [kind, upstreamUrl, storePath] = process.argv.slice(2)

const listen = (handler) => {
  const server = createServer(handler)
  server.keepAliveTimeout = 60_000
  server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`))
}

/** Answers each request with the same 650 bytes. */
const upstream = () => {
  const answer = Buffer.from(JSON.stringify({
    id: "chatcmpl-bench",
    object: "chat.completion",
    created: 1,
    model: "bench",
    choices: [{ index: 0, message: { role: "assistant", content: "apples ".repeat(60) }, finish_reason: "stop" }],
    usage: { prompt_tokens: 100, completion_tokens: 60, total_tokens: 160 }
  }))
  listen((request, response) => {
    request.resume().on("end", () => {
      response.writeHead(200, { "content-type": "application/json", "content-length": answer.length })
      response.end(answer)
    })
  })
}

/** The least a proxy on this stack can do: node:http into undici's dispatcher, nothing recorded. */
const bare = () => {
  const pool = new Pool(upstreamUrl, { connections: 1024 })
  listen((request, response) => {
    const chunks = []
    request.on("data", (chunk) => chunks.push(chunk)).on("end", () => {
      const { host: _, connection: __, ...headers } = request.headers
      pool.dispatch({ path: request.url, method: request.method, headers, body: Buffer.concat(chunks) }, {
        onRequestStart() {},
        onResponseStart(_controller, status, answered) {
          delete answered.connection
          delete answered["keep-alive"]
          response.writeHead(status, answered)
        },
        onResponseData(controller, chunk) {
          if (!response.write(chunk)) {
            controller.pause()
            response.once("drain", () => controller.resume())
          }
        },
        onResponseEnd: () => response.end(),
        onResponseError: () => response.destroy()
      })
    })
  })
}

/** The product: every call recorded, committed with synchronous=FULL before its last byte leaves. */
const tau = async () => {
  const { Proxy } = await import("../dist/proxy/Proxy.js")
  const { defaultLimits } = await import("../dist/proxy/ProxyOptions.js")
  const Sqlite = await import("../dist/store/Sqlite.js")
  const proxy = Proxy.layer({
    bind: { host: "127.0.0.1", port: 0 },
    upstreamUrl,
    timeoutMs: 30_000,
    attributionRequired: true,
    clientKey: null,
    upstreamKey: null,
    attributionLogPath: `${storePath}.jsonl`,
    recordPolicy: "required",
    limits: defaultLimits
  }).pipe(Layer.provide(Sqlite.layer({ path: storePath, kind: "bench", attributionLogPath: `${storePath}.jsonl` })))
  await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
    const context = yield* Layer.build(proxy)
    console.log(context.unsafeMap.get(Proxy.key).origin)
    yield* Effect.never
  })))
}

await { upstream, bare, tau }[kind]()
