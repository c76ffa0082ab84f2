// A closed-loop load generator on bare sockets: each connection sends its next request when the last answer is whole.
// It must cost far less than what it measures, so it knows just enough HTTP: status line, content-length or chunks.
import { connect } from "node:net"

const body = JSON.stringify({
  model: "bench",
  messages: [
    { role: "system", content: "You are a careful assistant. ".repeat(12) },
    { role: "user", content: "How many apples are left in the basket after lunch? ".repeat(8) }
  ]
})

const requestBytes = (host) =>
  Buffer.from(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\nauthorization: Bearer sk-bench\r\n` +
      `x-rollout-id: bench\r\nx-attempt-id: bench:attempt-1\r\ncontent-length: ${
        Buffer.byteLength(body)
      }\r\n\r\n${body}`
  )

/** Loads `url` over `connections` for `ms`; answers requests per second and the latencies' p50 and p99 in milliseconds. */
export const load = async (url, connections, ms) => {
  const { host, hostname, port } = new URL(url)
  const request = requestBytes(host)
  const latencies = []
  const deadline = performance.now() + ms
  let errors = 0
  const one = () =>
    new Promise((resolve) => {
      let sentAt = 0
      let seen = Buffer.alloc(0)
      const socket = connect(Number(port), hostname, () => send())
      socket.setNoDelay(true)
      const send = () => {
        sentAt = performance.now()
        socket.write(request)
      }
      socket.on("data", (chunk) => {
        seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk])
        const size = answerSize(seen)
        if (size === null || seen.length < size) return
        if (seen[9] !== 0x32) errors += 1
        const now = performance.now()
        latencies.push(now - sentAt)
        seen = seen.subarray(size)
        if (now < deadline) send()
        else socket.end()
      })
      socket.on("error", () => errors += 1)
      socket.on("close", () => resolve())
    })
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: connections }, one))
  const seconds = (performance.now() - startedAt) / 1000
  const sorted = Float64Array.from(latencies).toSorted()
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
  return { perSecond: sorted.length / seconds, p50: at(0.5), p99: at(0.99), requests: sorted.length, errors }
}

/** Bytes of the first answer in the buffer, or null while its head is not whole. Answers here have a content-length. */
const answerSize = (bytes) => {
  const end = bytes.indexOf("\r\n\r\n")
  if (end === -1) return null
  const head = bytes.toString("latin1", 0, end)
  const length = /\r\ncontent-length: (\d+)/i.exec(head)
  return end + 4 + Number(length?.[1] ?? 0)
}
