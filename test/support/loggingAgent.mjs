// An agent that keeps a diary: asks its model and, once it holds the whole answer, notes it before it says anything.
import { appendFileSync } from "node:fs"

const { prompt } = JSON.parse(
  await new Promise((resolve) => {
    let text = ""
    process.stdin.on("data", (chunk) => text += chunk).on("end", () => resolve(text))
  })
)
const response = await fetch(`${process.env.OPENAI_BASE_URL}/chat/completions`, {
  method: "POST",
  headers: { "content-type": "application/json", authorization: `Bearer ${process.env.OPENAI_API_KEY}` },
  body: JSON.stringify({ model: "sim/arithmetic", messages: [{ role: "user", content: prompt }] })
})
const body = await response.text()
if (!response.ok) throw new Error(`${response.status}: ${body}`)
appendFileSync(process.env.DIARY, `${JSON.stringify({ attempt: process.env.TAU_ATTEMPT_ID, body })}\n`)
process.stdout.write(JSON.parse(body).choices[0].message.content)
