// Part of `npm run bench -- payloads`: how much later than the upstream's the end of an answer comes to an agent that sends its
// whole history with each step, by the length of that history, in turns.
import { once } from "node:events"
import { Agent, createServer, request } from "node:http"
import { join } from "node:path"
import { median, serve, serveTau } from "./candidates.mjs"

const rounds = 15
/** The time that a model takes; a short one. */
const answeredAfterMs = 200
const lengths = [1, 100, 1_000, 4_000, 10_000]

const answer = JSON.stringify({
  id: "chatcmpl-bench",
  object: "chat.completion",
  model: "bench",
  choices: [{ index: 0, message: { role: "assistant", content: "apples" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 100, completion_tokens: 60, total_tokens: 160 }
})

/** A conversation of so many kB; each call adds a message to it. */
const historyOf = (kB) => {
  const messages = [{ role: "user", content: "How many?" }]
  for (let bytes = 0, n = 0; bytes < kB * 1_000; n++) {
    const content = `${n}: ${"All happy families are alike, said the \"tool\".\n".repeat(40)}`
    messages.push({ role: n % 2 === 0 ? "assistant" : "user", content })
    bytes += content.length + 40
  }
  return messages
}

const agent = new Agent({ keepAlive: true })

/** Milliseconds from the upstream's end to the client's. */
const call = (url, body, endedAt) =>
  new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": body.length }
    const sent = request(`${url}/v1/chat/completions`, { method: "POST", agent, headers }, (response) => {
      response.resume().on("end", () => resolve(performance.now() - endedAt()))
    })
    sent.on("error", reject)
    sent.end(body)
  })

export const benchHistory = async (folder) => {
  let endedAt = 0
  const upstream = createServer((asked, response) => {
    asked.resume().on("end", () =>
      setTimeout(() => {
        response.setHeader("content-type", "application/json")
        endedAt = performance.now()
        response.end(answer)
      }, answeredAfterMs))
  }).listen(0, "127.0.0.1")
  await once(upstream, "listening")
  const url = `http://127.0.0.1:${upstream.address().port}`
  const servers = [
    ["bare", await serve("bare", url)],
    ["committed", await serve("committed", url, join(folder, "history.sqlite"))],
    ["tau", await serveTau(url, join(folder, "history"))]
  ]
  const candidates = [["direct", { url }], ...servers]
  console.log(`\nThe end of an answer, ms after the upstream's; median of ${rounds} rounds, taking turns\n`)
  console.log(`history    ${candidates.map(([name]) => name.padStart(10)).join("")}`)
  try {
    for (const kB of lengths) {
      const messages = historyOf(kB)
      const times = candidates.map(() => [])
      for (let round = -2; round < rounds; round++) {
        messages.push({ role: "user", content: `And ${round}?` })
        const body = Buffer.from(JSON.stringify({ model: "bench", messages }))
        for (const [place, [, candidate]] of candidates.entries()) {
          const ms = await call(candidate.url, body, () => endedAt)
          if (round >= 0) times[place].push(ms)
        }
      }
      console.log(`${`${kB} kB`.padEnd(11)}${times.map((all) => median(all).toFixed(1).padStart(10)).join("")}`)
    }
  } finally {
    agent.destroy()
    for (const [, { child }] of servers) child.kill("SIGKILL")
    upstream.close()
  }
}
