// A closed-loop load generator on bare sockets: each connection sends its next request when the last answer is whole.
// It must cost far less than what it measures, so it knows just enough HTTP: status line, content-length or chunks.
import { connect } from "node:net"
import { setTimeout } from "node:timers/promises"

const body = JSON.stringify({
  model: "bench",
  messages: [
    { role: "system", content: "You are a careful assistant. ".repeat(12) },
    { role: "user", content: "How many apples are left in the basket after lunch? ".repeat(8) }
  ]
})

const requestBytes = (host, headers) =>
  Buffer.from(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\nauthorization: Bearer sk-bench\r\n` +
      `x-rollout-id: bench\r\nx-attempt-id: bench:attempt-1\r\n${headers}content-length: ${
        Buffer.byteLength(body)
      }\r\n\r\n${body}`
  )

const lastChunk = Buffer.from("\r\n0\r\n\r\n")

/**
 * Loads a server over `connections` for `ms`, the first requests spread over `spreadMs`. Answers requests per second, and p50 and p99 in milliseconds of the whole
 * answers and of their first bytes after the head.
 */
export const load = async ({ headers: own = "", url }, connections, ms, headers = "", spreadMs = 0) => {
  const { host, hostname, port } = new URL(url)
  const request = requestBytes(host, own + headers)
  const latencies = []
  const firsts = []
  const deadline = performance.now() + ms
  let errors = 0
  const one = async (_, n) => {
    await setTimeout(n * spreadMs / connections)
    await new Promise((resolve) => {
      let sentAt = 0
      let seen = Buffer.alloc(0)
      let hasFirst = false
      const socket = connect(Number(port), hostname, () => send())
      socket.setNoDelay(true)
      const send = () => {
        sentAt = performance.now()
        hasFirst = false
        seen = Buffer.alloc(0)
        socket.write(request)
      }
      socket.on("data", (chunk) => {
        const now = performance.now()
        seen = seen.length === 0 ? chunk : Buffer.concat([seen.subarray(-16_384), chunk])
        if (!hasFirst && seen.length > seen.indexOf("\r\n\r\n") + 4) {
          hasFirst = true
          if (seen[9] !== 0x32) errors += 1
          firsts.push(now - sentAt)
        }
        if (!isWhole(seen)) return
        latencies.push(now - sentAt)
        if (now < deadline) send()
        else socket.end()
      })
      socket.on("error", () => errors += 1)
      socket.on("close", () => resolve())
    })
  }
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: connections }, one))
  const seconds = (performance.now() - startedAt) / 1000
  return {
    perSecond: latencies.length / seconds,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    first: quantile(firsts, 0.5),
    requests: latencies.length,
    errors
  }
}

const quantile = (values, share) => {
  const sorted = Float64Array.from(values).toSorted()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** Whether the buffer ends with the end of one answer: its content-length, or the last chunk. */
const isWhole = (bytes) => {
  if (bytes.subarray(-lastChunk.length).equals(lastChunk)) return true
  const end = bytes.indexOf("\r\n\r\n")
  if (end === -1) return false
  const length = /\r\ncontent-length: (\d+)/i.exec(bytes.toString("latin1", 0, end))
  return length !== null && bytes.length >= end + 4 + Number(length[1])
}
