import { execFileSync } from "node:child_process"
import { apiKey, baseURL, headers, model, question, saw } from "./program.mjs"

const curl = (path, body, ...flags) =>
  execFileSync("curl", [
    "--silent",
    "--show-error",
    "--fail-with-body",
    "--max-time",
    "60",
    ...flags,
    `${baseURL}${path}`,
    "--header",
    "content-type: application/json",
    "--header",
    `authorization: Bearer ${apiKey}`,
    ...Object.entries(headers).flatMap(([name, value]) => ["--header", `${name}: ${value}`]),
    "--data-binary",
    JSON.stringify({ model, ...body })
  ], { encoding: "utf8" })

const messages = [{ role: "user", content: question }]
const dataOf = (stream) =>
  stream.split("\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice("data: ".length)))

const whole = JSON.parse(curl("/chat/completions", { messages }))
saw({ what: "chat", text: whole.choices[0].message.content, output: whole.usage.completion_tokens })

const chunks = dataOf(curl("/chat/completions", { messages, stream: true }, "--no-buffer"))
saw({ what: "chat, streamed", text: chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join("") })

const events = dataOf(curl("/responses", { input: question, stream: true }, "--no-buffer"))
saw({
  what: "responses, streamed",
  path: "/responses",
  text: events.flatMap(({ delta }) => delta === undefined ? [] : [delta]).join("")
})

const claude = { max_tokens: 500, messages }
const message = JSON.parse(curl("/messages", claude, "--header", "anthropic-version: 2023-06-01"))
saw({ what: "Anthropic messages", path: "/messages", text: message.content[0].text })
const pieces = dataOf(curl("/messages", { ...claude, stream: true }, "--no-buffer"))
saw({
  what: "Anthropic messages, streamed",
  path: "/messages",
  text: pieces.map(({ delta }) => delta?.text ?? "").join("")
})
