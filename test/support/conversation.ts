export interface Conversation {
  readonly steps: number
  /** Length of each tool's answer. */
  readonly answerBytes?: number
  /** Tells apart conversations that are otherwise alike. */
  readonly name?: string
}

/** Text that repeats nothing, with characters that JSON escapes and ones of several bytes. */
export const prose = (length: number, seed: string): string => {
  let text = ""
  for (let n = 0; text.length < length; n++) text += `${seed} says "${(n * 7919).toString(36)}", wörd ${n};\n`
  return text.slice(0, length)
}

const tools = ["read", "write", "search", "run"].map((name) => ({
  type: "function",
  function: {
    name,
    description: prose(900, name),
    parameters: { type: "object", properties: { path: { type: "string" } } }
  }
}))

/** An agent's requests, one for each step: each has the whole history, and what the last step added to it. */
export const requestsOf = (
  { answerBytes = 2_000, name = "agent", steps }: Conversation
): ReadonlyArray<Record<string, unknown>> => {
  const messages: Array<unknown> = [{ role: "system", content: prose(3_000, "system") }, {
    role: "user",
    content: name
  }]
  return Array.from({ length: steps }, (_, step) => {
    messages.push(
      {
        role: "assistant",
        content: null,
        tool_calls: [{
          id: `${name}-${step}`,
          type: "function",
          function: { name: "read", arguments: `{"path":"${step}"}` }
        }]
      },
      { role: "tool", tool_call_id: `${name}-${step}`, content: prose(answerBytes, `${name} ${step}`) }
    )
    return { model: "m", messages: [...messages], tools, temperature: 0.5 }
  })
}

export const bodyOf = (request: unknown): Buffer => Buffer.from(JSON.stringify(request))
