// One server of the proxy bench in a process of its own: `upstream` or `bare`. Prints its URL, runs until killed.
import { createServer } from "node:http"

const [kind, upstreamUrl] = process.argv.slice(2)

const listen = (handler) => {
  const server = createServer(handler)
  server.keepAliveTimeout = 60_000
  server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`))
}

/**
 * Answers each request with the same 650 bytes; on a header `x-bench` after 50 ms (`delay`), or as a stream of 100 events,
 * one each 5 ms (`paced`) or all at once (`burst`); for the soak with 1 MB (`big`), with an error (`error`), broken off in the
 * middle (`cut`) or not at all (`silent`).
 */
const upstream = () => {
  const answer = Buffer.from(JSON.stringify({
    id: "chatcmpl-bench",
    object: "chat.completion",
    created: 1,
    model: "bench",
    choices: [{ index: 0, message: { role: "assistant", content: "apples ".repeat(60) }, finish_reason: "stop" }],
    usage: { prompt_tokens: 100, completion_tokens: 60, total_tokens: 160 }
  }))
  const chunk = { id: "chatcmpl-bench", object: "chat.completion.chunk", created: 1, model: "bench" }
  const event = (delta, finish_reason = null) =>
    `data: ${JSON.stringify({ ...chunk, choices: [{ index: 0, delta, finish_reason }] })}\n\n`
  const events = [
    event({ role: "assistant", content: "" }),
    ...Array.from({ length: 98 }, (_, n) => event({ content: ` apple${n}` })),
    `${event({}, "stop")}data: [DONE]\n\n`
  ].map((text) => Buffer.from(text))
  const megabyte = Buffer.alloc(1024 * 1024, "x")
  const burst = (response) => {
    for (const bytes of events) response.write(bytes)
    response.end()
  }
  const paced = (response) => {
    let n = 0
    const timer = setInterval(() => {
      response.write(events[n])
      n += 1
      if (n < events.length) return
      clearInterval(timer)
      response.end()
    }, 5)
  }
  const whole = (response) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": answer.length })
    response.end(answer)
  }
  listen((request, response) => {
    const kind = request.headers["x-bench"]
    request.resume().on("end", () => {
      if (kind === undefined) whole(response)
      else if (kind === "delay") setTimeout(whole, 50, response)
      else if (kind === "big") response.end(megabyte)
      else if (kind === "error") response.writeHead(500).end("{\"error\":{\"message\":\"bench\"}}")
      else if (kind === "silent") return
      else if (kind === "cut") response.write(events[0], () => response.destroy())
      else {
        response.writeHead(200, { "content-type": "text/event-stream" })
        if (kind === "paced") paced(response)
        else burst(response)
      }
    })
  })
}

/** The least a proxy on this stack can do: node:http into undici's dispatcher, nothing recorded. */
const bare = async () => {
  const { Pool } = await import("undici")
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

await { upstream, bare }[kind]()
