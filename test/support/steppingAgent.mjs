// An agent of many steps: each answer goes into the next request, so that it asks the same again only if it was answered the same.
const steps = Number(process.env.STEPS)
const { prompt } = JSON.parse(
  await new Promise((resolve) => {
    let text = ""
    process.stdin.on("data", (chunk) => text += chunk).on("end", () => resolve(text))
  })
)
const ask = async (messages) => {
  const response = await fetch(`${process.env.OPENAI_BASE_URL}/chat/completions`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: `Bearer ${process.env.OPENAI_API_KEY}`,
      "x-agent-pid": `${process.pid}`
    },
    body: JSON.stringify({ model: "m", stream: process.env.STREAM === "1", messages })
  })
  const body = await response.text()
  if (!response.ok) throw new Error(`${response.status}: ${body}`)
  return body
}
const messages = [{ role: "user", content: prompt }]
for (let step = 1; step <= steps; step++) {
  // Two side questions at once, every tenth step.
  if (step % 10 === 0) {
    const sides = await Promise.all(["one", "two"].map((side) => ask([...messages, { role: "user", content: side }])))
    messages.push(...sides.map((content) => ({ role: "assistant", content })))
  } else messages.push({ role: "assistant", content: await ask(messages) })
}
process.stdout.write(JSON.stringify(messages.map(({ content }) => content)))
