// One server of the proxy bench in a process of its own: `upstream`, `bare` or `committed`. Prints its URL, runs until killed.
import { createServer } from "node:http"
import { Worker } from "node:worker_threads"

const [kind, upstreamUrl, file] = process.argv.slice(2)

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

/** The calls that a thread commits, in groups: the next one collects while one is under way. */
const recorder = () => {
  const start = (checkpoints) =>
    new Worker(new URL("./recorder.mjs", import.meta.url), { workerData: { file, checkpoints } })
  start(true)
  const thread = start(false)
  let waiting = []
  let underWay = null
  const leave = () => {
    underWay = waiting
    waiting = []
    const packed = Buffer.concat(underWay.flatMap(({ answer, request }) => [request, answer]))
    const whole = packed.buffer.byteLength === packed.length ? packed.buffer : new Uint8Array(packed).buffer
    const lengths = underWay.flatMap(({ answer, endedUs, request, startedUs }) => [
      startedUs,
      endedUs,
      request.length,
      answer.length
    ])
    thread.postMessage({ lengths, packed: whole }, [whole])
  }
  thread.on("message", () => {
    for (const { committed } of underWay) committed()
    underWay = null
    if (waiting.length > 0) leave()
  })
  return (call) => {
    waiting.push(call)
    if (underWay === null && waiting.length === 1) setImmediate(() => underWay === null && leave())
  }
}

/**
 * The least a proxy on this stack can do: node:http into undici's dispatcher. With `record`, each call is kept, and the
 * end of its answer is held until it is: its last piece, or the mark that no more follow.
 */
const proxy = async (record) => {
  const { Pool } = await import("undici")
  const pool = new Pool(upstreamUrl, { connections: 1024 })
  listen((request, response) => {
    const startedUs = Math.floor(performance.now() * 1000)
    const chunks = []
    const answered = []
    let isCounted = false
    request.on("data", (chunk) => chunks.push(chunk)).on("end", () => {
      const body = Buffer.concat(chunks)
      const { host: _, connection: __, ...headers } = request.headers
      pool.dispatch({ path: request.url, method: request.method, headers, body }, {
        onRequestStart() {},
        onResponseStart(_controller, status, headers) {
          delete headers.connection
          delete headers["keep-alive"]
          isCounted = headers["content-length"] !== undefined
          response.writeHead(status, headers)
        },
        onResponseData(controller, chunk) {
          const isHeld = record !== null && isCounted
          const leaving = isHeld ? answered.at(-1) : chunk
          if (record !== null) answered.push(chunk)
          if (leaving !== undefined && !response.write(leaving)) {
            controller.pause()
            response.once("drain", () => controller.resume())
          }
        },
        onResponseEnd() {
          if (record === null) response.end()
          else {
            record({
              startedUs,
              endedUs: Math.floor(performance.now() * 1000),
              request: body,
              answer: Buffer.concat(answered),
              committed: () => isCounted ? response.end(answered.at(-1)) : response.end()
            })
          }
        },
        onResponseError: () => response.destroy()
      })
    })
  })
}

await { upstream, bare: () => proxy(null), committed: () => proxy(recorder()) }[kind]()
