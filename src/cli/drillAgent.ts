/**
 * The agent of a drill, a process of its own: three questions, each built on the answer before. It notes every answer that it
 * holds whole before it does anything with it, so that the drill can look for it in the store. Loads no Effect.
 */
import { appendFileSync } from "node:fs"

interface Message {
  readonly role: "user" | "assistant"
  readonly content: string
}

const { env } = process
const chunks: Array<Buffer> = []
for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk)
const { prompt } = JSON.parse(Buffer.concat(chunks).toString()) as { readonly prompt: string }

const messages: Array<Message> = []
let question = prompt
let answer = ""
for (let step = 1; step <= 3; step++) {
  messages.push({ role: "user", content: question })
  const response = await fetch(`${env["OPENAI_BASE_URL"]}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${env["OPENAI_API_KEY"]}` },
    body: JSON.stringify({ model: env["TAU_MODEL"], messages })
  })
  const body = await response.text()
  if (!response.ok) throw new Error(`${response.status}: ${body}`)
  appendFileSync(env["DRILL_DIARY"]!, `${JSON.stringify({ attempt: env["TAU_ATTEMPT_ID"], body })}\n`)
  const { choices } = JSON.parse(body) as { readonly choices: ReadonlyArray<{ readonly message: Message }> }
  answer = choices[0]!.message.content
  messages.push({ role: "assistant", content: answer })
  question = `What is ${/-?\d+(?!.*\d)/.exec(answer)?.[0] ?? "0"} + 1? Answer with the number only.`
}
process.stdout.write(answer)
