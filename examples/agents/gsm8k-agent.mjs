// An agent on the official OpenAI client: one question on standard input, the answer on standard output. It knows nothing of
// tau; the client reads OPENAI_BASE_URL and OPENAI_API_KEY from the environment as it always does.
import { text } from "node:stream/consumers"
import OpenAI from "openai"

const systemPrompt = process.env.TAU_RESOURCE_SYSTEM_PROMPT ?? "You solve word problems."
const model = process.env.TAU_MODEL ?? process.env.OPENAI_MODEL ?? "gpt-4o-mini"

const example = JSON.parse(await text(process.stdin))
const question = example.prompt ?? example.input
if (typeof question !== "string") {
  console.error("the example has neither a prompt nor an input")
  process.exit(1)
}

const completion = await new OpenAI().chat.completions.create({
  model,
  temperature: 0,
  messages: [{ role: "system", content: systemPrompt }, { role: "user", content: question }]
})
console.log(completion.choices[0]?.message.content ?? "")
